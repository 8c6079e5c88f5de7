"""`loupe learn`: what it makes of pictures, what becomes of the models that serve, and the programs that it runs."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract import model_card
from localcloud.home.lock import Lock
from loupe import cli
from loupe.commands import program_runner
from loupe.errors import LoupeError
from loupe.stack import deployment
from loupe.stack.learning import program, serving
from loupe.stack.learning.lesson import ANOMALY_FAMILY, DETECTOR_FAMILY, Lesson, families, family_for
from loupe.stack.learning.serving import Place, Served
from loupe.stack.learning.source import Picture, Source, folder_of, line_of
from loupe.stack.learning.verdicts import Verdicts, uploads_of
from loupe.stack.trial import Trial
from loupe.stack.uploads import Upload
from loupe.views.learning import Screen, progress_text, show_learned
from tests.unit.loupe.serving_stack import IMAGE, Stack


def pictures(good: int = 0, defective: int = 0, **changes: Any) -> Source:
    """What the survey has found."""
    found: dict[str, Any] = {
        "path": "bottles", "snapshot": "s.json", "id": "abc", "good": good, "defective": defective,
        "boxed": 0, "masked": 0, "classes": {}, "test": (0, 0), "copies": 0, "unreadable": 0,
        "first_unreadable": None, "sizes": ((550, 380, good + defective),), "pictures": (),
    }  # fmt: skip
    return Source(**found | changes)


def lesson(source: Source, folder: Path, family: str | None = None, *settings: str) -> Lesson:
    return Lesson(source, family or family_for(source), "bottles", settings, folder)


# --- what is learned ---


@pytest.mark.parametrize(
    ("source", "family"),
    [
        (pictures(24), ANOMALY_FAMILY),
        (pictures(24, 9), ANOMALY_FAMILY),
        (pictures(24, 9, masked=9), ANOMALY_FAMILY),
        (pictures(24, 9, boxed=9), DETECTOR_FAMILY),
    ],
)
def test_boxes_make_a_detector_and_everything_else_an_anomaly_model(source: Source, family: str):
    assert family_for(source) == family


@pytest.mark.parametrize(
    ("good", "there"), [(0, "there are none"), (1, "there is only 1"), (4, "there are only 4")]
)
def test_too_few_good_pictures_are_refused_with_how_many_it_takes(tmp_path: Path, good: int, there: str):
    with pytest.raises(LoupeError, match=f"at least 5 different pictures .* {there}") as refused:
        lesson(pictures(good, 9), tmp_path).check()
    assert "about 20" in refused.value.hint
    lesson(pictures(5), tmp_path).check()


def test_a_detector_without_boxes_is_refused(tmp_path: Path):
    with pytest.raises(LoupeError, match="no picture has one") as refused:
        lesson(pictures(24), tmp_path, "ssdlite").check()
    assert "--family" in refused.value.hint


def test_a_family_that_there_is_not_is_refused_with_those_that_there_are(tmp_path: Path):
    with pytest.raises(LoupeError, match="no family 'yolo'") as refused:
        lesson(pictures(24), tmp_path, "yolo").check()
    assert {ANOMALY_FAMILY, DETECTOR_FAMILY} < set(families())
    assert ANOMALY_FAMILY in refused.value.hint


def test_the_same_pictures_and_settings_are_the_same_training_and_others_another(tmp_path: Path):
    first = lesson(pictures(24), tmp_path, None, "seed=1", "memory=100")
    assert first.run == lesson(pictures(24), tmp_path, None, "memory=100", "seed=1").run
    others = [
        lesson(pictures(24), tmp_path),
        lesson(pictures(24, id="other"), tmp_path, None, "seed=1", "memory=100"),
        lesson(pictures(24), tmp_path, DETECTOR_FAMILY, "seed=1", "memory=100"),
    ]
    assert len({first.run, *(other.run for other in others)}) == 4


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/data/bottles", "bottles"),
        ("/data/bottles/normal/", "bottles"),
        ("/data/Flaschen für Müller [2]/Good", "Flaschen für Müller [2]"),
        ("/data/bottles.zip", "bottles"),
        ("/data/v1.2/good", "v1.2"),
        ("s3://factory/raw/bottles/ok", "bottles"),
        ("/normal", "learned"),
    ],
)
def test_the_line_is_named_after_the_product_and_not_after_good_or_bad(path: str, line: str):
    assert line_of(path) == line


def test_every_line_has_a_folder_of_its_own_below_the_home(tmp_path: Path):
    lines = ["a b", "a-b", "a/b", "..", "x" * 300, "Größe", "[/b]", "~", "con"]
    folders = [folder_of(tmp_path, line) for line in lines]
    assert len(set(folders)) == len(lines)
    assert all(folder.parent == tmp_path / "learn" and len(folder.name) <= 60 for folder in folders)


# --- what serves already ---

DETECTOR_CARD = deployment.read_card(deployment.STARTER)

DETECTOR = {"name": "dents", "anomaly": None, "anomaly_model": None}
ANOMALY = {"name": "bottles", "anomaly": {"threshold": 30.0}}
BOTH = {"name": "dents", "anomaly_model": {"name": "bottles", "version": "1"}}


@pytest.mark.parametrize(
    ("card", "kind", "place"),
    [
        (DETECTOR, "anomaly", ("beside", None, "dents")),
        (ANOMALY, "anomaly", (None, "bottles", None)),
        (BOTH, "anomaly", ("beside", "bottles", "dents")),
        (ANOMALY, "detector", ("beside", None, "bottles")),
    ],
)
def test_a_new_model_stands_beside_the_one_of_the_other_kind(
    card: dict[str, Any], kind: Any, place: tuple[str | None, ...]
):
    found = serving.place_for(kind, "bottles", Served(Path("beside"), serving.names(card)))
    assert (found.beside and str(found.beside), found.replaces, found.stays) == place
    assert found.copy == (Path("beside") if found.replaces else None)


@pytest.mark.parametrize(("card", "kind"), [(DETECTOR, "detector"), (ANOMALY, "anomaly"), (BOTH, "anomaly")])
def test_a_model_of_another_name_is_not_replaced_unless_that_is_said(card: dict[str, Any], kind: Any):
    with pytest.raises(LoupeError, match="room for one") as refused:
        serving.place_for(kind, "cans", Served(Path("beside"), serving.names(card)))
    assert "--replace" in refused.value.hint
    assert serving.place_for(kind, "cans", None) == Place()


def served_by(press: Stack, folder: Path, archive: Path) -> Served | None:
    press.target.s3.put_object(Bucket="artefacts", Key="models/m/model.tar.gz", Body=archive.read_bytes())
    press.create_model("m", "s3://artefacts/models/m/model.tar.gz")
    press.serve("m")
    return serving.served(press.target, folder)


def test_the_starter_model_is_nothing_to_keep(press: Stack, tmp_path: Path):
    assert served_by(press, tmp_path, deployment.STARTER) is None


def test_any_other_model_is_kept_with_a_copy_by_its_version(
    press: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # To the command it is another model if the starter model is another one.
    card = deployment.read_card(deployment.STARTER)
    monkeypatch.setattr(model_card, "version", lambda document: str(id(document)))
    found = served_by(press, tmp_path, deployment.STARTER)
    assert found is not None
    assert found.names == {"detector": card["name"]}
    assert found.archive.read_bytes() == deployment.STARTER.read_bytes()
    assert found.archive.name.startswith("served-")


def test_what_is_replaced_is_named_with_a_copy_of_it(
    press: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(model_card, "version", lambda document: str(id(document)))
    served_by(press, tmp_path, deployment.STARTER)
    place = serving.place_alone(press.target, tmp_path)
    assert place.copy is not None
    assert place.copy.read_bytes() == deployment.STARTER.read_bytes()
    assert (place.replaces, place.beside, place.stays) == (DETECTOR_CARD["name"], None, None)
    Screen(quiet=False).show_place(lesson(pictures(24), tmp_path), place)
    printed = capsys.readouterr().out
    assert f"takes the place of {DETECTOR_CARD['name']}." in printed
    assert str(place.copy) in printed


def test_the_anomaly_model_of_both_becomes_an_artefact_of_its_own_for_a_new_detector(tmp_path: Path):
    files = {
        "model.json": json.dumps(
            {**DETECTOR_CARD, "anomaly_model": {"name": "bottles", "version": "1"}}
        ).encode(),
        "model.onnx": b"detector",
        "anomaly.json": b"its card",
        "anomaly.onnx": b"its graph",
    }
    both = tmp_path / "both.tar.gz"
    with tarfile.open(both, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    half = serving.anomaly_half(both, tmp_path / "half.tar.gz")
    with tarfile.open(half) as tar:
        found = {name: (tar.extractfile(name) or io.BytesIO()).read() for name in tar.getnames()}
    assert found == {"model.json": b"its card", "model.onnx": b"its graph"}
    assert serving.anomaly_half(deployment.STARTER, tmp_path / "x") == deployment.STARTER


def test_without_an_endpoint_nothing_serves(press: Stack, tmp_path: Path):
    assert serving.served(press.target, tmp_path) is None


def test_a_model_that_cannot_be_read_is_not_replaced_by_accident(press: Stack, tmp_path: Path):
    press.create_model("m", "s3://artefacts/models/gone/model.tar.gz")
    press.serve("m")
    with pytest.raises(LoupeError, match="cannot be read") as refused:
        serving.served(press.target, tmp_path)
    assert "--replace" in refused.value.hint
    assert serving.place_alone(press.target, tmp_path) == Place()


# --- the programs ---


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Write a program, and return its module's name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(code: str) -> str:
        (tmp_path / "a_program.py").write_text(textwrap.dedent(code))
        return "a_program"

    return write


def test_each_document_that_a_program_prints_arrives_and_all_is_in_its_log(programs: Any, tmp_path: Path):
    module = programs("""
        import json, sys
        print(json.dumps({"event": "start", "arguments": sys.argv[1:]}))
        print("no JSON")
        print(json.dumps({"event": "done"}))
    """)
    events: list[dict[str, Any]] = []
    program.run(module, ["--json", "[a] ü"], tmp_path / "run" / "log", events.append)
    assert events == [{"event": "start", "arguments": ["--json", "[a] ü"]}, {"event": "done"}]
    assert "no JSON" in (tmp_path / "run" / "log").read_text()


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (
            """
            import sys
            sys.stderr.write("UserWarning: x\\nloupe: the data set is empty\\n       Add images.\\n")
            sys.exit(1)
            """,
            "^the data set is empty$",
            "Add images.",
        ),
        ("raise ValueError('x')", "^a_program failed: ValueError: x$", "log"),
        ("import sys; sys.exit(3)", "^a_program failed: status 3$", "log"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL: the memory was probably full", "log"),
    ],
)
def test_a_program_that_fails_is_an_error_with_its_own_words(
    programs: Any, tmp_path: Path, code: str, message: str, hint: str
):
    with pytest.raises(LoupeError, match=message) as failed:
        program.run(programs(code), [], tmp_path / "log", lambda event: None)
    assert hint in failed.value.hint


def test_ctrl_c_stops_the_program_and_waits_for_its_end(programs: Any, tmp_path: Path):
    module = programs(f"""
        import json, os, pathlib, signal, sys
        def stop(number, frame):
            pathlib.Path({str(tmp_path / "stopped")!r}).write_text("saved")
            sys.exit(143)
        signal.signal(signal.SIGTERM, stop)
        print(json.dumps({{"pid": os.getpid()}}), flush=True)
        signal.pause()
    """)
    pids: list[int] = []

    def interrupt(event: dict[str, Any]) -> None:
        pids.append(event["pid"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        program.run(module, [], tmp_path / "log", interrupt)
    assert (tmp_path / "stopped").read_text() == "saved"
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], signal.SIG_DFL)


# --- what is said ---


def test_epochs_and_stages_are_progress_and_other_events_are_not():
    assert (
        progress_text({"event": "epoch", "epoch": 1, "epochs": 3, "seconds": 10.0})
        == "epoch 1 of 3, 20 s left"
    )
    assert progress_text({"event": "start"}) is None


def test_what_was_found_is_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    broken = {"copies": 2, "unreadable": 1, "first_unreadable": "x.png: is not a readable image"}
    sizes = ((550, 380, 23), (400, 300, 1))
    Screen(quiet=False).show_source(lesson(pictures(24, sizes=sizes, **broken), tmp_path))
    Screen(quiet=False).show_source(lesson(pictures(12, 6, test=(3, 3)), tmp_path))
    printed = capsys.readouterr().out
    for words in (
        "24 good pictures, no defective one: learning what good looks like\n",
        "550 × 380 (23), 400 × 300 (1) pixels",
        "2 are copies of others, and left out",
        "1 file cannot be read: x.png: is not a readable image",
        "12 good pictures, 6 defective: learning what good looks like, and where the limit is",
        "kept aside to measure by: 3 good, 3 defective",
        "12 good pictures are few",
    ):
        assert words in printed


def test_a_detector_says_how_long_it_takes_before_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    Screen(quiet=False).show_source(lesson(pictures(0, 200, boxed=200, classes={"dent": 300}), tmp_path))
    printed = capsys.readouterr().out
    assert "training a detector (ssdlite) for dent" in printed
    assert "about 18 min" in printed


def test_outliers_and_the_expected_overkill_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    card = {
        "metrics": {
            "calibration": {
                "good": 24,
                "bad": 0,
                "overkill": {"value": 0.0417, "count": 1, "of": 24, "interval": [0.001, 0.211]},
            },
            "outliers": {
                "left_out": ["file:///parts/Gr%C3%B6%C3%9Fe%207.png"],
                "kept": ["file:///parts/8.png"],
            },
        }
    }
    show_learned(Screen(quiet=False), lesson(pictures(24), tmp_path), card, None)
    printed = capsys.readouterr().out
    assert "Of 24 good pictures, each compared with the others, 1 would be called an anomaly" in printed
    assert "overkill 4.2% (95 % interval 0.1% to 21.1%)" in printed
    assert "not remembered: Größe 7.png. Look at them." in printed
    assert "may be a variant: 8.png." in printed


def share(count: int, of: int) -> dict[str, Any]:
    """A share as model.json contains it; its interval is no matter here."""
    return {"value": count / of, "count": count, "of": of, "interval": [0.0, 1.0]}


def told(calibration: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is printed of a calibration."""
    card = {"metrics": {"calibration": calibration}}
    show_learned(Screen(quiet=False), lesson(pictures(40, 10), folder), card, None)
    return capsys.readouterr().out


