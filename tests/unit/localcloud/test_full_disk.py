"""A full disk refuses an upload before it is acknowledged, and recovers by itself. What is acknowledged is kept."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ministack.core.responses import request_scope
from ministack.services import s3

from localcloud.full_disk import FullDisk
from localcloud.home import files
from localcloud.home.space import LEAST_FREE_BYTES, Space
from localcloud.ministack import stored_objects
from localcloud.sagemaker.store import Store

BUCKET = "images"
_PATCHED = (
    "_atomic_write",
    "_dispatch",
    "_fire_s3_event_async",
    "_persist_displaced_version",
    "_persist_object",
    "_record_delete_marker",
    "_record_object_version",
)


class Disk:
    """S3 in this process, on a disk that can be full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder, self.full, self.events, self.told = folder, False, list[str](), list[str]()
        self.failing_write: int | None = None
        for name in _PATCHED:
            monkeypatch.setattr(s3, name, getattr(s3, name))
        for store in (s3._buckets, s3._object_versions, s3._bucket_versioning):
            monkeypatch.setattr(store, "_data", {})
        monkeypatch.setattr(s3, "DATA_DIR", str(folder))
        monkeypatch.setattr(s3, "S3_PERSIST", True)
        monkeypatch.setattr(s3, "_fire_s3_event_async", lambda bucket, key, *_, **__: self.events.append(key))
        monkeypatch.setattr(os, "open", self._opener(os.open))
        stored_objects.apply(Space(folder, self.told.append))
        self._make_bucket()

    def _opener(self, real: Callable[..., int]) -> Callable[..., int]:
        def opened(path: Any, *arguments: Any, **options: Any) -> int:
            if str(path).startswith(f"{self.folder}/"):
                if self.failing_write is not None:
                    self.failing_write -= 1
                if self.full or self.failing_write == 0:
                    raise OSError(errno.ENOSPC, "No space left on device")
            return real(path, *arguments, **options)

        return opened

    def _make_bucket(self) -> None:
        with request_scope("000000000000", "us-east-1"):
            s3._buckets.setdefault(BUCKET, {"created": "", "objects": {}, "region": None})
            s3._bucket_versioning[BUCKET] = "Enabled"

    def call(
        self, method: str, key: str, body: bytes = b"", **query: str
    ) -> tuple[int, dict[str, str], bytes]:
        with request_scope("000000000000", "us-east-1"):
            parameters = {name: [value] for name, value in query.items()}
            answer: tuple[int, dict[str, str], bytes] = s3._dispatch(
                method, BUCKET, key, {}, body, parameters
            )
            return answer

    def restart(self) -> None:
        """Forget what is in memory, as `kill -9` does, and read the disk."""
        for store in (s3._buckets, s3._object_versions):
            store._data.clear()
        s3._load_persisted_data()
        self._make_bucket()

    def versions(self, key: str) -> list[str]:
        found = s3._object_versions._data.get(("000000000000", (BUCKET, key)), [])
        return [version["version_id"] for version in found]


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch, tmp_path)


def test_an_upload_that_does_not_fit_is_refused_undone_and_not_announced(disk: Disk) -> None:
    status, headers, _ = disk.call("PUT", "incoming/a", b"first")
    assert (status, disk.events) == (200, ["incoming/a"])
    disk.full = True
    status, _, body = disk.call("PUT", "incoming/a", b"second")
    assert status == 503
    assert b"<Code>ServiceUnavailable</Code>" in body
    assert b"No space left on device" in body
    assert disk.call("PUT", "incoming/b", b"new")[0] == 503
    assert disk.events == ["incoming/a"]
    assert disk.versions("incoming/a") == [headers["x-amz-version-id"]]
    assert disk.call("GET", "incoming/a")[2] == b"first"
    assert disk.call("GET", "incoming/b")[0] == 404
    assert len(disk.told) == 1, "it is said once"

    disk.full = False
    assert disk.call("PUT", "incoming/a", b"third")[0] == 200
    assert disk.told[1].endswith("has room again, and uploads are accepted.")
    disk.restart()
    assert disk.call("GET", "incoming/a")[2] == b"third"
    assert disk.call("GET", "incoming/a", versionId=headers["x-amz-version-id"])[2] == b"first"


