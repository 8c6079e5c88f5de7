"""What a program finds in its container."""

import json
import subprocess
from pathlib import Path

import pytest

from training.job import container
from training.job.errors import TrainingError

COMMIT = ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--allow-empty", "-m", "theirs"]


def test_the_commit_of_an_installed_package_is_not_that_of_the_repository_that_it_is_installed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for arguments in (["init", "--quiet"], COMMIT):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    (tmp_path / ".venv/training/job").mkdir(parents=True)
    monkeypatch.delenv("LOUPE_GIT_SHA", raising=False)
    monkeypatch.setattr(container, "__file__", str(tmp_path / ".venv/training/job/container.py"))
    assert container.git_sha() == "unknown"
    monkeypatch.setattr(container, "__file__", str(tmp_path / "training/job/container.py"))
    assert len(container.git_sha()) == 40


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            TrainingError("the test part is empty", hint="Label more images."),
            "TrainingError: the test part is empty\nLabel more images.",
        ),
        (TrainingError("ü" * 2000), "TrainingError: " + "ü" * 504),
        (TrainingError("\udcff"), "TrainingError: ?"),
    ],
    ids=["with a hint", "too long", "not UTF-8"],
)
def test_training_and_processing_read_the_first_kilobyte_of_the_reason_each_where_sagemaker_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: TrainingError, expected: str
):
    monkeypatch.setenv("LOUPE_ML_ROOT", str(tmp_path))

    def fail(_: container.Container) -> None:
        raise error

    assert container.run(fail) == 1
    for name in ("failure", "message"):
        content = (tmp_path / "output" / name).read_bytes()
        assert len(content) <= 1024
        assert content.decode() == expected


def write_hyperparameters(root: Path, values: dict[str, str]) -> None:
    file = root / "input/config/hyperparameters.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(values))


def test_hyperparameters_that_an_estimator_has_written_as_json_are_read(tmp_path: Path):
    given = {"family": "ssdlite", "optimizer": "adam", "learning_rate": 0.1, "batch_size": "8", "tuned": True}
    # As sagemaker.estimator.EstimatorBase does, and its tuner for choices.
    quoted = {name: json.dumps(value) for name, value in given.items()} | {"weights": "null"}
    write_hyperparameters(tmp_path, quoted)
    assert container.Container(tmp_path).hyperparameters() == {
        "family": "ssdlite",
        "optimizer": "adam",
        "learning_rate": "0.1",
        "batch_size": "8",
        "tuned": "true",
    }


@pytest.mark.parametrize("text", ["ssdlite", "0.1", "", '"', '"a" or "b"', "'a'"])
def test_a_hyperparameter_that_is_no_json_string_stays_as_it_is(tmp_path: Path, text: str):
    write_hyperparameters(tmp_path, {"name": text})
    assert container.Container(tmp_path).hyperparameters() == {"name": text}


@pytest.mark.parametrize("name", ["sagemaker_program", "sagemaker_submit_directory"])
def test_a_job_with_a_script_fails_and_says_what_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv("LOUPE_ML_ROOT", str(tmp_path))
    write_hyperparameters(tmp_path, {"family": '"ssdlite"', name: '"train.py"'})
    started = []
    assert container.run(started.append) == 1
    assert not started
    reason = (tmp_path / "output/failure").read_text()
    assert (
        f"ScriptError: this image runs Loupe's own programs, and no script (hyperparameter {name}='train.py')"
        in reason
    )
    assert "Leave entry_point, source_dir and source_code out" in reason


def test_what_the_sdk_says_of_its_estimator_is_no_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOUPE_ML_ROOT", str(tmp_path))
    named = {"sagemaker_estimator_class_name": '"Estimator"', "_tuning_objective_metric": '"val:map"'}
    write_hyperparameters(tmp_path, named)
    assert container.run(lambda _: None) == 0


def test_a_processing_job_has_its_message_beside_its_own_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LOUPE_ML_ROOT", str(tmp_path / "processing"))

    def fail(_: container.Container) -> None:
        raise TrainingError("no test images")

    assert container.run(fail) == 1
    assert (tmp_path / "output/message").read_text() == "TrainingError: no test images"
    assert (tmp_path / "processing/output/failure").read_text() == "TrainingError: no test images"


def test_trainings_that_share_a_place_for_checkpoints_never_meet_and_a_restart_finds_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folders = []
    for name in ("press-hpo-001-abc", "press-hpo-002-def", "press-hpo-001-abc"):
        monkeypatch.setenv("TRAINING_JOB_NAME", name)
        folders.append(container.Container(tmp_path).checkpoints)
    assert folders == [
        tmp_path / "checkpoints" / name
        for name in ("press-hpo-001-abc", "press-hpo-002-def", "press-hpo-001-abc")
    ]


def test_a_training_by_hand_keeps_its_checkpoints_in_the_folder_that_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("TRAINING_JOB_NAME", raising=False)
    assert container.Container(tmp_path).checkpoints == tmp_path / "checkpoints"
    monkeypatch.setenv("TRAINING_JOB_NAME", "leftover")
    assert container.Container(tmp_path, channels={}).checkpoints == tmp_path / "checkpoints"
