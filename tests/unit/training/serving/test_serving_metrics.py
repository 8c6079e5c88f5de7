"""The endpoint's log line makes CloudWatch's metrics: it fits the embedded metric format, and it counts right."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.unit.training.serving.serving_support import Brightness, call, png, running
from training.serving.metrics import Metrics
from training.serving.settings import Settings


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def fits_the_format(line):
    """The rules of the specification that a line may break: types, sizes, names that point to values."""
    directive = line["_aws"]["CloudWatchMetrics"][0]
    assert isinstance(line["_aws"]["Timestamp"], int)
    assert 1 <= len(directive["Namespace"]) <= 1024
    for dimensions in directive["Dimensions"]:
        assert len(dimensions) <= 30
        assert all(isinstance(line[name], str) and 1 <= len(line[name]) <= 1024 for name in dimensions)
    assert 1 <= len(directive["Metrics"]) <= 100
    for metric in directive["Metrics"]:
        assert metric["Unit"] in ("Count", "Milliseconds")
        values = line[metric["Name"]]
        values = values if isinstance(values, list) else [values]
        assert 1 <= len(values) <= 100
        assert all(isinstance(value, (int, float)) and abs(value) < 2**360 for value in values)
    return directive


def test_the_answers_are_reported_when_the_server_ends(capsys):
    async def some():
        async with running(Brightness(), Settings(batch=4)) as app:
            for body in (png(1), png(2), png(3), b"CANARY", b""):
                await call(app, body)

    asyncio.run(some())

    (line,) = lines(capsys)
    directive = fits_the_format(line)
    assert directive["Namespace"] == "Loupe/Endpoint"
    assert (line["Requests"], line["Judged"], line["Refused"], line["Failed"], line["Busy"]) == (
        5,
        3,
        2,
        0,
        0,
    )
    assert line["errors"] == {"unsupported_format": 1, "empty_image": 1}
    assert line["batch_sizes"] == {"1": 3}
    assert len(line["Duration"]) == 3
    assert "CANARY" not in json.dumps(line)


def test_a_line_comes_at_regular_intervals_and_counts_only_what_is_new(capsys):
    async def some():
        async with running(Brightness(), Settings(report_seconds=0.05)) as app:
            await call(app, png(1))
            await asyncio.sleep(0.2)
            await asyncio.gather(*(call(app, png(n)) for n in range(4)))
            await asyncio.sleep(0.2)

    asyncio.run(some())
    reported = lines(capsys)
    assert sum(line["Requests"] for line in reported) == 5
    assert reported[0]["Requests"] == 1
    assert max(line["QueueDepth"] for line in reported) > 1


def test_an_endpoint_without_requests_or_without_reports_logs_nothing(capsys):
    async def some():
        async with running(Brightness()):
            pass
        async with running(Brightness(), Settings(report_seconds=0.0)) as app:
            await call(app, png(1))

    asyncio.run(some())
    assert lines(capsys) == []


@pytest.mark.parametrize("count", [1, 100, 5000])
def test_a_line_stays_within_the_formats_limits_for_any_number_of_answers(count):
    metrics = Metrics("detector", "abc")
    for number in range(count):
        metrics.answered(float(number), 1 + number % 8)
    line = metrics.line()
    fits_the_format(line)
    assert line["Judged"] == count
    assert len(line["Duration"]) == min(count, 100)
    assert sum(line["batch_sizes"].values()) == count
    if count == 5000:  # a sample of all of them, not the first or the last hundred
        assert min(line["Duration"]) < 1000 < 4000 < max(line["Duration"])
    assert metrics.line() is None
