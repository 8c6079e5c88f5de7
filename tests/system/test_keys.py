"""Images under any key of S3, from the upload over the real notification to the record."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contract.keys import INCOMING, place
from loupe.stack import queues
from loupe.stack.target import Target
from loupe.stack.uploads import Upload, follow
from tests.promises import Tell
from tests.system.cloud_process import eventually

pytestmark = [pytest.mark.system, pytest.mark.promise(4)]
LONGEST = 1024  # bytes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
# Each of these has been read wrongly by somebody.
ODD = (
    "+",
    "%2B",
    "%2b",
    "%",
    "%25",
    " ",
    "\r",
    "\n",
    "\r\n",
    "\t",
    "\x05",
    "&",
    "?",
    "#",
    "<",
    '"',
    "'",
    "\\",
    "..",
    "//",
)


def fitted(text: str) -> str:
    """Return a key below `incoming/` of at most as many bytes as S3 allows, which is no folder."""
    key = (INCOMING + text).encode()[:LONGEST].decode(errors="ignore")
    if not key.endswith("/"):
        return key
    return f"{key}x" if len(key.encode()) < LONGEST else f"{key[:-1]}x"


PARTS = st.sampled_from(ODD) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
)
KEYS = st.lists(PARTS, min_size=1, max_size=12).map("".join)
LONG_KEYS = st.tuples(KEYS, st.sampled_from("xü日🔩")).map(lambda drawn: drawn[0] + drawn[1] * LONGEST)


def tried_at_once(target: Target, keys: list[str]) -> None:
    bucket, uploads = target.output("ImagesBucketName"), []
    for key in keys:
        stored = target.s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
        uploads.append(Upload(key, f"s3://{bucket}/{key}", stored["VersionId"], time.time()))
    records = follow(target, uploads, lambda _: None, patience=60)
    # `follow` finds a record by exactly this key, and by no other one.
    assert [upload.origin for upload in uploads if upload.identity not in records] == []
    for upload in uploads:
        record, expected = records[upload.identity], place(upload.origin)
        assert (record["line"], record["station"], record["serial"]) == (
            expected.line,
            expected.station,
            expected.serial,
        )
        # It was read under this key: the text is no image.
        assert [reason["code"] for reason in record["reasons"]] == ["unsupported_format"]


@settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.generate],  # to look for a smaller key takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(KEYS | LONG_KEYS, min_size=10, max_size=20))
def test_any_key_makes_the_round_trip_through_notification_and_record(
    target: Target, tried: Tell, texts: list[str]
) -> None:
    keys = sorted({fitted(text) for text in texts})
    tried_at_once(target, keys)
    tried(images=len(keys))


def test_each_odd_part_makes_the_round_trip(target: Target, tried: Tell) -> None:
    keys = [f"{INCOMING}l/s/a{part}b" for part in ODD]
    keys += [f"{INCOMING}l/s/{part}" for part in ("\r", "\n", " ", "+", "a\n", "a\r\n", "a ", " a")]
    keys += [INCOMING + letter * ((LONGEST - len(INCOMING)) // len(letter.encode())) for letter in "xü日🔩"]
    dead = sum(queues.count(target, "DeadLetterQueueUrl"))
    tried_at_once(target, keys)
    tried(images=len(keys))
    # What compares the bucket with the table sees them, too.
    pages = target.s3.get_paginator("list_object_versions").paginate(Bucket=target.output("ImagesBucketName"))
    assert set(keys) <= {version["Key"] for page in pages for version in page["Versions"]}
    eventually(lambda: sum(queues.count(target, "QueueUrl")) == 0)
    assert sum(queues.count(target, "DeadLetterQueueUrl")) == dead
