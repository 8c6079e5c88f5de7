"""What people read: tables at 80 columns, CSV, times and events."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loupe.stack.alert_inbox import AlarmMessage, Notice
from loupe.stack.feed import Inspected
from loupe.views import console, feed, figures, inspections

RECORD: dict[str, Any] = {
    "id": "0123456789abcdef",
    "received_at": "2026-03-02T08:00:01.250Z",
    "line": "line-1-of-a-rather-long-name",
    "station": "station-with-a-long-name",
    "serial": "SN-2026-000000000000004711",
    "verdict": "review",
    "reasons": [
        {"label": "scratches", "score": 0.4983, "message": "possible defect: scratches 0.498"},
        {"label": None, "message": "blurred: sharpness 3 is below 5"},
    ],
    "image": "s3://images/incoming/a/b/c.jpg",
    "version_id": "v",
    "model": {"name": "ssdlite", "version": "7"},
    "rules_version": "1",
}


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> console.PlainConsole:
    """A terminal of 80 columns."""
    screen = console.PlainConsole(width=80, file=io.StringIO(), color_system=None)
    for module in (inspections, feed):
        monkeypatch.setattr(module, "out", screen)
    return screen


@pytest.fixture
def in_india(monkeypatch: pytest.MonkeyPatch) -> Any:
    import time

    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _text(screen: console.PlainConsole) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_at_80_columns_times_verdicts_and_figures_are_whole_and_names_continue_below(
    narrow: console.PlainConsole, in_india: None
):
    inspections.show_inspections([RECORD], "Verdicts")
    text = _text(narrow)
    assert "2026-03-02 13:30:01" in text
    assert "review" in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    letters = "".join(text.split())
    assert all(part in letters for part in ("0.498", "scratches"))


def test_an_event_is_one_line_with_the_link_to_its_picture(narrow: console.PlainConsole, in_india: None):
    feed.show(Inspected(RECORD, Path("/home/a b/pictures/x.jpg"), alerted=False), json_=False)
    first, second = _text(narrow).splitlines()
    assert first.startswith("2026-03-02 13:30:01 review  line-1-of-a-rather-long-name/")
    assert first.endswith("scratches 0.498")
    assert second.strip() == "file:///home/a%20b/pictures/x.jpg"


def test_alarms_and_notices_are_printed_with_their_reason(narrow: console.PlainConsole, in_india: None):
    at = datetime(2026, 3, 2, 8, tzinfo=UTC)
    feed.show(AlarmMessage("DeferredAlarm", "ALARM", "3 images wait [/b]", at), json_=False)
    feed.show(Notice("Loupe: retraining", "kept\n\nno candidate is better", at), json_=False)
    assert _text(narrow).splitlines() == [
        "2026-03-02 13:30:00 alarm ALARM  DeferredAlarm: 3 images wait [/b]",
        "2026-03-02 13:30:00 notice  Loupe: retraining",
        "    kept",
        "    no candidate is better",
    ]


def test_events_as_json_tell_an_alert_from_an_inspection(capsys: pytest.CaptureFixture[str]):
    feed.show(Inspected(RECORD, None, alerted=True), json_=True)
    feed.show(Inspected(RECORD, Path("/p.jpg"), alerted=False), json_=True)
    alert, inspection = map(json.loads, capsys.readouterr().out.splitlines())
    assert (alert["alert"], alert["picture"]) == (RECORD, None)
    assert (inspection["inspection"], inspection["picture"]) == (RECORD, "/p.jpg")


def test_a_time_is_the_readers_local_date_and_time(in_india: None):
    assert figures.local_time("2026-03-01T22:00:00Z") == "2026-03-02 03:30:00"


def test_what_passed_an_anomaly_model_shows_how_unusual_it_is():
    passed = RECORD | {"verdict": "pass", "reasons": []}
    assert inspections.explanation(passed) == ""
    assert inspections.explanation(passed | {"anomaly": {"score": 0.1749}}) == "(anomaly score 0.175)"
    assert inspections.explanation(passed | {"anomaly": {"score": None}}) == ""
    assert inspections.explanation(passed | {"anomaly": {"distance": 91.0}}) == ""
