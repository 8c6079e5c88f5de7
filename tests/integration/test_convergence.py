"""Repeated, late, reordered and interrupted deliveries have the same result as one clean delivery."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.inspection_support import jpeg, message, model_error, s3_record
from tests.integration.moto_cloud import DEFECT, DOUBTFUL, GOOD, Cloud, Crash, detect_by_grey

FILES = {
    "fail": jpeg(shade=DEFECT),
    "review": jpeg(shade=DOUBTFUL),
    "pass": jpeg(shade=GOOD),
    "unreadable": b"text",
}
VERDICTS = st.sampled_from(sorted(FILES))


def state(cloud: Cloud) -> dict[tuple[str, str], tuple[str, bool]]:
    """Return the result: the verdict of each image version, and whether its alert was sent."""
    return {
        (item["image"], item["version_id"]): (item["verdict"], "alert" in item) for item in cloud.records()
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    uploads=st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), VERDICTS), min_size=1, max_size=6),
    deliveries=st.lists(st.integers(0, 5), max_size=10),
    order=st.randoms(use_true_random=False),
)
def test_duplicated_and_shuffled_events_have_one_effect(
    cloud: Cloud, uploads: list[tuple[str, str]], deliveries: list[int], order: random.Random
) -> None:
    """Against an oracle that delivers each event once."""
    cloud.reset()
    announced = [cloud.put(f"incoming/line/top/{name}.jpg", FILES[verdict]) for name, verdict in uploads]
    oracle = {
        (f"s3://{cloud.images}/incoming/line/top/{name}.jpg", record["s3"]["object"]["versionId"]): (
            verdict,
            verdict == "fail",
        )
        for (name, verdict), record in zip(uploads, announced, strict=True)
    }
    events = announced + [announced[index % len(announced)] for index in deliveries]
    order.shuffle(events)
    position = 0
    while events:
        batch, events = events[:10], events[10:]
        assert cloud.inspect(*[message(event, number=n) for n, event in enumerate(batch)]) == []
        _, position = cloud.alert(since=order.randint(0, position))
    cloud.alert()

    assert state(cloud) == oracle
    alerted = [alert["alert_id"] for alert in cloud.alerts()]
    assert sorted(alerted) == sorted(item["id"] for item in cloud.records() if item["verdict"] == "fail")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text("0123456789ABCDEFabcdef", min_size=1, max_size=20), min_size=1, max_size=8))
def test_an_older_event_never_overwrites_a_newer_one(cloud: Cloud, sequencers: list[str]) -> None:
    """Without versions, the record is that of the last upload, by S3's own order."""
    cloud.reset()
    for sequencer in sequencers:
        record = s3_record("incoming/a/b/c.jpg", object={"sequencer": sequencer, "versionId": "null"})
        record["s3"]["bucket"]["name"] = cloud.images
        cloud.inspect(message(record))
    (item,) = cloud.records()
    newest = max(sequencers, key=lambda sequencer: int(sequencer.ljust(64, "0"), 16))
    assert int(item["sequencer"], 16) == int(newest.ljust(64, "0"), 16)


def invoke(cloud: Cloud, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Invoke `inspect` once. Return the messages that Lambda will deliver again."""
    try:
        failed = cloud.inspect(*batch)
    except Crash:
        return batch
    return [record for record in batch if record["messageId"] in failed]


CALLS_INSPECT = 4 + 1 + 3 + 4  # reads, the rules, the endpoint, records
CALLS_ALERT = 6  # the record, the image, the picture, the topic, the thumbnail, the mark
CALLS_REVIEW = 5  # the same without the topic


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("nth", range(1, CALLS_INSPECT + 1))
def test_inspect_killed_at_any_call_converges(cloud: Cloud, nth: int, before: bool) -> None:
    announced = [cloud.put(f"incoming/a/b/{name}.jpg", data) for name, data in FILES.items()]
    batch = [message(record, number=n) for n, record in enumerate(announced)]
    cloud.crash_at, cloud.crash_before = nth, before
    again = invoke(cloud, batch)
    assert again == batch

    cloud.crash_at = None
    assert invoke(cloud, again) == []

    assert sorted(verdict for verdict, _ in state(cloud).values()) == sorted(FILES)


def test_a_clean_run_makes_exactly_the_calls_at_which_the_crashes_happen(
    cloud: Cloud, defect: dict[str, Any]
) -> None:
    announced = [cloud.put(f"incoming/a/b/{name}.jpg", data) for name, data in FILES.items()]
    cloud.inspect(*[message(record, number=n) for n, record in enumerate(announced)])
    assert len(cloud.calls) == CALLS_INSPECT
    cloud.alert()
    assert len(cloud.calls) == CALLS_ALERT + CALLS_REVIEW


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("nth", range(1, CALLS_ALERT + 1))
def test_alert_killed_at_any_call_converges(
    cloud: Cloud, defect: dict[str, Any], nth: int, before: bool
) -> None:
    """A second message, with the same id, only if the first was sent before the crash."""
    record = cloud.inspect_record(defect)
    cloud.crash_at, cloud.crash_before = nth, before
    with pytest.raises(Crash):
        cloud.alert()
    cloud.crash_at = None
    cloud.alert()
    cloud.alert()

    assert {alert["alert_id"] for alert in cloud.alerts()} == {record["id"]}
    sent_before_the_crash = (nth, before) in {(4, False), (5, True), (5, False), (6, True)}
    assert len(cloud.alerts()) == (2 if sent_before_the_crash else 1)
    assert "alert" in cloud.record(defect)


def test_a_redrive_from_the_dead_letter_queue_is_safe_twice(cloud: Cloud) -> None:
    """An image that failed for good is replayed when the model is repaired, and replayed again."""
    announced = cloud.put("incoming/a/b/c.jpg", jpeg(shade=DEFECT))
    cloud.endpoint = lambda _: model_error(500)
    assert cloud.inspect(message(announced, receives=4)) == ["message-1"]

    cloud.endpoint = detect_by_grey
    for _ in range(2):
        assert cloud.inspect(message(announced)) == []
        cloud.alert()

    assert [verdict for verdict, _ in state(cloud).values()] == ["fail"]
    assert len(cloud.alerts()) == 1


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("nth", range(1, CALLS_REVIEW + 1))
def test_a_review_killed_at_any_call_gets_its_picture(cloud: Cloud, nth: int, before: bool) -> None:
    announced = cloud.put("incoming/a/b/c.jpg", jpeg(shade=DOUBTFUL))
    cloud.inspect_record(announced)
    cloud.crash_at, cloud.crash_before = nth, before
    with pytest.raises(Crash):
        cloud.alert()
    cloud.crash_at = None
    cloud.alert()
    key = cloud.record(announced)["picture"]
    assert cloud.s3.head_object(Bucket=cloud.artefacts, Key=key)["ContentType"] == "image/jpeg"
