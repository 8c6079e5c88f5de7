"""The keys of images, and the events that announce them."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import keys
from contract.s3 import decode
from inspection import events
from inspection.events import normalise_sequencer, parse
from tests.inspection_support import WRAPPINGS, by_eventbridge, by_s3, by_sns, golden, message, s3_record

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300).map(
    lambda text: f"incoming/{text}"
)


@given(KEYS)
def test_any_key_survives_the_round_trip_through_an_event(key: str) -> None:
    assert decode(quote_plus(key)) == key


@pytest.mark.promise(4)
@given(KEYS)
def test_a_key_is_decoded_once(key: str) -> None:
    (event,) = parse(
        message(s3_record(quote_plus(quote_plus(f"{key}x")).replace("incoming%252F", "incoming/")))["body"]
    )
    assert event.key == quote_plus(f"{key}x").replace("incoming%2F", "incoming/")


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("incoming/a+b.jpg", "incoming/a b.jpg"),
        ("incoming/a%2Bb.jpg", "incoming/a+b.jpg"),
        ("incoming/a%252Bb.jpg", "incoming/a%2Bb.jpg"),
        ("incoming/%E9%83%A8%E5%93%81.jpg", "incoming/部品.jpg"),
        (f"incoming/{'x' * 1015}", f"incoming/{'x' * 1015}"),  # 1,024 bytes, S3's longest
    ],
)
def test_unusual_keys_are_decoded(encoded: str, key: str) -> None:
    assert decode(encoded) == key


@given(KEYS)
def test_every_key_has_a_place(key: str) -> None:
    place = keys.place(key)
    assert place.line
    assert place.station
    assert place.serial


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("incoming/line-1/top/4711.jpg", ("line-1", "top", "4711")),
        ("incoming/line-1/top/2026/01/4711.jpg", ("line-1", "top", "2026/01/4711")),
        ("incoming/line-1/4711.jpg", ("line-1", "unknown", "4711")),
        ("incoming/4711.jpg", ("unknown", "unknown", "4711")),
        ("incoming//top/4711.jpg", ("unknown", "top", "4711")),
        ("incoming/line-1/top/4711.tar.gz", ("line-1", "top", "4711.tar")),
        ("incoming/line-1/top/4711", ("line-1", "top", "4711")),
        ("incoming/line-1/top/.jpg", ("line-1", "top", ".jpg")),
    ],
)
def test_a_key_contains_line_station_and_serial(key: str, expected: tuple[str, str, str]) -> None:
    place = keys.place(key)
    assert (place.line, place.station, place.serial) == expected


@pytest.mark.promise(2)
@given(
    st.text("0123456789abcdefABCDEF", min_size=1, max_size=64),
    st.text("0123456789abcdefABCDEF", min_size=1, max_size=64),
)
def test_sequencers_compare_as_right_padded_hex(one: str, other: str) -> None:
    """The plain string order of stored sequencers is S3's order."""
    as_numbers = int(one.ljust(64, "0"), 16) < int(other.ljust(64, "0"), 16)
    assert (normalise_sequencer(one) < normalise_sequencer(other)) == as_numbers


def test_an_image_event_is_parsed_in_full() -> None:
    (event,) = parse(golden("inspect-image")["Records"][0]["body"])

    assert event == events.ImageEvent(
        bucket="loupe-images-0123456789ab",
        key="incoming/line-1/top/SN1001.jpg",
        version_id="PmZ8xJ3a0Yf2sVwq1tKc7LhRb4nEoGdu",
        sequencer="0068E1A2B3C4D5E6F7".ljust(64, "0"),
        received_at="2026-01-05T09:30:15.250Z",
    )


def test_an_unversioned_bucket_has_the_null_version() -> None:
    record = s3_record()
    del record["s3"]["object"]["versionId"], record["s3"]["object"]["sequencer"]

    (event,) = parse(message(record)["body"])

    assert event.version_id == "null"
    assert event.sequencer == "0" * 64


def test_one_message_may_announce_several_images() -> None:
    parsed = parse(golden("inspect-two-in-one-message")["Records"][0]["body"])
    assert [event.key for event in parsed] == [
        "incoming/line-1/top/SN1001.jpg",
        "incoming/line-1/top/SN1002.jpg",
    ]


@pytest.mark.parametrize(
    "body",
    [
        record["body"]
        for name in ("inspect-test-event", "inspect-unknown")
        for record in golden(name)["Records"]
    ],
)
def test_a_message_that_announces_no_image_is_not_an_error(body: str) -> None:
    assert parse(body) == []


