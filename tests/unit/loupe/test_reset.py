"""`loupe reset` deletes the local cloud's state, and nothing else."""

import json
import os
from pathlib import Path

import pytest

from localcloud.home.lock import Lock
from loupe import cli

STATE = ("state", "s3", "sagemaker", "logs", "tmp", "pictures", "learn")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    for name in STATE:
        (home / name).mkdir(parents=True)
        (home / name / "file").write_text("x")
    (home / "secret").write_text("x")
    return home


def test_reset_deletes_the_state_and_the_empty_home(home: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.run(["reset", "--yes", "--home", str(home), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["deleted"]) == 8
    assert not home.exists()


def test_what_the_cloud_did_not_write_stays(home: Path):
    (home / "thesis.pdf").write_text("mine")
    assert cli.run(["reset", "--yes", "--home", str(home)]) == 0
    assert [file.name for file in home.iterdir()] == ["thesis.pdf"]


def test_without_a_person_to_ask_nothing_is_deleted(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115
    assert cli.run(["reset", "--home", str(home)]) == 1
    assert "Add --yes." in capsys.readouterr().err
    assert (home / "state").exists()


def test_a_running_cloud_is_not_deleted(home: Path, capsys: pytest.CaptureFixture[str]):
    lock = Lock(home)
    assert lock.acquire()
    assert cli.run(["reset", "--yes", "--home", str(home)]) == 1
    lock.release()
    message = capsys.readouterr().err
    assert "already running" in message
    assert f"process {os.getpid()}" in message
    assert (home / "state").exists()


def test_nothing_to_delete_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.run(["reset", "--home", str(tmp_path / "none")]) == 0
    assert "nothing to delete" in capsys.readouterr().out
