"""What waits in the local cloud when the clock is set back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import lambda_svc, scheduler, sqs

from localcloud.ministack import clock_jumps

HOUR = 3600.0
URL = "http://localhost/000000000000/clock"


@pytest.fixture
def queue() -> Iterator[dict[str, Any]]:
    """A queue of a cloud whose clock is an hour ahead, until the test sets it back."""
    with request_scope("000000000000", "us-east-1"):
        sqs._queues[URL] = {"messages": [], "is_fifo": False, "attributes": {}}
        yield sqs._queues[URL]
        del sqs._queues[URL]


def message(visible_in: float) -> dict[str, Any]:
    ahead = time.time() + HOUR
    return {"id": "1", "body": "", "sent_at": ahead, "visible_at": ahead + visible_in, "receive_count": 1}


def test_a_message_in_work_waits_for_the_rest_of_its_time_and_no_longer(queue: dict[str, Any]) -> None:
    in_work, waiting = message(visible_in=20), message(visible_in=0)
    queue["messages"] += [in_work, waiting]
    clock_jumps.set_back(HOUR)
    assert time.time() < in_work["visible_at"] <= time.time() + 20
    assert waiting["visible_at"] <= time.time()
    assert in_work["sent_at"] <= time.time()
    assert sqs._collect_msgs(queue, 10, 30) == [waiting]


def test_a_message_that_came_after_the_jump_is_left_alone(queue: dict[str, Any]) -> None:
    now = time.time()
    late = {"id": "1", "body": "", "sent_at": now - 1, "visible_at": now - 1, "receive_count": 0}
    queue["messages"].append(dict(late))
    clock_jumps.set_back(HOUR)
    assert queue["messages"] == [late]


def test_a_schedule_and_a_queue_after_a_failure_do_not_wait_for_the_former_time() -> None:
    ahead = time.time() + HOUR
    scheduler._schedule_last_fired["clock"] = lambda_svc._esm_backoff_until["clock"] = ahead
    try:
        clock_jumps.set_back(HOUR)
        assert scheduler._schedule_last_fired["clock"] <= time.time()
        assert lambda_svc._esm_backoff_until["clock"] <= time.time()
    finally:
        del scheduler._schedule_last_fired["clock"], lambda_svc._esm_backoff_until["clock"]