def test_an_invalid_record_does_not_hide_the_next_one() -> None:
    parsed = parse(message({"eventSource": "aws:s3"}, s3_record("incoming/x.jpg"))["body"])
    assert [event.key for event in parsed] == ["incoming/x.jpg"]


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
@given(
    key=KEYS.filter(lambda key: not key.endswith("/"))
    | st.sampled_from(["incoming/a+b %2B.jpg", "incoming/ü/部/品.jpg"]),
    version=st.none() | st.text("abcDEF019._", min_size=1),
    sequencer=st.none() | st.text("0123456789ABCDEF", min_size=1, max_size=20),
)
def test_an_image_is_the_same_in_every_wrapping(
    wrap: Callable[[dict[str, Any]], dict[str, Any]], key: str, version: str | None, sequencer: str | None
) -> None:
    record = s3_record(quote_plus(key))
    given_fields = {"versionId": version, "sequencer": sequencer}
    for name, value in given_fields.items():
        record["s3"]["object"].pop(name, None)
        record["s3"]["object"] |= {name: value} if value else {}
    unknown: list[str] = []

    parsed = parse(json.dumps(wrap(record)), unknown.append)

    assert unknown == []
    assert parsed == [
        events.ImageEvent(
            bucket="loupe-images-0123456789ab",
            key=key,
            version_id=version or "null",
            sequencer=(sequencer or "").ljust(64, "0"),
            received_at="2026-01-05T09:30:15.250Z",
        )
    ]


SILENT: dict[str, dict[str, Any]] = {
    "test event": {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Bucket": "b",
        "Time": "2026-01-05T09:30:15Z",
    },
    "deleted object": by_s3(s3_record(eventName="ObjectRemoved:Delete")),
    "deleted object, EventBridge": by_eventbridge(s3_record()) | {"detail-type": "Object Deleted"},
    "folder": by_s3(s3_record("incoming/line-1/")),
    "folder, EventBridge": by_eventbridge(s3_record("incoming/line-1/")),
}


@pytest.mark.parametrize("wrap", [lambda document: document, by_sns], ids=["bare", "by SNS"])
@pytest.mark.parametrize("document", SILENT.values(), ids=SILENT)
def test_what_is_no_image_but_belongs_there_is_acknowledged_silently(
    document: dict[str, Any], wrap: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    unknown: list[str] = []
    assert parse(json.dumps(wrap(document)), unknown.append) == []
    assert unknown == []


FOREIGN: dict[str, Any] = {
    "text": "not even JSON",
    "list": [1, 2],
    "null": None,
    "empty object": {},
    "detail alone": by_eventbridge(s3_record())["detail"],
    "CloudTrail": by_eventbridge(s3_record()) | {"detail-type": "AWS API Call via CloudTrail"},
    "another service": by_eventbridge(s3_record()) | {"source": "aws.ec2"},
    "EventBridge without a bucket": by_eventbridge(s3_record())
    | {"detail": {"object": {"key": "incoming/a.jpg"}}},
    "no name of a bucket": by_s3(
        s3_record(s3={"bucket": {"name": None}, "object": {"key": "incoming/a.jpg"}})
    ),
    "a key that is a number": by_s3(s3_record(s3={"bucket": {"name": "b"}, "object": {"key": 7}})),
    "records of another service": {"Records": [{"eventSource": "aws:dynamodb"}]},
    "no date": by_s3(s3_record(eventTime="yesterday")),
    "impossible date": by_s3(s3_record(eventTime="0001-01-01T00:00:00+14:00")),
    "subscription": {"Type": "SubscriptionConfirmation", "Message": "Confirm", "Token": "x"},
    "text by SNS": by_sns(by_s3(s3_record())) | {"Message": "The line stands still."},
    "a longer key than S3 has": by_s3(s3_record("incoming/" + "x" * 1016)),
    "no bucket": by_s3(s3_record(s3={"bucket": {"name": "a b"}, "object": {"key": "incoming/a.jpg"}})),
    "no version": by_s3(s3_record(object={"versionId": "\ud800"})),
    "a list of versions": by_s3(s3_record(object={"versionId": ["v1"]})),
    "a sequencer that orders nothing": by_s3(s3_record(object={"sequencer": "first"})),
    "outside": by_s3(s3_record("line-1/top/SN1.jpg")),
    "outside, EventBridge": by_eventbridge(s3_record("line-1/top/SN1.jpg")),
}


@pytest.mark.promise(5)
@pytest.mark.parametrize("document", FOREIGN.values(), ids=FOREIGN)
def test_what_does_not_belong_on_the_queue_is_told(document: Any) -> None:
    unknown: list[str] = []
    body = document if isinstance(document, str) else json.dumps(document)
    assert parse(body, unknown.append) == []
    assert len(unknown) == 1
    assert "\n" not in unknown[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["Records", "s3", "eventName"]), inner)
    ),
    max_leaves=20,
)


@pytest.mark.promise(5)
@given(JSON | st.fixed_dictionaries({"Records": st.lists(JSON)}))
def test_no_json_document_makes_parsing_fail(document: object) -> None:
    assert parse(json.dumps(document)) == []


def test_deeply_nested_json_is_acknowledged() -> None:
    for body in ("[" * 200_000, '{"Records": [' + "[" * 900 + "]" * 900 + "]}"):
        assert parse(body) == []


def test_envelopes_without_end_are_acknowledged() -> None:
    document = by_s3(s3_record())
    for _ in range(8):
        document = by_sns(document)
    assert parse(json.dumps(document)) == []
