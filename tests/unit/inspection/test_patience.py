"""The pause before a stream delivers a failed batch again."""

from __future__ import annotations

from typing import Any

import pytest

from handlers import patience
from handlers.patience import FIRST_PAUSE_S, LONGEST_PAUSE_S, patiently
from tests.inspection_support import Context

FAILED = {"batchItemFailures": [{"itemIdentifier": "1"}]}
DONE: dict[str, Any] = {"batchItemFailures": []}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(patience, "sleep", slept.append)
    return slept


def answering(*replies: Any) -> Any:
    """Return a patient handler that gives one reply after the other, or raises it."""
    remaining = list(replies)

    @patiently
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        reply = remaining.pop(0)
        if isinstance(reply, Exception):
            raise reply
        result: dict[str, Any] = reply
        return result

    return handler


def test_the_pause_grows_with_each_failure_in_a_row_and_begins_anew_after_a_success(
    pauses: list[float],
) -> None:
    handler = answering(*[FAILED] * 8, DONE, FAILED)
    for _ in range(8):
        assert handler({}, Context(600)) == FAILED
    expected = [min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**failure) for failure in range(8)]
    assert all(longest / 2 <= pause <= longest for pause, longest in zip(pauses, expected, strict=True))
    assert handler({}, Context(600)) == DONE
    assert len(pauses) == 8
    handler({}, Context(600))
    assert pauses[-1] <= FIRST_PAUSE_S


def test_a_handler_that_raises_waits_too(pauses: list[float]) -> None:
    with pytest.raises(RuntimeError, match="throttled"):
        answering(RuntimeError("throttled"))({}, Context(60))
    assert len(pauses) == 1


@pytest.mark.parametrize("left", [0.0, 4.0, 6.0])
def test_a_pause_ends_before_the_function_is_ended(pauses: list[float], left: float) -> None:
    handler = answering(*[FAILED] * 8)
    for _ in range(8):
        handler({}, Context(left))
    assert max(pauses) <= max(0.0, left - 5)
