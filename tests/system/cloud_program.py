"""The program of a local cloud of the tests, and the process from which such programs are forked.

    python cloud_program.py HOME REPO
    python cloud_program.py --fork SOCKET STATUSES

A test process starts up to twenty clouds, and each of them spends a third of its start with imports. The second form
imports the libraries of a cloud once, and none of MiniStack: each cloud does that itself, with its environment.
"""

import gc
import importlib
import json
import select
import socket
import sys
from pathlib import Path

LIBRARIES = (
    *("localcloud.cloud", "boto3.dynamodb.conditions", "docker", "jsonata", "jsonschema", "requests"),
    *("samtranslator.translator.transform", "hypercorn.asyncio.run", "cryptography.x509"),
)


def run(home: Path, repo: Path) -> None:
    """Run a cloud, as `loupe up` does, until its standard input ends or a signal comes."""
    from localcloud.cloud import LocalCloud

    # As the command does.
    gc.set_threshold(50_000)
    with LocalCloud(home, repo=repo, programs=repo) as cloud:
        try:
            cloud.deploy()
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            # Not one long read: a signal that another thread receives does not interrupt it, and Python handles signals
            # only between calls.
            while not select.select([sys.stdin], [], [], 0.2)[0]:
                pass
        except KeyboardInterrupt:
            pass


def fork_clouds(requests: socket.socket, statuses: int) -> tuple[Path, Path]:
    """Fork a process for each request, and return a cloud's home and repository in it."""
    from localcloud.ministack import worker_wrapper

    for name in (*LIBRARIES, *worker_wrapper.LIBRARIES):
        importlib.import_module(name)
    assert not [name for name in sys.modules if name.partition(".")[0] == "ministack"]
    gc.freeze()
    home, repo = json.loads(worker_wrapper.fork_workers(requests, statuses))
    return Path(home), Path(repo)


if __name__ == "__main__":
    if sys.argv[1] == "--fork":
        run(*fork_clouds(socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3])))
    else:
        run(Path(sys.argv[1]), Path(sys.argv[2]))
