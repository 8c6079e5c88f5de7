"""`kill -9` of the local cloud under load, again and again, with a small and with a large table."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import filling
from contract.s3 import join
from loupe.stack.target import Target
from loupe.stack.uploads import Identity
from tests.chaos.factory import Factory
from tests.chaos.oracle import check
from tests.chaos.traffic import Traffic
from tests.promises import Tell

pytestmark = [
    pytest.mark.system,
    pytest.mark.nightly,
    pytest.mark.timeout(1800),
    pytest.mark.promise(1, 9, 28),
]
KILLS, IMAGES = 10, 60


@pytest.mark.parametrize("filled", [100, 10_000])
def test_ten_kills_under_load_leave_one_record_for_each_version_of_an_image(
    filled: int, tmp_path: Path, tried: Tell
) -> None:
    """With the starter model behind the endpoint. A large table is saved less often, so a kill takes more."""
    factory = Factory(tmp_path / "home", tmp_path / "orders")
    try:
        filling.fill(factory.target, filled)
        with Traffic(factory, "kills") as traffic:
            for _ in range(KILLS):
                traffic.acknowledged(IMAGES)
                factory.kill()
                factory.start()
            traffic.acknowledged(IMAGES)
            traffic.finish()
        # An alert that was sent after the last save before a kill is sent again, with the same id.
        records = check(factory, traffic, repeated=len(traffic.sent))
        found = [(record["image"], record["version_id"]) for record in records]
        assert sorted(found) == sorted(_versions(factory.target, "incoming/kills/"))
        tried(images=len(traffic.sent), faults=KILLS)
    finally:
        factory.stop()


def _versions(target: Target, prefix: str) -> list[Identity]:
    """Return all versions of objects below a prefix of the images bucket."""
    bucket = target.output("ImagesBucketName")
    pages = target.s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    return [
        (join(bucket, version["Key"]), version["VersionId"])
        for page in pages
        for version in page.get("Versions", [])
    ]
