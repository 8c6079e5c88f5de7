"""Repeated, late and reordered deliveries have the same result as one clean delivery."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.inspection_support import jpeg, message, model_error, s3_record
from tests.integration.moto_cloud import DEFECT, DOUBTFUL, GOOD, Cloud, detect_by_grey

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


@pytest.mark.promise(1)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    uploads=st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), VERDICTS), min_size=1, max_size=6),
    deliveries=st.lists(st.integers(0, 5), max_size=10),
    order=st.integers(0, 2**32).map(random.Random),
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


@pytest.mark.promise(2)
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


@pytest.mark.promise(8)
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