def test_how_many_good_pictures_would_go_to_a_person_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    overkill, escape = share(1, 40), share(0, 10)
    many = told({"overkill": overkill, "doubtful": share(7, 40), "escape": escape}, tmp_path, capsys)
    lines = [line.strip() for line in many.splitlines()]
    assert "7 more would go to a person." in lines
    assert "To send fewer there, let some of the defective ones pass: --escape-rate 0.05." in lines

    few = told({"overkill": overkill, "doubtful": share(2, 40), "escape": escape}, tmp_path, capsys)
    assert "2 more would go to a person." in few
    assert "--escape-rate" not in few


def test_only_defective_pictures_can_be_let_pass_so_that_fewer_good_ones_go_to_a_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    printed = told({"overkill": share(0, 40), "doubtful": share(7, 40), "escape": None}, tmp_path, capsys)
    assert "7 more would go to a person." in printed
    assert "--escape-rate" not in printed


def test_nobody_is_told_of_a_person_if_no_good_picture_would_go_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    calibration = {"overkill": share(1, 40), "doubtful": share(0, 40), "escape": share(0, 10)}
    assert "to a person" not in told(calibration, tmp_path, capsys)
    # Models of before do not have it.
    del calibration["doubtful"]
    assert "to a person" not in told(calibration, tmp_path, capsys)


