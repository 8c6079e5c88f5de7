"""A local cloud on a disk that becomes full, and is killed. Needs the right to mount a small disk."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from loupe.stack import laptop
from loupe.stack.target import Target
from loupe.stack.uploads import Upload, follow
from tests.system.cloud_process import CloudProcess

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.promise(29)]
REPOSITORY = Path(__file__).parents[2]
ONCE = Config(retries={"total_max_attempts": 1})
IMAGE = b"no image " * 200_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for some images above what a cloud keeps free."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def upload_until_refused(client: Any, bucket: str) -> list[Upload]:
    """Upload images until the disk is full. Return those that were acknowledged."""
    acknowledged: list[Upload] = []

    def upload_on() -> None:
        for number in range(100):
            key = f"incoming/line/station/{number}.txt"
            reply = client.put_object(Bucket=bucket, Key=key, Body=IMAGE)
            acknowledged.append(Upload(key, f"s3://{bucket}/{key}", reply["VersionId"], 0))

    with pytest.raises(ClientError, match=r"ServiceUnavailable.* is full, so uploads are refused"):
        upload_on()
    return acknowledged


def fill(file: Path) -> None:
    with file.open("wb") as stream:
        while True:
            stream.write(IMAGE)


def test_what_was_acknowledged_before_the_disk_was_full_is_kept_and_room_is_used_again(disk: Path) -> None:
    process = CloudProcess(disk / "home", REPOSITORY)
    target = Target.local(process.home)
    client, bucket = process.connection.client("s3", ONCE), target.output("ImagesBucketName")
    acknowledged = upload_until_refused(client, bucket)
    assert laptop.read(target, process.home).full_disk is not None
    others = disk / "others"
    with pytest.raises(OSError, match="No space"):
        fill(others)
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        client.put_object(Bucket=bucket, Key="incoming/late", Body=b"")
    process.kill()

    others.unlink()
    subprocess.run(["mount", "-o", "remount,size=250m", str(disk)], check=True)
    process = CloudProcess(disk / "home", REPOSITORY)
    try:
        target = Target.local(process.home)
        assert len(follow(target, acknowledged, lambda _: None, patience=60)) == len(acknowledged)
        for upload in acknowledged:
            found = target.s3.get_object(Bucket=bucket, Key=upload.origin, VersionId=upload.version_id)
            assert found["Body"].read() == IMAGE
        more = upload_until_refused(process.connection.client("s3", ONCE), bucket)
        assert more
        # Without a restart: whoever deletes something makes room.
        for upload in [*acknowledged, *more]:
            target.s3.delete_object(Bucket=bucket, Key=upload.origin, VersionId=upload.version_id)
        target.s3.put_object(Bucket=bucket, Key="incoming/line/station/after.txt", Body=IMAGE)
        assert laptop.read(target, process.home).full_disk is None
        log = (process.home / "logs" / "cloud.log").read_text()
        assert log.count("is full, so uploads are refused") == 2, "once before the kill, and once after it"
        assert log.count("has room again") == 1
        assert "Traceback" not in log
    finally:
        process.stop()
