"""Health by the API, on moto: what it shows, and that one service that fails does not hide the others."""

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from api import aws
from api.routes import health as health_route
from contract.inspections import Verdict
from tests.api_support import Answer, call
from tests.integration.api_cloud import ApiCloud


@pytest.fixture
def cloud(api_cloud: ApiCloud, monkeypatch: pytest.MonkeyPatch) -> ApiCloud:
    for name, value in {
        "STACK_NAME": "press",
        "ENDPOINT_NAME": "press-detector",
        "RULES_PARAMETER": "/press/rules",
        "RULES_CACHE_SECONDS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    health_route._parameter.cache_clear()
    boto3.client("ssm").put_parameter(
        Name="/press/rules", Value='{"version": "7"}', Type="String", Overwrite=True
    )
    for alarm in (
        "press-DeadLetterAlarm-1WKS4P0LKXIIG",
        "presses-Other-1WKS4P0LKXIIG",
        "press-2-DeadLetterAlarm-1WKS4P0LKXIIG",
    ):
        boto3.client("cloudwatch").put_metric_alarm(
            AlarmName=alarm,
            AlarmDescription="Redrive the queue.",
            Namespace="x",
            MetricName="x",
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
            Period=60,
            Threshold=0,
            Statistic="Sum",
        )
    return api_cloud


def health(status: str | None = "InService") -> Answer:
    with Stubber(aws.sagemaker()) as stub:
        if status is None:
            stub.add_client_error("describe_endpoint", "ValidationException")
        else:
            stub.add_response("describe_endpoint", _endpoint(status))
        return call("GET", "/health", "viewer")


def _endpoint(status: str) -> dict[str, Any]:
    at = datetime(2026, 1, 31, 8, tzinfo=UTC)
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/press-detector"
    return {
        "EndpointName": "press-detector",
        "EndpointArn": arn,
        "EndpointConfigName": "config",
        "EndpointStatus": status,
        "CreationTime": at,
        "LastModifiedTime": at,
    }


def test_health_shows_endpoint_lines_alarms_and_rules(cloud: ApiCloud) -> None:
    cloud.add("incoming/line-1/top/1.jpg")
    cloud.add("incoming/line-1/bottom/2.jpg", Verdict.FAIL)
    cloud.add("incoming/line-2/top/3.jpg", at=datetime.now(UTC) - timedelta(days=1))
    answer = health()
    assert answer.status == 200
    assert answer.body["endpoint"] == {
        "name": "press-detector",
        "status": "InService",
        "model": {"name": "steel", "version": "7"},
        "since": "2026-01-31T08:00:00.000Z",
    }
    lines = {line["line"]: line["last_hour"] for line in answer.body["lines"]}
    assert (lines["line-1"]["inspected"], lines["line-1"]["fail"]) == (2, 1)
    assert lines["line-2"]["inspected"] == 0
    (alarm,) = answer.body["alarms"]
    assert (alarm["name"], alarm["description"]) == ("DeadLetterAlarm", "Redrive the queue.")
    assert answer.body["rules_version"] == "7"
    assert answer.body["problems"] == []


def test_a_picture_that_no_model_has_seen_does_not_hide_which_one_serves(cloud: ApiCloud) -> None:
    now = datetime.now(UTC)
    cloud.add("incoming/line-1/top/1.jpg", at=now - timedelta(seconds=2))
    cloud.add("incoming/line-1/top/2.jpg", Verdict.UNREADABLE, at=now)
    assert health().body["endpoint"]["model"] == {"name": "steel", "version": "7"}


def test_a_stack_without_an_endpoint_says_so(cloud: ApiCloud) -> None:
    assert health(None).body["endpoint"] == {"name": "press-detector", "status": "Missing", "model": None}


def test_a_service_that_fails_hides_nothing_else(cloud: ApiCloud) -> None:
    with Stubber(aws.cloudwatch()) as stub:
        stub.add_client_error("describe_alarms", "InternalFailure")
        answer = health()
    assert answer.status == 200
    assert answer.body["problems"] == ["The alarms cannot be read."]
    assert answer.body["rules_version"] == "7"


def test_rules_that_are_not_valid_are_named(cloud: ApiCloud) -> None:
    boto3.client("ssm").put_parameter(Name="/press/rules", Value='{"version": 7}', Overwrite=True)
    answer = health()
    assert answer.body["rules_version"] is None
    assert "version: must be a text" in answer.body["problems"][0]


@pytest.mark.parametrize(
    ("now", "rests_until"),
    [("2026-01-05T23:00:00", "2026-01-06T04:45:00.000Z"), ("2026-01-06T09:00:00", None)],
)
def test_an_endpoint_that_is_missing_between_the_shifts_rests(
    cloud: ApiCloud, monkeypatch: pytest.MonkeyPatch, now: str, rests_until: str | None
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.fromisoformat(now).replace(tzinfo=UTC)

    monkeypatch.setenv("ENDPOINT_HOURS", "MON-FRI 05:45-22:15")
    monkeypatch.setenv("ENDPOINT_TIMEZONE", "Europe/Berlin")
    monkeypatch.setattr(health_route, "datetime", Clock)
    endpoint = health(None).body["endpoint"]
    assert (endpoint["status"], endpoint.get("rests_until")) == ("Missing", rests_until)
