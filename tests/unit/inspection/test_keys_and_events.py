"""The keys of images, and the events that announce them."""

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import keys
from inspection import events
from inspection.events import normalise_sequencer, parse
from tests.inspection_support import golden, message, s3_record

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300).map(
    lambda text: f"incoming/{text}"
)


@given(KEYS)
def test_any_key_survives_the_round_trip_through_an_event(key: str) -> None:
    assert events.decode(quote_plus(key)) == key


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
    assert events.decode(encoded) == key


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


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["Records", "s3", "eventName"]), inner)
    ),
)


@given(JSON | st.fixed_dictionaries({"Records": st.lists(JSON)}))
def test_no_json_document_makes_parsing_fail(document: object) -> None:
    assert parse(json.dumps(document)) == []


def test_deeply_nested_json_is_acknowledged() -> None:
    assert parse("[" * 200_000) == []
