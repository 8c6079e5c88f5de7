"""A home or a port that cannot be used is named, with what to do next, and nothing is left behind."""

import errno
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from localcloud import AlreadyRunningError, HomeError, InvalidPortError, LocalCloudError
from localcloud.cloud import LocalCloud
from localcloud.home import lock
from localcloud.home.folder import Home
from localcloud.home.log_file import LogFile


@pytest.mark.parametrize("port", [-1, 0, 65536, 80000])
def test_a_port_that_does_not_exist_is_refused(tmp_path: Path, port: int) -> None:
    with pytest.raises(InvalidPortError, match=f"Port {port} does not exist") as error:
        LocalCloud(tmp_path / "home", port).start()
    assert "1024 to 65535" in error.value.hint
    assert not (tmp_path / "home").exists()


def test_a_port_of_the_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidPortError, match="reserved"):
        LocalCloud(tmp_path, 22).start()


@pytest.mark.parametrize("below", ["file", "file/home", "x" * 300, "/".join(["x" * 200] * 25)])
def test_a_home_that_is_no_folder_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(HomeError, match="cannot be used") as error:
        LocalCloud(tmp_path / below).start()
    assert "--home FOLDER" in error.value.hint


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EROFS, "Make it writable"),
        (errno.EACCES, "Make it writable"),
    ],
)
@pytest.mark.parametrize("name", ["home", "lock", "state"])
def test_a_full_or_read_only_disk_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str, name: str
) -> None:
    def refuse(function: Any) -> Any:
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            if Path(path).name == name:
                raise OSError(number, os.strerror(number))
            return function(path, *arguments, **options)

        return call

    monkeypatch.setattr(os, "mkdir", refuse(os.mkdir))
    monkeypatch.setattr(os, "open", refuse(os.open))
    with pytest.raises(HomeError, match=os.strerror(number)) as error:
        Home(tmp_path / "home").open()
    assert hint in error.value.hint


def test_a_nearly_full_disk_is_named_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=99_000_000))
    with pytest.raises(HomeError, match="No space left") as error:
        Home(tmp_path).open()
    assert "Free some space" in error.value.hint
    assert lock.holder(tmp_path) is None


@pytest.mark.parametrize("place", ["tmp/function", "sagemaker/endpoints/loupe"])
def test_what_a_killed_cloud_has_left_at_work_ends_with_the_next_start(tmp_path: Path, place: str) -> None:
    home = Home(tmp_path / "home")
    folder = home.root / place
    folder.mkdir(parents=True)
    waits = [sys.executable, "-c", "print(flush=True); input()"]
    with (
        subprocess.Popen(waits, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as left,
        subprocess.Popen(waits, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other,
    ):
        for process in (left, other):
            assert process.stdout is not None
            process.stdout.readline()
        home.open()
        try:
            assert not psutil.pid_exists(left.pid)
            assert other.poll() is None
        finally:
            home.close()
            other.kill()


def test_a_log_on_a_full_disk_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("only Linux has a device that is always full")
    file = tmp_path / "cloud.log"
    file.symlink_to("/dev/full")
    log = LogFile(file, backups=1)
    log.handle(logging.makeLogRecord({"msg": "a line"}))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("content", ["", "{", '{"Endpoint": {'])
def test_a_damaged_file_of_the_state_is_named_and_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / "state").mkdir()
    file = tmp_path / "state" / "dynamodb.json"
    file.write_text(content)
    home = Home(tmp_path)
    with pytest.raises(HomeError, match=r"dynamodb\.json is damaged"):
        home.open()
    assert file.read_text() == content
    assert lock.holder(tmp_path) is None
    file.write_text('{"__ministack_format__": 1}')
    home.open()
    home.close()


def test_a_lock_names_its_holder_and_what_it_waits_for(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert lock.holder(tmp_path) is None
    home.open()
    home.tell("ending 2 jobs")
    holder = lock.holder(tmp_path)
    assert holder is not None
    assert (holder.pid, holder.step) == (os.getpid(), "ending 2 jobs")
    with pytest.raises(AlreadyRunningError, match=f"already running by process {os.getpid()}") as error:
        Home(tmp_path).open()
    assert "loupe down" in error.value.hint
    home.close()
    assert lock.holder(tmp_path) is None


def test_every_error_has_its_hint_apart_from_its_message() -> None:
    error = LocalCloudError("What is wrong.", "What to do.")
    assert (str(error), error.message, error.hint) == ("What is wrong.", "What is wrong.", "What to do.")
