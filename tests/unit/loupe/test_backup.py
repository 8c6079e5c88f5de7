"""A backup brings back what was there, opens no door, and is refused before anything changes if it is not good."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.home.lock import Lock
from loupe import cli

USERS = {
    "ann": {"Username": "ann", "_password": "hunter2-Secret", "_groups": ["admin"], "_tokens": ["t0ken"]}
}
STATE: dict[str, Any] = {
    "iam": {
        "payload": {"access_keys": {"__scoped__": True, "data": {"AKIA1": {"SecretAccessKey": "s3cret-key"}}}}
    },
    "cognito": {
        "payload": {"user_pools": {"data": {"pool": {"_users": USERS}}}, "refresh_tokens": {"r3fresh": 1}}
    },
    "dynamodb": {"payload": {"records": list(range(1000))}},
}
SECRETS = (
    "hunter2",
    "s3cret-key",
    "t0ken",
    "r3fresh",
    "operator-key",
    "PRIVATE KEY",
    "0ne-t1me",
    "session-key",
)


def fill(home: Path) -> Path:
    for folder in ("state/cognito-pool-keys", "s3/bucket", "sagemaker", "logs", "sign-in"):
        (home / folder).mkdir(parents=True)
    for name, document in STATE.items():
        (home / "state" / f"{name}.json").write_text(json.dumps(document))
    (home / "state" / "sts.json").write_text('{"payload": "session-key"}')
    for name in ("state/cognito-rsa-key.pem", "state/cognito-pool-keys/pool-access.pem"):
        (home / name).write_text("BEGIN PRIVATE KEY")
    (home / "cloud.json").write_text(
        json.dumps({"port": 4566, "secret_access_key": "operator-key", "pid": 7})
    )
    (home / "admin-password").write_text("hunter2")
    (home / "sign-in" / "code").write_text("0ne-t1me")
    (home / "s3" / "bucket" / "image ü.jpg").write_bytes(os.urandom(5000))
    (home / "logs" / "link").symlink_to("/etc/hostname")
    return home


def run(*arguments: str | Path) -> int:
    return cli.run([str(argument) for argument in arguments])


def contents(home: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name != "lock"
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return fill(tmp_path / "home")


@pytest.fixture
def file(tmp_path: Path, home: Path) -> Path:
    file = tmp_path / "loupe.backup"
    assert run("backup", file, "--home", home) == 0
    return file


def test_what_was_backed_up_is_there_again(home: Path, file: Path) -> None:
    before = contents(home)
    assert run("reset", "--yes", "--home", home) == 0
    assert run("restore", file, "--home", home) == 0
    after = contents(home)
    same = ("s3/bucket/image ü.jpg", "state/dynamodb.json")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert json.loads(after["cloud.json"])["port"] == 4566
    assert oct((home / "state" / "dynamodb.json").stat().st_mode)[-3:] == "600"


def test_a_backup_opens_no_door(file: Path, tmp_path: Path) -> None:
    packed = gzip.decompress(file.read_bytes()).decode("latin-1")
    assert [secret for secret in SECRETS if secret in packed] == []
    assert oct(file.stat().st_mode)[-3:] == "600"
    other = tmp_path / "other"
    assert run("restore", file, "--home", other) == 0
    users = json.loads((other / "state" / "cognito.json").read_text())["payload"]["user_pools"]["data"][
        "pool"
    ]
    assert (users["_users"]["ann"]["_groups"], len(users["_users"]["ann"]["_password"]) > 30) == (
        ["admin"],
        True,
    )


def test_a_cloud_that_runs_is_neither_backed_up_nor_replaced(
    home: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock, before = Lock(home), contents(home)
    assert lock.acquire()
    assert run("backup", file, "--force", "--home", home) == 1
    assert run("restore", file, "--yes", "--home", home) == 1
    lock.release()
    assert "already running" in capsys.readouterr().err
    assert contents(home) == before


def test_without_a_person_to_ask_nothing_is_replaced(
    home: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115
    before = contents(home)
    assert run("restore", file, "--home", home) == 1
    assert "Add --yes." in capsys.readouterr().err
    assert run("backup", file, "--home", home) == 1
    assert "--force" in capsys.readouterr().err
    assert contents(home) == before


def test_what_loupe_has_not_written_stays(home: Path, file: Path) -> None:
    (home / "thesis.pdf").write_text("mine")
    (home / "s3" / "new.jpg").write_text("of later")
    assert run("restore", file, "--yes", "--home", home) == 0
    assert (home / "thesis.pdf").exists()
    assert not (home / "s3" / "new.jpg").exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_and_changes_nothing(
    file: Path, home: Path, tmp_path: Path, data: st.DataObject
) -> None:
    good = file.read_bytes()
    at = data.draw(st.integers(10, len(good) - 1))
    if data.draw(st.booleans()):
        bad = good[:at]
    else:
        bad = good[:at] + bytes([good[at] ^ (1 << data.draw(st.integers(0, 7)))]) + good[at + 1 :]
    damaged, before = tmp_path / "damaged", contents(home)
    damaged.write_bytes(bad)
    if run("restore", damaged, "--yes", "--home", home) == 0:
        # Some bits of a compressed file mean nothing.
        assert gzip.decompress(bad) == gzip.decompress(good)
    else:
        assert contents(home) == before


def repacked(
    file: Path, change: Callable[[dict[str, Any], list[tuple[tarfile.TarInfo, bytes]]], None]
) -> None:
    """Write a backup anew with a change, so that its own checksums are right again."""
    with tarfile.open(file) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
    manifest = json.loads(members[0][1])
    rest = members[1:]
    change(manifest, rest)
    with tarfile.open(file, "w:gz") as tar:
        body = json.dumps(manifest).encode()
        first = tarfile.TarInfo("backup.json")
        first.size = len(body)
        for member, content in [(first, body), *rest]:
            tar.addfile(member, io.BytesIO(content))


def newer(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    manifest.update(format=2, version="9.0")


def escaping(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    manifest["files"][0]["name"] = members[0][0].name = "../escaped.json"


def linking(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[0][0].type, members[0][0].linkname = tarfile.SYMTYPE, "/etc/hostname"


def lacking(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.pop()


def surplus(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.append((tarfile.TarInfo("state/extra.json"), b""))


def changed(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    member, content = members[0]
    members[0] = member, b"x" * len(content)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (newer, "of a newer version of Loupe (9.0)"),
        (escaping, "leads out of the home"),
        (linking, "is missing"),
        (lacking, "is missing"),
        (surplus, "more files than it says"),
        (changed, "is not what was written"),
    ],
)
def test_what_is_no_backup_of_this_version_is_refused_and_changes_nothing(
    home: Path,
    file: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any], list[tuple[tarfile.TarInfo, bytes]]], None],
    said: str,
) -> None:
    repacked(file, change)
    before = contents(home)
    assert run("restore", file, "--yes", "--home", home) == 1
    assert said in capsys.readouterr().err
    assert contents(home) == before
    assert not (home.parent / "escaped.json").exists()


def test_a_file_that_is_something_else_is_refused(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for content in (b"", b"PK\x03\x04", gzip.compress(b"hello")):
        other.write_bytes(content)
        assert run("restore", other, "--yes", "--home", home) == 1
    assert run("restore", tmp_path / "missing", "--yes", "--home", home) == 1


def test_there_must_be_a_cloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("backup", tmp_path / "file", "--home", tmp_path / "none") == 1
    assert "There is no local cloud" in capsys.readouterr().err
