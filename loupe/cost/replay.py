"""What a replay costs on AWS, beside the endpoint's hours, which it does not change."""

from __future__ import annotations

from loupe.cost.prices import Prices
from loupe.cost.usage import calls
from loupe.cost.workload import memory_gb

# Of one image (functions/replay/): its message is sent, received and deleted; the transaction writes the record, the
# history, two counters and the replay, each at the price of two writes:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
_REQUESTS = 3 / 10
_OTHER_WRITES = 4
_TRANSACTION = 2
_READS = 3
_MODEL_MS = 100.0  # as loupe/cost/workload.py assumes


def dollars(images: int, region: str) -> float:
    """Return about how many US dollars it costs to judge images again.

    Args:
        images: How many.
        region: Where.
    """
    prices = Prices.recorded()
    writes = max(calls()["writes"]["record"].values()) + _OTHER_WRITES
    milliseconds = calls()["milliseconds"]["inspect"] + _MODEL_MS
    used = {
        "lambda.time": milliseconds / 1000 * memory_gb("ReplayFunction"),
        "dynamodb.write": _TRANSACTION * writes,
        "dynamodb.read": _READS,
        "sqs.request": _REQUESTS,
        "s3.get": 1,
    }
    return sum(prices.need(item, region).of(number * images) for item, number in used.items())
