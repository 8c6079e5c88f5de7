"""Corrects what MiniStack measures by the wall clock when that is set back.

A message that is in work, or delayed, carries the time at which it can be received again. After the clock was set back
by an hour, by a person or by NTP, it would wait for an hour longer, and so would schedules, and a queue whose last
batch has failed. AWS's clocks do not jump. A clock that is set forward only ends waits early, which delivery at least
once allows.
"""

import logging
import threading
import time
from collections.abc import MutableMapping
from typing import Any

from ministack.services import eventbridge, lambda_svc, scheduler, sqs

from localcloud.stopping import stopping

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
# Less is how NTP corrects a clock that is right, and what a busy machine does between two readings.
_LEAST_JUMP_S = 2.0


def apply() -> None:
    """Watch the clock in a thread, until the cloud stops."""
    threading.Thread(target=_watch, daemon=True, name="loupe-clock").start()


def _watch() -> None:
    ahead = _ahead()
    while not stopping.wait(_LOOK_EVERY_S):
        before, ahead = ahead, _ahead()
        if ahead - before < -_LEAST_JUMP_S:
            set_back(before - ahead)


def _ahead() -> float:
    """Return by how much the wall clock is ahead of the one that never jumps."""
    return time.time() - time.monotonic()


def set_back(seconds: float) -> None:
    """Correct what waits for a moment by a clock that was set back by so many seconds."""
    logger.warning("the clock was set back by %.0f s: what waits is due as much earlier", seconds)
    now = time.time()
    for _, queue in list(sqs._queues.all_items()):
        for message in list(queue["messages"]):
            _correct_message(message, now, seconds)
    _correct(lambda_svc._esm_backoff_until, now)
    _correct(eventbridge._rule_last_fired, now)
    _correct(scheduler._schedule_last_fired, now)


def _correct_message(message: dict[str, Any], now: float, seconds: float) -> None:
    # Also of a message that was received since the jump, which then comes once more.
    if message["visible_at"] > now:
        message["visible_at"] = max(now, message["visible_at"] - seconds)
    for name in ("sent_at", "enqueued_at"):
        if name in message:
            message[name] = min(message[name], now)


def _correct(moments: MutableMapping[Any, float], now: float) -> None:
    """Let no moment of the past be in the future."""
    for key, moment in list(moments.items()):
        if moment > now:
            moments[key] = now
