"""Waits before a stream delivers a failed batch again.

Lambda repeats it at once, and MaximumRetryAttempts times. Without a wait an outage of SNS or DynamoDB for a minute
would use up all attempts, and a person would have to redrive what then lies in a dead-letter queue.
https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
# For the way back: a function that is ended while it waits would only fail once more.
_SPARE_S = 5.0

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]
sleep = time.sleep


def patiently(handler: Handler) -> Handler:
    """Let a handler wait after a failure: longer after each one in a row, and no longer than its time allows.

    Nothing behind the failed record could be processed meanwhile, so nobody waits for longer. With its pauses, the
    template's hundred attempts bridge a quarter of an hour.
    """
    failures = 0

    @functools.wraps(handler)
    def wait_if_failed(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        nonlocal failures
        try:
            reply = handler(event, context)
        except Exception:
            failures += 1
            _wait(failures, context)
            raise
        if reply["batchItemFailures"]:
            failures += 1
            _wait(failures, context)
        else:
            failures = 0
        return reply

    return wait_if_failed


def _wait(failures: int, context: LambdaContext) -> None:
    longest: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures - 1, 10))
    left = context.get_remaining_time_in_millis() / 1000 - _SPARE_S
    sleep(max(0.0, min(left, longest * random.uniform(0.5, 1.0))))  # noqa: S311 - jitter, no secret
