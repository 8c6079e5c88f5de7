"""A local cloud in its own process, as `loupe up` runs it, because MiniStack keeps its state in modules."""

import atexit
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import psutil

from localcloud import Connection, connection
from localcloud.ministack.forked_workers import AVAILABLE, ForkedWorker, Source

_source = Source((sys.executable, "-P", "-m", "tests.system.cloud_program", "--fork"))
atexit.register(_source.end)
# Open as long as this process runs; only functions watch such a pipe.
_PIPE = os.pipe()


class CloudProcess:
    """A local cloud that runs, with the template deployed.

    Attributes:
        home: Its private folder.
        process: The process that runs it.
        connection: How to reach it.
    """

    def __init__(self, home: Path, repo: Path, **environment: str) -> None:
        self.home = home
        self.process = self.launch(home, repo, **environment)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", "the local cloud did not start; see above"
        self.connection: Connection = connection(home)

    @staticmethod
    def launch(home: Path, repo: Path, **environment: str) -> "subprocess.Popen[str] | ForkedWorker":
        """Start the process, and return before the cloud has started."""
        # A function gets no variable of the cloud's process, also if it is its own: tests/faults sets this one.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        # Variables such as LD_PRELOAD are read when a process begins.
        if AVAILABLE and not any(name.startswith(("LD_", "PYTHON")) for name in environment):
            arguments = json.dumps([str(home), str(repo)])
            forked = _source.fork(arguments, os.getcwd(), inherited | environment, _PIPE[0])
            threading.Thread(target=_show, args=(forked.stderr,), daemon=True).start()
            return forked
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.system.cloud_program", str(home), str(repo)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=inherited | environment,
            start_new_session=True,
        )

    def children(self) -> list[psutil.Process]:
        """Return the processes of functions and model servers."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self) -> None:
        """Kill the process, as the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Stop the cloud as Ctrl+C does, and return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)


def _show(errors: TextIO) -> None:
    for line in errors:
        sys.stderr.write(line)


def eventually(check: Callable[[], Any], timeout_s: float = 60) -> Any:
    """Call `check` until its result is true, and return that result.

    The time limit is for a machine that is busy with other tests; what happens at once costs none of it.
    """
    deadline, pause = time.monotonic() + timeout_s, 0.02
    while not (result := check()):
        assert time.monotonic() < deadline, f"not within {timeout_s} seconds"
        time.sleep(pause)
        # Most checks ask the cloud. Fifty times a second they would take the core from what they wait for.
        pause = min(1.2 * pause, 0.2)
    return result


def stop_limit() -> float:
    """Return the seconds in which a cloud must end: the promised ten, more where other tests keep the cores busy."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 10 * max(1.5, os.getloadavg()[0] / cores)


def wait_until_saved(home: Path, text: str, service: str = "dynamodb") -> None:
    """Wait until the autosave has written a state that contains `text`; it takes longer on a busy machine."""
    file = home / "state" / f"{service}.json"
    eventually(lambda: file.exists() and text in file.read_text())


def model_archive(**model: Any) -> bytes:
    """Return a model.tar.gz whose model.json is `model`."""
    content = json.dumps(model).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("model.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def host(
    cloud: Connection, endpoint: str, *, bucket: str, role: str, settle: bool = True, **model: Any
) -> dict[str, Any]:
    """Create or update an endpoint with a new model.

    Args:
        cloud: The local cloud.
        endpoint: The endpoint's name.
        bucket: Where the model goes.
        role: The model's role.
        settle: Wait until the endpoint is in service or has failed.
        model: The content of model.json.

    Returns:
        The endpoint's description; empty without `settle`.
    """
    sagemaker = cloud.client("sagemaker")
    name = f"{endpoint}-{time.time_ns()}"
    cloud.client("s3").put_object(Bucket=bucket, Key=f"models/{name}.tar.gz", Body=model_archive(**model))
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={"Image": "detector", "ModelDataUrl": f"s3://{bucket}/models/{name}.tar.gz"},
        ExecutionRoleArn=role,
    )
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant | {"InitialInstanceCount": 1}]
    )
    existing = {listed["EndpointName"] for listed in sagemaker.list_endpoints()["Endpoints"]}
    deploy = sagemaker.update_endpoint if endpoint in existing else sagemaker.create_endpoint
    deploy(EndpointName=endpoint, EndpointConfigName=name)
    return settled(cloud, endpoint) if settle else {}


def settled(cloud: Connection, endpoint: str) -> dict[str, Any]:
    """Wait until an endpoint is in service or has failed, and return its description."""

    def describe() -> dict[str, Any] | None:
        description: dict[str, Any] = cloud.client("sagemaker").describe_endpoint(EndpointName=endpoint)
        return description if description["EndpointStatus"] in ("InService", "Failed") else None

    result: dict[str, Any] = eventually(describe)
    return result
