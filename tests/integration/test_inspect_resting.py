"""`inspect` while the endpoint rests between the shifts: images wait, and nothing alarms."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handlers import inspect
from tests.inspection_support import http, message
from tests.integration.moto_cloud import Cloud, detect_by_grey, metrics

BERLIN_NIGHT = datetime(2026, 1, 5, 23, 0, tzinfo=UTC)  # the next shift begins at 04:45 UTC
NO_ENDPOINT = http(400, {"Message": "Endpoint not found"}, "ValidationError")


@pytest.fixture(autouse=True)
def shifts(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the endpoint have hours, and be missing."""
    monkeypatch.setenv("ENDPOINT_HOURS", "MON-FRI 05:45-22:15")
    monkeypatch.setenv("ENDPOINT_TIMEZONE", "Europe/Berlin")
    inspect._inspector.cache_clear()
    cloud.endpoint = lambda _: NO_ENDPOINT
    yield
    inspect._inspector.cache_clear()


def at(time: datetime) -> None:
    inspect._inspector().resting.now = lambda: time


def waiting(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, record: dict[str, Any], **options: Any) -> Any:
    """Inspect an announced image, and return the request that sent its message again."""
    sent: list[dict[str, Any]] = []
    client = inspect._inspector().queue._client
    monkeypatch.setattr(client, "send_message", lambda **request: sent.append(request))
    assert cloud.inspect(message(record, **options)) == []
    assert cloud.records() == []
    (request,) = sent
    return request


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the inspector's own clock stand still, too."""

    def stop(time: datetime) -> None:
        class Still(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return time

        monkeypatch.setattr("inspection.inspector.datetime", Still)
        at(time)

    return stop


def test_an_image_at_night_waits_without_an_alarm_and_without_being_read(
    cloud: Cloud, defect: dict[str, Any], clock: Any, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    clock(BERLIN_NIGHT)
    request = waiting(cloud, monkeypatch, defect)
    assert 200 < request["DelaySeconds"] <= 540  # below the age that raises OldestMessageAlarm
    assert set(cloud.calls) == {"DescribeEndpoint"}
    counted = metrics(capsys)
    assert counted[()] == {"Resting": [1.0]}


def test_the_last_wait_before_a_shift_ends_with_its_beginning(
    cloud: Cloud, defect: dict[str, Any], clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(datetime(2026, 1, 6, 4, 43, tzinfo=UTC))
    request = waiting(cloud, monkeypatch, defect)
    assert 120 <= request["DelaySeconds"] <= 130


def test_the_waits_of_a_night_do_not_lengthen_those_of_the_day(
    cloud: Cloud, defect: dict[str, Any], clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(BERLIN_NIGHT)
    request = waiting(cloud, monkeypatch, defect, deferrals=2)
    assert request["MessageAttributes"]["deferrals"]["StringValue"] == "2"


def test_an_image_during_a_shift_without_an_endpoint_is_deferred_as_ever(
    cloud: Cloud, defect: dict[str, Any], clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    clock(datetime(2026, 1, 6, 9, 0, tzinfo=UTC))
    assert cloud.inspect(message(defect)) == []
    assert metrics(capsys)[()] == {"Deferred": [1.0]}


def test_an_endpoint_that_a_person_started_at_night_inspects(
    cloud: Cloud, defect: dict[str, Any], clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    clock(BERLIN_NIGHT)
    cloud.endpoint, cloud.endpoint_status = detect_by_grey, "InService"
    assert cloud.inspect(message(defect)) == []
    assert cloud.record(defect)["verdict"] == "fail"


def test_whether_it_serves_is_asked_once_for_many_images(
    cloud: Cloud, defect: dict[str, Any], clock: Any
) -> None:
    clock(BERLIN_NIGHT)
    for asked in (1, 0):
        assert cloud.inspect(*(message(defect, number=number) for number in range(4))) == []
        assert (cloud.calls.count("DescribeEndpoint"), cloud.deferred()) == (asked, 4)


def test_a_message_that_announces_nothing_does_not_wait(
    cloud: Cloud, clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    clock(BERLIN_NIGHT)
    test = message() | {"body": '{"Service": "Amazon S3", "Event": "s3:TestEvent"}'}
    assert cloud.inspect(test) == []
    assert "Resting" not in metrics(capsys)[()]
    assert cloud.deferred() == 0


def test_hours_that_are_not_valid_stop_no_inspection(
    cloud: Cloud, defect: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDPOINT_TIMEZONE", "Mars/Olympus")
    inspect._inspector.cache_clear()
    cloud.endpoint = detect_by_grey
    at(BERLIN_NIGHT + timedelta(hours=1))
    assert cloud.inspect(message(defect)) == []
    assert cloud.record(defect)["verdict"] == "fail"