def test_a_deletion_that_cannot_be_remembered_is_refused(disk: Disk) -> None:
    disk.call("PUT", "incoming/a", b"first")
    disk.full = True
    assert disk.call("DELETE", "incoming/a")[0] == 503
    assert disk.call("GET", "incoming/a")[2] == b"first"
    disk.full = False
    assert disk.call("DELETE", "incoming/a")[0] == 204
    disk.restart()
    assert disk.call("GET", "incoming/a")[0] == 404


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    uploads=st.lists(st.tuples(st.sampled_from(["incoming/a", "incoming/b"]), st.integers(0, 6)), max_size=8),
    deleted=st.booleans(),
)
def test_what_is_acknowledged_is_there_after_a_restart(
    disk: Disk, uploads: list[tuple[str, int]], deleted: bool
) -> None:
    """At each upload another write fails, or none."""
    shutil.rmtree(disk.folder, ignore_errors=True)
    disk.folder.mkdir()
    disk.restart()
    acknowledged: dict[str, list[tuple[str, bytes]]] = {"incoming/a": [], "incoming/b": []}
    for number, (key, failing) in enumerate(uploads):
        disk.failing_write = failing or None
        status, headers, _ = disk.call("PUT", key, b"%d" % number)
        if status == 200:
            acknowledged[key].append((headers["x-amz-version-id"], b"%d" % number))
        if deleted and number == 3 and disk.call("DELETE", key)[0] == 204:
            acknowledged[key].append((disk.versions(key)[-1], b""))
    disk.failing_write = None
    disk.restart()
    for key, versions in acknowledged.items():
        assert disk.versions(key) == [version for version, _ in versions]
        for version, content in versions:
            if content:
                assert disk.call("GET", key, versionId=version)[2] == content


def test_a_file_is_replaced_as_a_whole_or_not_at_all(disk: Disk) -> None:
    file = disk.folder / "cloud.json"
    files.replace(file, "first")
    disk.full = True
    with pytest.raises(OSError, match="No space"):
        files.replace(file, "second")
    assert file.read_text() == "first"
    assert list(disk.folder.iterdir()) == [file], "half a file would keep the disk full"


def test_what_sagemaker_cannot_remember_has_not_happened(disk: Disk) -> None:
    store = Store(disk.folder / "sagemaker.json")
    store.put("Model", "first", {"ModelName": "first"})
    disk.full = True
    with pytest.raises(OSError, match="No space"):
        store.add("Model", "second", {})
    with pytest.raises(OSError, match="No space"):
        store.delete("Model", "first")
    assert [record["ModelName"] for record in store.all("Model")] == ["first"]
    disk.full = False
    assert store.add("Model", "second", {"ModelName": "second"})
    assert len(Store(disk.folder / "sagemaker.json").all("Model")) == 2


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that are free on the disk."""
    left = [10 * LEAST_FREE_BYTES]
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=left[0]))
    return left


def test_uploads_are_refused_before_the_state_can_no_longer_be_saved(tmp_path: Path, free: list[int]) -> None:
    told: list[str] = []
    space = Space(tmp_path, told.append)
    assert space.lack(8 * LEAST_FREE_BYTES) is None
    assert space.lack(10 * LEAST_FREE_BYTES) is not None
    assert told == [], "one large upload does not make the disk full"
    free[0] = LEAST_FREE_BYTES - 1
    assert "uploads are refused until 100 MB are free" in str(space.lack())
    space.lack(7)
    free[0] = LEAST_FREE_BYTES
    assert space.lack(LEAST_FREE_BYTES // 2) is None, "no upload of a usual size is refused in silence"
    assert len(told) == 2

    state = tmp_path / "state" / "dynamodb.json"
    state.parent.mkdir()
    with state.open("wb") as file:
        file.truncate(LEAST_FREE_BYTES)
    assert Space(tmp_path).reserve > 2 * LEAST_FREE_BYTES, "a new state is written beside the former one"


SIGNED = (b"authorization", b"AWS4-HMAC-SHA256 Credential=A/20260131/us-east-1/s3/aws4_request, Signature=1")
OTHER = (b"authorization", SIGNED[1].replace(b"/s3/", b"/dynamodb/"))


@pytest.mark.parametrize(
    ("method", "query", "headers", "status"),
    [
        ("PUT", b"", [SIGNED], 503),
        ("POST", b"uploads", [SIGNED], 503),
        ("PUT", b"X-Amz-Credential=A%2F20260131%2Fus-east-1%2Fs3%2Faws4_request", [], 503),
        ("GET", b"", [SIGNED], 200),
        ("DELETE", b"", [SIGNED], 200),
        ("POST", b"delete", [SIGNED], 200),
        ("POST", b"", [OTHER], 200),
    ],
)
def test_a_full_disk_refuses_what_stores_objects_and_nothing_else(
    tmp_path: Path,
    free: list[int],
    method: str,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    status: int,
) -> None:
    free[0] = 0
    sent: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"image"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/images/a", "query_string": query, "headers": headers}
    asyncio.run(FullDisk(app, Space(tmp_path))(scope, receive, send))
    assert sent[0]["status"] == status
