"""What a program finds in its container."""

import subprocess
from pathlib import Path

import pytest

from training.job import container

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