def test_pictures_go_to_the_line_and_to_the_station_of_their_folder(tmp_path: Path):
    file = tmp_path / "1.png"
    file.write_bytes(b"x")
    (source,) = uploads_of([Picture(file, "normal", defective=False)], "bottles")
    assert (source.key, source.read()) == ("incoming/bottles/normal/1.png", b"x")


def test_verdicts_are_counted_by_what_people_know_and_the_unexpected_ones_are_listed():
    wanted = [(False, "pass"), (False, "fail"), (True, "fail"), (True, "pass"), (True, None)]
    uploaded, records = [], {}
    for number, (defective, verdict) in enumerate(wanted):
        upload = Upload("o", f"s3://images/{number}", "v", 0.0)
        uploaded.append((Picture(Path("p"), "s", defective), upload))
        if verdict:
            records[upload.identity] = {"verdict": verdict, "number": number}
    verdicts = Verdicts(uploaded, records)
    assert (verdicts.counts(defective=False), verdicts.counts(defective=True)) == (
        {"pass": 1, "fail": 1},
        {"pass": 1, "fail": 1},
    )
    assert [record["number"] for record in verdicts.surprises()] == [1, 3]
    assert verdicts.missing == 1


# --- the command line ---


def test_without_a_running_cloud_it_says_how_to_start_one_before_it_learns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(program_runner, "require_torch", lambda: None)
    assert cli.run(["learn", str(tmp_path), "--home", str(tmp_path / "home")]) == 1
    message, hint = capsys.readouterr().err.splitlines()
    assert "No local cloud is running" in message
    assert "loupe up --detach" in hint
    assert "--up" in hint


