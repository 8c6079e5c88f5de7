"""One id finds an image in the record, in the function's log, and in what the endpoint is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contract.endpoint import ids_of
from handlers import observability
from tests.inspection_support import http, jpeg, message, model_error, prediction
from tests.integration.moto_cloud import Cloud

TRACE = "1-5759e988-bd862e3fe1be46a994272793"


@pytest.fixture
def told(cloud: Cloud) -> list[dict[str, str]]:
    """What the endpoint is told of each image: its ids, and SageMaker's InferenceId."""
    told: list[dict[str, str]] = []

    def answer(request: Any) -> Any:
        headers = {str(name).lower(): _text(value) for name, value in request.headers.items()}
        told.append(
            ids_of(headers["x-amzn-sagemaker-custom-attributes"])
            | {"inference": headers["x-amzn-sagemaker-inference-id"]}
        )
        return http(200, prediction())

    cloud.endpoint = answer
    return told


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the log's lines as they are written."""
    written = [
        json.loads(observability.logger.registered_formatter.format(record)) for record in caplog.records
    ]
    caplog.clear()
    return written


def test_the_endpoint_is_told_the_records_id_and_the_trace(
    cloud: Cloud, told: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={TRACE};Parent=53995c3f42cd8ad8;Sampled=1")
    record = cloud.inspect_record(cloud.put("incoming/line-1/top/SN1.jpg", jpeg()))
    assert told == [{"inspection": record["id"], "inference": record["id"], "trace": TRACE}]
    assert record["trace"] == TRACE


def test_without_a_trace_the_record_has_none(cloud: Cloud, told: list[dict[str, str]]) -> None:
    record = cloud.inspect_record(cloud.put("incoming/line-1/top/SN1.jpg", jpeg()))
    assert told == [{"inspection": record["id"], "inference": record["id"]}]
    assert "trace" not in record


@pytest.mark.parametrize("status", [429, 500])
def test_a_problems_line_has_the_records_id_and_the_invocations(
    cloud: Cloud, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr("inspection.detector.Detector.BUSY_PAUSES", ())
    announced = cloud.put("incoming/line-1/top/SN1.jpg", jpeg())
    cloud.endpoint = lambda _: model_error(status, "busy", "later")
    cloud.inspect(message(announced))
    written = lines(caplog)
    assert written
    cloud.endpoint = lambda _: http(200, prediction())
    identity = cloud.inspect_record(announced)["id"]
    for line in written:
        assert (line["inspection"], line["function_request_id"]) == (identity, "test")


def test_a_message_that_names_no_image_has_no_inspection(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.inspect(message({"hello": "world"}))
    (line,) = lines(caplog)
    assert line.get("inspection") is None


def test_on_the_level_debug_each_image_has_a_line_and_otherwise_none(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    first = cloud.put("incoming/line-1/top/SN1.jpg", jpeg())
    cloud.inspect_record(first)
    assert lines(caplog) == []
    observability.logger.setLevel("DEBUG")
    try:
        record = cloud.inspect_record(cloud.put("incoming/line-1/top/SN2.jpg", jpeg()))
    finally:
        observability.logger.setLevel("INFO")
    (line,) = [line for line in lines(caplog) if line["message"] == "inspected"]
    assert (line["inspection"], line["verdict"]) == (record["id"], record["verdict"])
