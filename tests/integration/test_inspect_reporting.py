"""Metrics, logs and environment of `inspect`."""

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from handlers import inspect
from handlers.environment import AlertEnvironment, InspectEnvironment
from inspection.rules import Rules
from tests.inspection_support import http, jpeg, message, model_error
from tests.integration.moto_cloud import DEFECT, GOOD, Cloud, metrics
from tests.stack_template import stack_template

NO_ENDPOINT = http(400, {"Message": "Endpoint loupe-detector not found"}, "ValidationError")


def test_metrics_are_counted_in_total_and_for_each_line_and_station(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    announced = [
        cloud.put("incoming/line-1/top/1.jpg", jpeg(shade=DEFECT)),
        cloud.put("incoming/line-1/top/2.jpg", jpeg(shade=GOOD)),
        cloud.put("incoming/ライン/top/3.jpg", b"text"),
    ]
    batch = [message(record, number=n) for n, record in enumerate([*announced, announced[0]])]

    assert cloud.inspect(*batch) == []

    totals = metrics(capsys)
    assert set(totals) == {(), ("line-1", "top"), ("%E3%83%A9%E3%82%A4%E3%83%B3", "top")}
    assert {k: v for k, v in totals[()].items() if k != "Latency"} == {
        "Inspected": [3],
        "Failed": [1],
        "Passed": [1],
        "Unreadable": [1],
        "Duplicate": [1],
        "DefectRate": [pytest.approx(100 / 3)],
        "ModelLatency": [8.25, 8.25],
    }
    assert len(totals[()]["Latency"]) == 3
    assert totals["line-1", "top"]["Inspected"] == [2]


@pytest.mark.promise(26)
def test_logs_contain_no_image_and_no_credential(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    canary = "CANARY-IN-THE-PIXELS"
    one, other = (
        cloud.put(f"incoming/a/b/{n}.jpg", data)
        for n, data in enumerate((jpeg(comment=canary.encode()), canary.encode()))
    )
    for answer in (
        model_error(500, message="x"),
        NO_ENDPOINT,
        EndpointConnectionError(endpoint_url="https://x"),
    ):
        cloud.endpoint = lambda _, answer=answer: answer  # type: ignore[misc]
        cloud.inspect(message(one, number=1), message(other, number=2))
    logs = "".join(capsys.readouterr()) + caplog.text
    assert "the model failed with status 500" in logs
    for secret in (canary, "AKIACANARYCREDENTIAL", "canary-secret-of-the-function"):
        assert secret not in logs


def test_a_missing_variable_is_named_before_any_image_is_read(
    cloud: Cloud, defect: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUEUE_URL")
    inspect._inspector.cache_clear()
    with pytest.raises(ValueError, match="QUEUE_URL"):
        cloud.inspect(message(defect))
    assert cloud.calls == []


@pytest.mark.parametrize(
    ("function", "environment"),
    [("InspectFunction", InspectEnvironment), ("AlertFunction", AlertEnvironment)],
)
def test_the_template_sets_exactly_the_variables_of_each_function(function: str, environment: Any) -> None:
    template = stack_template()
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    own = template["Resources"][function]["Properties"]["Environment"]["Variables"]
    expected = {name.upper() for name in environment.model_fields}
    assert expected <= common.keys() | own.keys()
    assert own.keys() <= expected


def test_the_rules_of_the_template_are_valid() -> None:
    template = stack_template()
    Rules.model_validate_json(template["Resources"]["RulesParameter"]["Properties"]["Value"])
