"""Images by reference: the endpoint reads exactly the named version, and tells an image's error from the account's."""

from __future__ import annotations

import io

import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.response import StreamingBody
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.unit.training.serving.serving_support import Brightness, png, refer, running
from training.serving import objects
from training.serving.objects import ObjectReader
from training.serving.refusals import RefusedError
from training.serving.settings import Settings

BUCKET = "images"


@pytest.fixture
def s3(moto_s3):
    moto_s3.create_bucket(Bucket=BUCKET)
    moto_s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return moto_s3


def put(s3, body, key="incoming/l/s/部 品+%2B.png"):
    version = s3.put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"]
    return {"s3": {"bucket": BUCKET, "key": key, "version_id": version}}


def asked(*references, model=None, **options):
    import asyncio

    async def all_of_them():
        async with running(model or Brightness(), Settings(**options)) as app:
            return [await refer(app, reference) for reference in references]

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("batch", [1, 4])
def test_the_named_version_is_answered_and_no_other(s3, batch):
    old, new = put(s3, png(10)), put(s3, png(250))
    scores = [answer.document["detections"][0]["score"] for answer in asked(old, new, old, new, batch=batch)]
    assert scores == pytest.approx([10 / 255, 250 / 255] * 2, abs=0.01)


def test_an_object_put_before_its_bucket_kept_versions_can_be_named(s3):
    s3.create_bucket(Bucket="plain")
    s3.put_object(Bucket="plain", Key="k", Body=png(40))
    (answer,) = asked({"s3": {"bucket": "plain", "key": "k", "version_id": "null"}})
    assert answer.status == 200


def test_an_image_by_reference_gets_the_errors_of_any_image(s3, encode, scene):
    answers = asked(put(s3, b"no image"), put(s3, b""), put(s3, encode(scene, "JPEG")[:-99]))
    assert [(answer.status, answer.code) for answer in answers] == [
        (422, "unsupported_format"),
        (422, "empty_image"),
        (422, "corrupt_image"),
    ]


def test_a_deleted_version_is_an_error_of_the_image(s3):
    gone, hidden = put(s3, png(1)), put(s3, png(2), key="hidden")
    s3.delete_object(Bucket=BUCKET, Key=gone["s3"]["key"], VersionId=gone["s3"]["version_id"])
    marker = s3.delete_object(Bucket=BUCKET, Key="hidden")["VersionId"]
    marked = {"s3": {**hidden["s3"], "version_id": marker}}
    never = {"s3": {**gone["s3"], "key": "never"}}
    for answer in asked(gone, marked, never):
        assert (answer.status, answer.code) == (422, "object_not_found")
    assert asked(hidden)[0].status == 200  # the version below the marker is still there


def test_an_object_that_is_too_large_is_refused_before_its_bytes_are_read(s3, monkeypatch):
    reference = put(s3, bytes(2001))
    monkeypatch.setattr(StreamingBody, "read", lambda *_: pytest.fail("its bytes were read"))
    (answer,) = asked(reference, max_object_bytes=2000)
    assert (answer.status, answer.code) == (422, "object_too_large")


class Client:
    """An S3 client of which the test says what it does."""

    def __init__(self, body, length):
        self._reply = {"Body": body, "ContentLength": length}

    def get_object(self, **_):
        return self._reply


def reader(body, length, limit):
    objects_reader = ObjectReader(limit, 1)
    objects_reader._client = Client(body, length)
    return objects_reader


GIVEN = b'{"s3": {"bucket": "bbb", "key": "k", "version_id": "v"}}'


def test_an_object_longer_than_declared_is_not_read_to_its_end():
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size=-1):
            Endless.given += size
            return bytes(size)

    body = Endless()
    with pytest.raises(RefusedError) as caught:
        reader(body, 10, limit=3 * 1024 * 1024).read(GIVEN)
    assert (caught.value.status, caught.value.code) == (422, "object_too_large")
    assert Endless.given <= 5 * 1024 * 1024


def test_an_object_that_stops_arriving_ends_after_a_timeout(monkeypatch):
    monkeypatch.setattr(objects, "_SECONDS", 0.0)
    with pytest.raises(RefusedError) as caught:
        reader(io.BytesIO(bytes(100)), 100, limit=1000).read(GIVEN)
    assert (caught.value.status, caught.value.code) == (503, "object_unavailable")


@pytest.mark.parametrize(
    "code", ["AccessDenied", "SlowDown", "InternalError", "NoSuchBucket", "ExpiredToken"]
)
def test_an_error_of_the_account_lets_the_image_wait(s3, monkeypatch, code):
    reference = put(s3, png(1))

    def refuse(*_, **__):
        from botocore.exceptions import ClientError

        raise ClientError({"Error": {"Code": code, "Message": "CANARY"}}, "GetObject")

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", refuse)
    (answer,) = asked(reference)
    assert (answer.status, answer.code) == (503, "object_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert code in answer.document["error"]["message"]
    assert b"CANARY" not in answer.body


def test_a_network_that_does_not_answer_lets_the_image_wait(s3, monkeypatch):
    reference = put(s3, png(1))

    def hang(*_, **__):
        raise ConnectTimeoutError(endpoint_url="https://s3")

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", hang)
    (answer,) = asked(reference)
    assert (answer.status, answer.code) == (503, "object_unavailable")


def is_reference(document) -> bool:
    """Whether it names an object; the version may be left out."""
    named = document.get("s3") if isinstance(document, dict) else None
    if not isinstance(named, dict):
        return False
    parts = [named.get("bucket"), named.get("key"), named.get("version_id", "null")]
    return all(isinstance(part, str) and part for part in parts)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["s3", "bucket", "key", "version_id", "x"]), inner, max_size=4)
        ),
        max_leaves=8,
    )
)
@settings(max_examples=80, deadline=None)
def test_any_json_but_a_reference_gets_a_typed_400(document):
    import json

    assume(not is_reference(document))
    with pytest.raises(RefusedError) as caught:
        reader(io.BytesIO(), 0, limit=10).read(json.dumps(document).encode())
    assert (caught.value.status, caught.value.code) == (400, "bad_reference")


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff", b"[" * 100_000, b'{"s3": {"bucket": "B/../", "key": "", ']
)
def test_invalid_json_gets_a_typed_400(text):
    with pytest.raises(RefusedError) as caught:
        reader(io.BytesIO(), 0, limit=10).read(text)
    assert caught.value.code == "bad_reference"


def test_a_bucket_name_that_cannot_exist_is_a_typed_400(s3):
    (answer,) = asked({"s3": {"bucket": "no such/bucket", "key": "k", "version_id": "v"}})
    assert (answer.status, answer.code) == (400, "bad_reference")
