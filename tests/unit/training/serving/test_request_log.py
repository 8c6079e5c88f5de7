"""The log line about a request: which ones have it, and by which ids it is found."""

from __future__ import annotations

import json

import pytest

from contract.endpoint import attributes
from tests.unit.training.serving.serving_support import Brightness, ask, png
from training.serving.settings import Settings

IDS = attributes(12, inspection="6d0f", trace="1-5759e988-bd86")


def lines(capfd):
    return [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]


def test_a_refused_image_has_a_line_with_the_ids_of_its_caller(capfd):
    ask(Brightness(), b"hello", attributes=IDS)
    (line,) = lines(capfd)
    assert line.pop("milliseconds") >= 0
    assert line.pop("message")
    assert line == {
        "event": "request",
        "inspection": "6d0f",
        "trace": "1-5759e988-bd86",
        "status": 422,
        "code": "unsupported_format",
    }


def test_an_answer_has_a_line_only_if_it_is_slow_or_every_request_is_to_have_one(capfd):
    ask(Brightness(), png(1), attributes=IDS)
    assert lines(capfd) == []
    ask(Brightness(), png(1), attributes=IDS, settings=Settings(slow_ms=0.001))
    (slow,) = lines(capfd)
    assert (slow["inspection"], slow["status"], slow["slow"]) == ("6d0f", 200, True)
    ask(Brightness(), png(1), attributes=IDS, settings=Settings(log_requests=1))
    (every,) = lines(capfd)
    assert (every["inspection"], every["status"], every["slow"]) == ("6d0f", 200, False)


def test_a_request_without_ids_has_a_line_without_ids(capfd):
    ask(Brightness(), b"hello")
    (line,) = lines(capfd)
    assert not {"inspection", "trace"} & line.keys()


@pytest.mark.promise(31)
@pytest.mark.parametrize("text", ["inspection=" + "a" * 65, "inspection=a\x1b[31m", "inspection=<b>"])
def test_what_is_no_id_does_not_reach_the_log(capfd, text):
    ask(Brightness(), b"hello", attributes=text)
    (line,) = lines(capfd)
    assert "inspection" not in line
