"""All lines about one image, from its upload to its record, by its serial, its key, or the id of its inspection."""

import json
from pathlib import Path
from typing import Any

import pytest

from localcloud.sources import REPOSITORY
from loupe.stack import image_history
from loupe.stack.logs import StackLogs
from loupe.stack.target import Target
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.commands import loupe

pytestmark = pytest.mark.system
SAMPLE = REPOSITORY / "samples" / "line-2" / "bottom" / "SN1003.jpg"


def lines_of(process: CloudProcess, *arguments: str) -> list[dict[str, Any]]:
    done = loupe("logs", *arguments, "--json", home=process.home)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_image_is_followed_from_s3_to_its_record_by_serial_key_and_id(
    loupe_process: CloudProcess, target: Target
) -> None:
    key, bucket = "incoming/line-7/top/LOG-1.jpg", target.outputs["ImagesBucketName"]
    target.s3.put_object(Bucket=bucket, Key=key, Body=SAMPLE.read_bytes())
    image = eventually(lambda: next((i for i in image_history.by_key(target, key) if i.record), None))
    by_key = lines_of(loupe_process, key)
    assert [line["log"] for line in by_key][:2] == ["s3", "record"]
    assert f"s3://{bucket}/{key}" in by_key[0]["message"]
    assert image.identity in by_key[1]["message"]
    for named in (("--serial", "LOG-1"), ("--id", image.identity)):
        assert [line["message"] for line in lines_of(loupe_process, *named)][:2] == [
            line["message"] for line in by_key[:2]
        ]


def test_an_image_that_the_model_refuses_leaves_lines_of_endpoint_and_record_under_one_id(
    loupe_process: CloudProcess, target: Target, tmp_path: Path
) -> None:
    # The header is right, and the picture ends too early: the function cannot know, the container does.
    key, bucket = "incoming/line-7/top/LOG-2.jpg", target.outputs["ImagesBucketName"]
    target.s3.put_object(Bucket=bucket, Key=key, Body=SAMPLE.read_bytes()[:3000])
    image = eventually(lambda: next((i for i in image_history.by_key(target, key) if i.record), None))
    logs = StackLogs(target)
    eventually(
        lambda: any(line.source == "endpoint" for line in image_history.lines(target, logs, image, None))
    )
    found = lines_of(loupe_process, key)
    assert {"s3", "endpoint", "record"} <= {line["log"] for line in found}
    refusal = next(line for line in found if line["log"] == "endpoint")
    assert image.identity in refusal["message"]
    assert refusal["level"] == "WARNING"
    errors = lines_of(loupe_process, "--id", image.identity, "--errors")
    assert {line["log"] for line in errors} == {line["log"] for line in found if line["level"] == "WARNING"}


def test_an_image_that_was_never_there_is_an_error_with_a_way_on(loupe_process: CloudProcess) -> None:
    missing = loupe("logs", "incoming/line-7/top/NEVER.jpg", home=loupe_process.home)
    assert (missing.returncode, "does not exist" in missing.stderr) == (1, True)
    unknown = loupe("logs", "--serial", "NEVER", home=loupe_process.home)
    assert (unknown.returncode, "no inspection of the part" in unknown.stderr) == (1, True)
    twice = loupe("logs", "--serial", "NEVER", "--id", "6d0f", home=loupe_process.home)
    assert (twice.returncode, "named in one way" in twice.stderr) == (1, True)
