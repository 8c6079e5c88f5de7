"""`loupe stats`: what a person reads of the statistics."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loupe.stack.statistics import interval
from loupe.views import console, stats

COUNTS = {"inspected": 0, "pass": 0, "fail": 0, "review": 0, "unreadable": 0}


def totals(inspected: int = 0, fail: int = 0, **more: Any) -> dict[str, Any]:
    passed = inspected - fail
    return COUNTS | {"inspected": inspected, "pass": passed, "fail": fail, "defects": {}, "doubts": {}} | more


def report(*buckets: dict[str, Any], **more: Any) -> Any:
    """Return an answer of the API for days from the first of March on."""
    summed = totals(sum(one["inspected"] for one in buckets), sum(one["fail"] for one in buckets))
    return {
        "since": "2026-03-01T00:00:00Z",
        "until": "2026-03-08T00:00:00Z",
        "by": "day",
        "counted_since": "2026-01-01T00:00:00.000Z",
        "buckets": [{"start": f"2026-03-{day:02d}T00:00:00Z", **one} for day, one in enumerate(buckets, 1)],
        "totals": summed,
        "lines": [],
        "models": [],
        "control": {"centre": 0.1, "lower": [0.02] * len(buckets), "upper": [0.2] * len(buckets)},
    } | more


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 80 columns."""
    text = io.StringIO()
    monkeypatch.setattr(stats, "out", console.PlainConsole(width=80, file=text, color_system=None))
    return text


def test_a_row_has_counts_a_bar_and_the_share_with_its_interval(screen: io.StringIO) -> None:
    stats.show_statistics(report(totals(100, 10), totals(50, 5)), "line line-1")
    rows = screen.getvalue().splitlines()
    assert rows[0].strip() == "line line-1, by day (UTC)"
    (first,) = [row for row in rows if row.startswith(" 2026-03-01")]
    (second,) = [row for row in rows if row.startswith(" 2026-03-02")]
    assert first.split()[:4] == ["2026-03-01", "100", "10", "0"]
    assert "10.0 % [5.5, 17.4]" in first
    assert first.count("█") == 2 * second.count("█")
    assert (
        "150 images: 135 passed, 15 failed (10.0 % [6.2, 15.8]), 0 for review, 0 unreadable."
        in screen.getvalue()
    )
    assert max(len(row) for row in rows if "█" in row) <= 80


def test_a_day_outside_the_control_limits_is_marked(screen: io.StringIO) -> None:
    stats.show_statistics(report(totals(100, 30), totals(100, 1), totals(100, 10)), "")
    marked = {row[1:11]: row for row in screen.getvalue().splitlines() if row.startswith(" 2026")}
    assert "▲ high" in marked["2026-03-01"]
    assert "▼ low" in marked["2026-03-02"]
    assert "▲" not in marked["2026-03-03"]


def test_days_before_the_first_and_after_the_last_image_have_no_row_but_a_pause_has(
    screen: io.StringIO,
) -> None:
    empty = totals()
    stats.show_statistics(report(empty, totals(5), empty, totals(5, 1), empty), "")
    rows = [row[1:11] for row in screen.getvalue().splitlines() if row.startswith(" 2026")]
    assert rows == ["2026-03-02", "2026-03-03", "2026-03-04"]


def test_classes_stations_and_models_have_tables_of_their_own(screen: io.StringIO) -> None:
    whole = report(
        totals(100, 10),
        lines=[{"line": "a", "station": s, **totals(50, 5)} for s in ("top", "side")],
        models=[{"version": "7", **totals(100, 10)}],
    )
    whole["totals"] |= {"defects": {"dent": 8, "hole": 2}, "doubts": {"dent": 3, "rust": 1}}
    stats.show_statistics(whole, "")
    text = screen.getvalue()
    classes = [
        line.split() for line in text.splitlines() if line.split()[-1:] in (["dent"], ["hole"], ["rust"])
    ]
    assert [(row[-1], row[0], row[1]) for row in classes] == [
        ("dent", "8", "3"),
        ("hole", "2", "0"),
        ("rust", "0", "1"),
    ]
    assert "By station" in text
    assert "By model" not in text


def test_a_stack_that_began_to_count_later_says_so(screen: io.StringIO) -> None:
    stats.show_statistics(report(totals(5), counted_since="2026-03-03T12:00:00.000Z"), "")
    assert "earlier images are not in these figures" in " ".join(screen.getvalue().split())


def test_nothing_inspected_is_a_sentence(screen: io.StringIO) -> None:
    stats.show_statistics(report(totals(), counted_since=None), "line line-9")
    text = screen.getvalue()
    assert text.startswith("Nothing was inspected since")
    assert "line line-9" in text
    assert "counted nothing yet" in text


def test_names_from_outside_are_text(screen: io.StringIO) -> None:
    whole = report(totals(5, 1))
    whole["totals"]["defects"] = {"[red]dent\x1b[31m": 1}
    stats.show_statistics(whole, "line [b]x\x1b]0;y\x07")
    assert "[red]dent" in screen.getvalue()
    assert "\x1b" not in screen.getvalue()


@given(st.integers(1, 10_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_an_interval_contains_the_share_and_stays_within_0_and_1(shares: tuple[int, int]) -> None:
    number, total = shares
    low, high = interval(number, total)
    assert 0 <= low <= number / total + 1e-9
    assert number / total - 1e-9 <= high <= 1
    assert high - low < 0.7 or total < 4


def test_the_command_asks_for_its_filters_and_prints_the_answer_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from loupe.cli import main
    from loupe.commands import stats as command

    asked: list[Any] = []
    monkeypatch.setattr(command, "open_target", lambda *_: "target")
    monkeypatch.setattr(
        "loupe.stack.statistics.api.call",
        lambda target, method, path, query: asked.append((method, path, query)) or report(totals(3)),
    )
    words = ["loupe", "stats", "--since", "2026-03-01T00:00+00:00", "--until", "2026-03-02T00:00+00:00"]
    monkeypatch.setattr("sys.argv", [*words, "--by", "hour", "--line", "a", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    assert asked == [
        (
            "GET",
            "/statistics",
            {
                "since": "2026-03-01T00:00:00.000Z",
                "until": "2026-03-02T00:00:00.000Z",
                "by": "hour",
                "line": "a",
                "station": None,
                "model": None,
            },
        )
    ]
    assert json.loads(capsys.readouterr().out)["totals"]["inspected"] == 3