def test_without_torch_it_says_how_to_install_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(program_runner, "find_spec", lambda name: None)
    assert cli.run(["learn", str(tmp_path)]) == 1
    assert "make dev" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["a/b", "..", " ", "a\x1b[31m"])
def test_a_name_that_cannot_be_a_line_is_refused(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(program_runner, "require_torch", lambda: None)
    assert cli.run(["learn", str(tmp_path), "--line", line]) == 1
    assert "cannot be the name of a line" in capsys.readouterr().err


def test_two_at_a_time_for_one_line_are_refused(
    press: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(program_runner, "require_torch", lambda: None)
    monkeypatch.setattr("loupe.commands.course.open_target", lambda stack, home: press.target)
    folder = folder_of(tmp_path / "home", "bottles")
    folder.mkdir(parents=True)
    first = Lock(folder)
    assert first.acquire()
    assert cli.run(["learn", str(tmp_path / "bottles"), "--home", str(tmp_path / "home")]) == 1
    assert "another `loupe learn` is at work for the line bottles" in capsys.readouterr().err
    first.release()
    assert cli.run(["learn", str(tmp_path / "bottles"), "--home", str(tmp_path / "home")]) == 1
    assert "no such file or folder" in capsys.readouterr().err


@pytest.fixture
def course(press: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command on a stack that serves nothing, with 24 good pictures; every step can be replaced."""
    hosted = {"ServingImageUri": IMAGE, "HostingInstanceType": "ml.m5.xlarge"}
    target = replace(press.target, outputs=press.target.outputs | hosted)
    monkeypatch.setattr(program_runner, "require_torch", lambda: None)
    monkeypatch.setattr("loupe.commands.course.open_target", lambda stack, home: target)
    monkeypatch.setattr("loupe.commands.course.look", lambda *arguments: pictures(24))

    def run(*options: str, **steps: Callable[..., Any]) -> int:
        for name, step in steps.items():
            monkeypatch.setattr(f"loupe.commands.course.{name.replace('__', '.')}", step)
        return cli.run(["learn", str(tmp_path / "bottles"), "--home", str(tmp_path / "home"), *options])

    return run


def interrupt(*arguments: Any, **named: Any) -> Any:
    raise KeyboardInterrupt


def untried(*arguments: Any, **named: Any) -> Trial:
    return Trial(0, 0, 0)


def trained(lesson: Lesson, on_event: Any) -> bool:
    lesson.run.mkdir(parents=True)
    lesson.archive.write_bytes(deployment.STARTER.read_bytes())
    return True


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ({"look": interrupt}, "nothing was learned yet, and nothing was changed"),
        (
            {"lessons__train": interrupt},
            "Stopped in the training. Nothing was deployed.\nThe same command starts it",
        ),
        ({"lessons__train": trained, "trial__run": interrupt}, "the model is finished"),
        (
            {"lessons__train": trained, "trial__run": untried, "deployment__deploy": interrupt},
            "a switch that has begun goes on without you",
        ),
    ],
)
def test_ctrl_c_says_what_is_done_and_how_to_go_on(
    course: Callable[..., int], capsys: pytest.CaptureFixture[str], steps: dict[str, Any], said: str
):
    assert course(**steps) == 130
    assert said in capsys.readouterr().err


def test_a_failed_training_deploys_nothing(course: Callable[..., int], capsys: pytest.CaptureFixture[str]):
    def fail(*arguments: Any) -> bool:
        raise LoupeError("the pictures are all the same", "Take others.")

    assert course(lessons__train=fail, deployment__deploy=interrupt) == 1
    assert capsys.readouterr().err.endswith("loupe: the pictures are all the same\n       Take others.\n")


def test_the_options_become_hyperparameters(course: Callable[..., int]):
    seen: list[Lesson] = []

    def note(lesson: Lesson, on_event: Any) -> bool:
        seen.append(lesson)
        raise KeyboardInterrupt

    options = ["--overkill-rate", "0.02", "--escape-rate", "0.05", "--set", "memory=500", "--line", "press 2"]
    course(*options, lessons__train=note)
    assert seen[0].settings == ("memory=500", "overkill_rate=0.02", "escape_rate=0.05")
    assert (seen[0].name, seen[0].family) == ("press 2", ANOMALY_FAMILY)
