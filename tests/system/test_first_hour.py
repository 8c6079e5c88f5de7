"""The first hour of a newcomer: the tutorial as it is written, a stop in the middle of a run, the way back.

The commands are those of README.md and docs/tutorial.md, so that the pages and the product cannot part. The demo is in
test_wheel.py.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from localcloud import connection
from tests.system.cloud_process import eventually, stop_limit
from tests.system.commands import loupe
from tests.unit.docs.pages import ROOT, shell_lines

# The tutorial is one fixture, which takes minutes on a busy machine.
pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]
README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text().split("\n## Four commands\n")[1]
# A model that is trained in seconds.
SMALL = "--epochs 1 --set input_size=128 --set batch_size=8 --set workers=0"


class Newcomer:
    """Somebody with an activated environment, an empty folder, and no local cloud yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "LOUPE_HOME": str(folder / "home"),
            # A program that opens a picture, and shows nothing.
            "BROWSER": "true",
        }

    def try_(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line in the shell."""
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=800,
        )

    def run(self, line: str) -> str:
        """Run a line that must succeed, and return what it prints."""
        done = self.try_(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def look(self, line: str) -> str:
        """Run a command that only shows something, without a shell, and return what it prints."""
        done = loupe(*shlex.split(line)[1:], home=self.folder / "home", folder=self.folder)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, line: str) -> Any:
        """Look at what a line with --json shows."""
        return json.loads(self.look(f"{line} --json"))

    def up(self) -> None:
        """Start the local cloud."""
        self.run("loupe up --detach")

    def processes(self) -> list[psutil.Process]:
        """Return the local cloud's process, and those that it has started."""
        cloud = psutil.Process(connection(self.folder / "home").pid)
        return [cloud, *cloud.children(recursive=True)]

    def trains(self) -> bool:
        """Return whether a training job runs in the local cloud."""
        return any("training.train" in " ".join(command_line(process)) for process in self.processes())

    def down(self) -> None:
        """Stop it if it runs."""
        self.try_("loupe down")


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; one that has ended, but whose parent does not ask for its status, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def command_line(process: psutil.Process) -> list[str]:
    """Return a process's command line; nothing if it has just ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """A newcomer whose local cloud runs, with the sample images uploaded to it."""
    newcomer = Newcomer(tmp_path_factory.mktemp("newcomer"))
    shutil.copytree(ROOT / "samples", newcomer.folder, dirs_exist_ok=True)
    try:
        newcomer.up()
        newcomer.run("loupe drop line-1/top line-2/bottom --wait")
        yield newcomer
    finally:
        newcomer.down()


# --- looking around ---


def test_the_model_serves_and_nothing_waits(newcomer: Newcomer):
    status = newcomer.json("loupe status")
    assert (status["endpoint"]["status"], status["waiting"]) == ("InService", 0)


def test_a_second_cloud_on_the_same_home_is_refused(newcomer: Newcomer):
    second = newcomer.try_("loupe up")
    assert second.returncode == 1
    assert second.stderr.startswith("loupe: ")
    assert "Traceback" not in second.stderr
    assert newcomer.json("loupe status")["endpoint"]["status"] == "InService"


def test_the_picture_of_a_defect_exists_and_has_its_frame(newcomer: Newcomer):
    defect = newcomer.json("loupe inspections --verdict fail")["inspections"][0]
    serial, box = defect["serial"], defect["detections"][0]["box"]
    file = Path(newcomer.run(f"loupe open {serial} --print").splitlines()[-1])
    with Image.open(file) as picture, Image.open(next(newcomer.folder.glob(f"line-*/*/{serial}.*"))) as image:
        assert picture.format == "JPEG"
        framed = picture.convert("RGB")
        scale = framed.width / image.width
        x, y = round(box[0] * scale), round((box[1] + box[3]) / 2 * scale)
        # The images are grey, and the frame is red.
        around = [framed.getpixel((min(max(x + dx, 0), framed.width - 1), y)) for dx in range(-6, 7)]
    assert max(red - green for red, green, _ in around) > 60


@pytest.mark.parametrize(
    "line",
    [
        "loupe status",
        "loupe inspections",
        "loupe inspections --line line-1",
        "loupe open",
        "loupe models",
        "loupe datasets",
        "loupe runs",
        "loupe rules show",
        "loupe rules history",
    ],
)
def test_what_there_is_to_see_is_there_as_json_too(newcomer: Newcomer, line: str):
    assert newcomer.json(line)


def test_the_logs_are_lines_of_json(newcomer: Newcomer):
    lines = newcomer.look("loupe logs --json").splitlines()
    assert lines
    assert all(json.loads(line)["message"] for line in lines)


def test_names_that_look_like_markup_are_listed_as_they_are(newcomer: Newcomer):
    good = ROOT / "samples" / "line-1" / "top" / "SN1002.jpg"
    # The folders of the second are the line "[" and the station "b]".
    for name in ("press/front/b].jpg", "[/b]/[red]x.jpg"):
        (newcomer.folder / name).parent.mkdir(parents=True)
        shutil.copy(good, newcomer.folder / name)
    dropped = newcomer.run("loupe drop press/front '[/b]' --wait")
    listed = newcomer.look("loupe inspections")
    for text in ("b]", "[red]x"):
        assert text in dropped
        assert text in listed
    assert newcomer.look("loupe open 'b]' --print")


# --- the tutorial ---


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """A newcomer who follows the tutorial."""
    learner = Newcomer(tmp_path_factory.mktemp("learner"))
    yield learner
    learner.down()


@dataclass
class Tutorial:
    """The tutorial after it was followed to its end.

    Attributes:
        printed: What each of its commands has printed.
        training: Its command that trains.
        before: The model and the rules before that command.
        trained: The same after it.
        after: The same after the rollback.
    """

    printed: dict[str, str] = field(default_factory=dict)
    training: str = ""
    before: dict[str, Any] = field(default_factory=dict)
    trained: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    def output_of(self, command: str) -> str:
        """Return what the first command that begins so has printed."""
        return next(text for line, text in self.printed.items() if line.startswith(command))


@pytest.fixture(scope="module")
def tutorial(learner: Newcomer) -> Tutorial:
    """The tutorial, each command as it is written."""
    tutorial = Tutorial()
    for line in shell_lines(TUTORIAL):
        command = shlex.join(shlex.split(line, comments=True))
        if command.startswith("loupe retrain"):
            tutorial.training, tutorial.before = command, what_decides(learner)
        tutorial.printed[command] = learner.run(line)
        if command.startswith("loupe retrain"):
            tutorial.trained = what_decides(learner)
        if command == "loupe rollback":
            tutorial.after = what_decides(learner)
    return tutorial


def what_decides(newcomer: Newcomer) -> dict[str, Any]:
    """Return the model that serves, and the rules."""
    return {
        "model": newcomer.json("loupe models")["endpoint_model"],
        "rules": newcomer.json("loupe rules show"),
    }


def test_the_readme_has_the_four_commands_of_the_tutorial():
    section = README.partition("## With your own images")[2]
    four = [shlex.split(line, comments=True) for line in list(shell_lines(section))[1:5]]
    ours = {"LABELLED": "labelled", "LINE/STATION": "line-1/top"}
    wanted = [{ours.get(word, word) for word in command} for command in four]
    lines = [set(shlex.split(line, comments=True)) for line in shell_lines(TUTORIAL)]
    # The tutorial adds settings that keep the training short.
    assert all(any(command <= line for line in lines) for command in wanted), wanted


@pytest.mark.slow
def test_the_tutorial_ends_with_a_model_of_ones_own_that_serves(tutorial: Tutorial):
    assert "Decision: promoted" in tutorial.output_of("loupe retrain")
    assert tutorial.trained["model"] != tutorial.before["model"]
    assert re.search(r"\b(pass|fail|review)\b", tutorial.output_of("loupe drop line-1/top"))
    with Image.open(tutorial.output_of("loupe open").splitlines()[-1]) as picture:
        assert picture.format == "JPEG"


@pytest.mark.slow
def test_the_rollback_brings_the_former_model_and_its_rules_back(tutorial: Tutorial):
    assert tutorial.trained["rules"] != tutorial.before["rules"]
    assert tutorial.after == tutorial.before


# --- a person decides ---


@pytest.fixture(scope="module")
def the_day_after(learner: Newcomer, tutorial: Tutorial) -> Newcomer:
    """The same person, who starts Loupe again."""
    learner.up()
    return learner


@pytest.mark.slow
def test_a_person_lets_a_model_into_service_or_not(the_day_after: Newcomer, tutorial: Tutorial):
    learner = the_day_after
    before = what_decides(learner)["model"]
    # The run of the tutorial again: its training is done, so only a person's answer is missing.
    again = f"{tutorial.training.replace('--wait', '')} --force --approval"
    for answer, decision in (
        ("reject {} --reason '[/b] too few images'", "rejected"),
        ("approve {}", "promoted"),
    ):
        learner.run(again)
        waiting = eventually(lambda: learner.json("loupe status")["approvals"], 120)
        learner.run(f"loupe {answer.format(waiting[0]['version'])}")
        # The run may have ended before another command can follow it.
        ended = eventually(lambda: _newest_run(learner)["ended"] and _newest_run(learner), 120)
        assert ended["decision"] == decision
        serves = what_decides(learner)["model"]
        assert (serves == before) == (decision == "rejected")


def _newest_run(learner: Newcomer) -> dict[str, Any]:
    newest: dict[str, Any] = learner.json("loupe runs")["runs"][0]
    return newest


# --- a stop in the middle ---


@pytest.mark.slow
def test_down_in_the_middle_of_a_run_is_quick_and_complete_and_up_goes_on(the_day_after: Newcomer):
    learner = the_day_after
    learner.run(f"loupe retrain --families ssdlite {SMALL}")
    eventually(learner.trains)
    processes, began = learner.processes(), time.monotonic()
    learner.run("loupe down")
    # The command itself takes some of the time, too.
    assert time.monotonic() - began < 5 + stop_limit()
    assert [process for process in processes if is_alive(process)] == []
    learner.up()
    result = learner.json("loupe retrain --follow")
    assert result["status"] == "SUCCEEDED"
    assert result["run"] in learner.look("loupe runs")
