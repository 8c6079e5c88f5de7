"""`inspect`, `alert` and `reconcile`, killed at any call of AWS: a new delivery leaves what an undisturbed one does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from inspection import alerts
from tests.crashes import Crash, Story, calls
from tests.inspection_support import anomaly, detection, http, jpeg, message, model_error, prediction
from tests.integration.moto_cloud import DEFECT, DOUBTFUL, GOOD, Cloud, detect_by_grey
from tests.integration.reconcile_stage import Stage
from tests.promises import Tell

pytestmark = pytest.mark.promise(9)
FILES = {
    "fail": jpeg(shade=DEFECT),
    "review": jpeg(shade=DOUBTFUL),
    "pass": jpeg(shade=GOOD),
    "unreadable": b"text",
}


def left(cloud: Cloud) -> Any:
    """Return the records, the pictures, and the alerts as their receivers tell them apart."""
    records = {item["image"] + item["version_id"]: item for item in cloud.records()}
    alerts = {alert["alert_id"]: [alert["image"], alert["verdict"]] for alert in cloud.alerts()}
    return {"records": records, "alerts": alerts, "pictures": cloud.pictures()}


def begin(cloud: Cloud) -> None:
    cloud.reset()
    for key in cloud.pictures():
        cloud.s3.delete_object(Bucket=cloud.artefacts, Key=key)


def of_a_batch(cloud: Cloud) -> Story:
    """An image of each verdict."""
    announced = [cloud.put(f"incoming/a/b/{name}.jpg", data) for name, data in FILES.items()]
    batch = [message(record, number=n) for n, record in enumerate(announced)]
    return Story(lambda: begin(cloud), lambda: cloud.inspect(*batch), lambda: left(cloud))


def of_a_heat_map(cloud: Cloud) -> Story:
    """An image with a heat map, which is written before its record."""
    announced = cloud.put("incoming/a/b/c.jpg", jpeg())

    def prepare() -> None:
        begin(cloud)
        found = prediction(detection("anomaly", 0.93), anomaly=anomaly())
        cloud.endpoint = lambda _: http(200, found)

    return Story(prepare, lambda: cloud.inspect(message(announced)), lambda: left(cloud))


def of_an_outage(cloud: Cloud) -> Story:
    """An image that is sent again, because there is no endpoint; then there is one."""
    announced = cloud.put("incoming/a/b/c.jpg", jpeg(shade=DEFECT))

    def prepare() -> None:
        begin(cloud)
        cloud.forget_messages()
        cloud.endpoint = lambda _: http(400, {"Message": "Endpoint not found"}, "ValidationError")

    def afterwards() -> Any:
        cloud.endpoint = detect_by_grey
        waiting = cloud.messages()
        assert waiting, "the image is lost"
        for body in waiting:
            assert cloud.inspect(message(announced) | {"body": body}) == []
        return left(cloud)

    return Story(prepare, lambda: cloud.inspect(message(announced)), afterwards)


def of_a_failure(cloud: Cloud) -> Story:
    """An image whose message returns to the queue, because the model fails once."""
    announced = cloud.put("incoming/a/b/c.jpg", jpeg(shade=DEFECT))

    def prepare() -> None:
        begin(cloud)
        cloud.endpoint = lambda _: model_error(500)

    def afterwards() -> Any:
        cloud.endpoint = detect_by_grey
        assert cloud.inspect(message(announced, receives=2)) == []
        return left(cloud)

    # Whether it failed or was killed: the queue delivers it again.
    return Story(prepare, lambda: cloud.inspect(message(announced)), afterwards)


def of_an_alert(cloud: Cloud, shade: int = DEFECT, answer: Callable[[Any], Any] = detect_by_grey) -> Story:
    """The stream's record of an image that did not pass."""
    announced = cloud.put("incoming/line-1/top/SN1.jpg", jpeg(shade=shade))

    def prepare() -> None:
        begin(cloud)
        cloud.endpoint = answer
        cloud.inspect_record(announced)

    return Story(prepare, cloud.alert, lambda: left(cloud))


def of_an_alert_with_a_heat_map(cloud: Cloud) -> Story:
    found = prediction(detection("anomaly", 0.93), anomaly=anomaly())
    return of_an_alert(cloud, answer=lambda _: http(200, found))


STORIES: dict[str, Callable[[Cloud], Story]] = {
    "batch": of_a_batch,
    "heat map": of_a_heat_map,
    "outage": of_an_outage,
    "failure": of_a_failure,
    "alert": of_an_alert,
    "alert with a heat map": of_an_alert_with_a_heat_map,
    "picture of a review": functools.partial(of_an_alert, shade=DOUBTFUL),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_new_delivery_heals_a_crash(cloud: Cloud, name: str, tried: Tell) -> None:
    STORIES[name](cloud).converges(tried, everywhere=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
def test_a_new_delivery_heals_a_crash_at_any_call(cloud: Cloud, name: str, tried: Tell) -> None:
    STORIES[name](cloud).converges(tried, everywhere=True)


@pytest.mark.promise(11)
def test_an_alert_is_repeated_only_if_the_first_was_sent_before_the_crash(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tried: Tell
) -> None:
    """And with the same id, also after the five minutes for which AWS itself would know a message again."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(minutes=6)

    announced = cloud.put("incoming/line-1/top/SN1.jpg", jpeg(shade=DEFECT))
    numbers = []
    for operation in ("PutObject", "Publish"):
        cloud.reset()
        record = cloud.inspect_record(announced)
        with calls() as names:
            cloud.alert()
        place = names.index(operation) + 1
        cloud.reset()
        cloud.inspect_record(announced)
        with calls(place, before=False), pytest.raises(Crash):
            cloud.alert()
        tried(faults=1)
        with monkeypatch.context() as patch:
            patch.setattr(alerts, "datetime", Later)
            cloud.alert()
            cloud.alert()
        assert {alert["alert_id"] for alert in cloud.alerts()} == {record["id"]}
        numbers.append(len(cloud.alerts()))
    assert numbers == [1, 2]


def of_a_reconciliation(stage: Stage, look: Callable[[], Any]) -> Story:
    """Three images without a record, on two pages; what was announced is inspected."""
    for number in range(3):
        stage.cloud.put(f"incoming/l/s/{number}.jpg", jpeg(shade=GOOD))

    def prepare() -> None:
        stage.cloud.reset()
        stage.forget()

    def afterwards() -> Any:
        stage.deliver()
        assert stage.ask()["missing"] == 0
        return {**left(stage.cloud), "memory": stage.memory().text()}

    return Story(prepare, look, afterwards)


def by_request(stage: Stage) -> Story:
    return of_a_reconciliation(stage, stage.ask)


def by_schedule(stage: Stage) -> Story:
    later = datetime.now(UTC) + timedelta(hours=1)
    return of_a_reconciliation(stage, lambda: stage.passes(later).go_on(900))


@pytest.mark.parametrize(
    ("look", "everywhere"),
    [
        (by_schedule, False),
        pytest.param(by_request, True, marks=pytest.mark.slow),
        pytest.param(by_schedule, True, marks=pytest.mark.slow),
    ],
)
def test_a_comparison_that_is_killed_is_healed_by_the_next_one(
    stage: Stage, look: Callable[[Stage], Story], everywhere: bool, tried: Tell
) -> None:
    look(stage).converges(tried, everywhere=everywhere)
