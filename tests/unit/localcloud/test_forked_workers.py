"""Workers that are forked are what new processes would be, and end with the cloud."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from localcloud.ministack import functions
from localcloud.ministack.forked_workers import AVAILABLE, WRAPPER, ForkedWorker, Source

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="workers are forked on Linux")
# Says what it was given, then echoes lines, and ends when there are no more.
_SCRIPT = """
import json, os, random, signal, sys, threading
loaded = [name for name in ("boto3", "pydantic") if name in sys.modules]
print(json.dumps({
    "variables": dict(os.environ), "folder": os.getcwd(), "arguments": sys.argv, "main": __name__,
    "leads": os.getsid(0) == os.getpid(), "chance": random.random(), "libraries": loaded,
    "child": str(signal.getsignal(signal.SIGCHLD)), "ours": [name for name in sys.modules if "localcloud" in name],
    "open": sorted(os.listdir("/proc/self/fd")),
}), flush=True)
print("a problem", file=sys.stderr)
for line in sys.stdin:
    if line == "leave\\n":
        sys.exit(3)
    print(line, end="", flush=True)
"""


class Stage:
    """A source of workers, and the pipe that they watch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script = folder / "worker.py"
        self.script.write_text(_SCRIPT)
        self.source = Source()
        self.pipe, self._held = os.pipe()

    def fork(self, **variables: str) -> ForkedWorker:
        return self.source.fork(str(self.script), str(self.folder), variables, self.pipe)

    def end_cloud(self) -> None:
        os.close(self._held)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.source.end()


def first_line(worker: ForkedWorker) -> str:
    return worker.stdout.readline()


def test_a_worker_has_its_own_variables_folder_streams_and_chance_and_the_libraries(stage: Stage) -> None:
    one, two = stage.fork(FUNCTION="one"), stage.fork(FUNCTION="two", LANG="C")
    said, other = json.loads(first_line(one)), json.loads(first_line(two))
    assert said["variables"] == {"FUNCTION": "one"}
    assert other["variables"] == {"FUNCTION": "two", "LANG": "C"}
    assert (said["folder"], said["arguments"], said["main"]) == (
        str(stage.folder),
        [str(stage.script)],
        "__main__",
    )
    assert said["leads"]
    # The script names both.
    assert said["libraries"] == ["boto3", "pydantic"]
    assert said["chance"] != other["chance"]
    assert said["child"] == str(signal.SIG_DFL)
    assert said["ours"] == []
    # Its three streams, the cloud's pipe, and the folder that is being listed.
    assert len(said["open"]) == len(other["open"]) == 5
    one.stdin.write("ü\n")
    two.stdin.write("two\n")
    assert (one.stdout.readline(), two.stdout.readline()) == ("ü\n", "two\n")
    assert one.stderr.readline() == "a problem\n"


def test_the_end_of_a_worker_is_known(stage: Stage) -> None:
    leaving, killed = stage.fork(), stage.fork()
    with pytest.raises(subprocess.TimeoutExpired):
        leaving.wait(0.01)
    assert leaving.poll() is None
    leaving.stdin.write("leave\n")
    assert leaving.wait(60) == leaving.poll() == 3
    killed.kill()
    assert killed.wait(60) == -signal.SIGKILL
    # To a process that is gone, no signal is sent.
    killed.terminate()


def test_workers_end_with_the_cloud(stage: Stage) -> None:
    worker = stage.fork()
    first_line(worker)
    assert psutil.pid_exists(worker.pid)
    stage.end_cloud()
    assert worker.wait(60) == -signal.SIGKILL


def test_after_the_parent_of_the_workers_was_killed_there_is_another_one(stage: Stage) -> None:
    before = stage.fork()
    first_line(before)
    psutil.Process(before.pid).parent().kill()  # type: ignore[union-attr]
    # Nobody would see it end, so its invocation must not wait for it.
    assert before.wait(60) == -signal.SIGKILL
    after = stage.fork()
    assert "variables" in first_line(after)
    after.stdin.write("leave\n")
    assert after.wait(60) == 3


def test_a_library_that_no_code_names_is_not_imported(stage: Stage) -> None:
    stage.script.write_text(
        "import sys; print([name for name in sys.modules if name.startswith('PI' + 'L')])"
    )
    assert first_line(stage.fork()) == "[]\n"


def test_a_function_with_variables_for_the_start_of_python_gets_a_python_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the cloud itself has of the shell is not for its functions.
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "sitecustomize.py").write_text("print('customised', flush=True)")
    script = tmp_path / "worker.py"
    script.write_text("print('started')")
    workers = functions._Workers()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    said = {}
    for name in ("PYTHONPATH", "ELSE"):
        environment = {name: str(tmp_path)}
        worker = workers.Popen(
            [sys.executable, str(script)], environment, cwd=str(tmp_path), text=True, **streams
        )
        said[name] = worker.stdout.read().split()
        assert worker.wait(60) == 0
    workers.end()
    assert said == {"PYTHONPATH": ["customised", "started"], "ELSE": ["started"]}


def test_the_process_that_is_forked_has_one_thread(tmp_path: Path) -> None:
    """A fork copies one thread only, and whatever lock another one holds stays locked for ever."""
    program = f"""
import os, pathlib, runpy, sys
module = runpy.run_path({str(WRAPPER)!r}, run_name="wrapper")
folder = pathlib.Path({str(tmp_path)!r})
(folder / "code.py").write_text("\\n".join(module["LIBRARIES"]))
module["import_libraries"](folder)
assert all(name in sys.modules for name in module["LIBRARIES"])
print(len(os.listdir("/proc/self/task")))
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        env={},
        check=False,
    )
    assert done.stdout == "1\n", done.stderr
