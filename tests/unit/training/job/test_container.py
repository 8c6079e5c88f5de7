"""What a program finds in its container."""

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
