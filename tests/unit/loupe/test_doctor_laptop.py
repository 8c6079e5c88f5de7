"""What the doctor says about a machine on which something is wrong."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from loupe.doctor import laptop
from loupe.doctor.examination import Finding, Result, examine
from loupe.doctor.laptop import Laptop

_NOBODYS_PID = 2**22 + 1


class Version(NamedTuple):
    major: int
    minor: int
    micro: int


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout with a lock and a built page."""
    folder = tmp_path / "repository"
    (folder / "requirements").mkdir(parents=True)
    (folder / "requirements" / "dev.txt").write_text(
        f"pytest=={metadata.version('pytest')} \\\n    --hash=x\n"
    )
    (folder / "dashboard" / "dist").mkdir(parents=True)
    (folder / "dashboard" / "dist" / "index.html").write_text("<!doctype html>")
    return folder


def diagnosis(check: Callable[[Laptop], Any], home: Path, repository: Path) -> Finding:
    (finding,) = examine([check], Laptop(home, repository))
    return finding


def test_a_healthy_machine_has_nothing_but_good_news(home: Path, repository: Path) -> None:
    findings = examine(laptop.CHECKS, Laptop(home, repository))
    assert {finding.check for finding in findings} >= {"python", "home folder", "local cloud", "packages"}
    assert [finding for finding in findings if finding.result is not Result.OK] == []


def test_an_old_python_is_named(home: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", Version(3, 10, 4))
    found = diagnosis(laptop.python, home, repository)
    assert (found.result, "3.10.4" in found.text, "3.11" in found.command) == (Result.PROBLEM, True, True)


@pytest.mark.parametrize(("free", "result"), [(50_000_000, Result.PROBLEM), (500_000_000, Result.WARNING)])
def test_a_full_disk_is_named(
    home: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, free: int, result: Result
) -> None:
    usage = shutil.disk_usage(home)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
    found = diagnosis(laptop.disk_space, home / "not" / "there" / "yet", repository)
    assert found.result is result
    assert "Free some space" in found.command


def test_a_home_that_others_may_read_gets_the_command_that_closes_it(home: Path, repository: Path) -> None:
    home.chmod(0o755)
    found = diagnosis(laptop.home_folder, home, repository)
    assert (found.result, found.command) == (Result.PROBLEM, f"chmod 700 {home}")


def test_a_home_that_is_a_file_is_named(home: Path, repository: Path) -> None:
    file = home / "file"
    file.write_text("")
    assert "not a folder" in diagnosis(laptop.home_folder, file, repository).text


def test_a_killed_cloud_is_told_from_one_that_was_stopped(home: Path, repository: Path) -> None:
    lock = home / "lock"
    lock.write_text(json.dumps({"pid": _NOBODYS_PID, "created": 0.0, "step": ""}).ljust(512))
    found = diagnosis(laptop.local_cloud, home, repository)
    assert (found.result, "was killed" in found.text) == (Result.WARNING, True)
    lock.write_text(" " * 512)
    assert diagnosis(laptop.local_cloud, home, repository).result is Result.OK


def test_a_damaged_connection_is_named(home: Path, repository: Path) -> None:
    (home / "cloud.json").write_text("{")
    found = diagnosis(laptop.local_cloud, home, repository)
    assert (found.result, found.command) == (Result.PROBLEM, "loupe reset")


def test_a_package_in_another_version_than_the_locked_one_is_named(home: Path, repository: Path) -> None:
    (repository / "requirements" / "dev.txt").write_text("pytest==0.0.1 ; python_version < '3.12' \\\n")
    found = diagnosis(laptop.packages, home, repository)
    expected = f"pytest {metadata.version('pytest')} instead of 0.0.1"
    assert (found.result, expected in found.text, found.command) == (Result.WARNING, True, "make dev")


def test_a_package_may_be_locked_in_a_version_for_each_python(home: Path, repository: Path) -> None:
    pins = f"pytest==0.0.1 ; python_version < '3'\npytest=={metadata.version('pytest')}\n"
    (repository / "requirements" / "dev.txt").write_text(pins)
    assert diagnosis(laptop.packages, home, repository).result is Result.OK


def test_a_page_that_is_not_built_is_named(home: Path, repository: Path) -> None:
    os.remove(repository / "dashboard" / "dist" / "index.html")
    found = diagnosis(laptop.dashboard_page, home, repository)
    assert (found.result, found.command) == (Result.PROBLEM, "make dashboard")


def test_a_check_that_fails_hides_nothing_of_the_others(home: Path, repository: Path) -> None:
    def broken(patient: Laptop) -> Any:
        raise RuntimeError("the disk hums")
        yield

    first, second = examine([broken, laptop.python], Laptop(home, repository))
    assert (first.check, first.result, first.text) == (
        "broken",
        Result.NOT_RUN,
        "could not run: the disk hums",
    )
    assert second.result is Result.OK
