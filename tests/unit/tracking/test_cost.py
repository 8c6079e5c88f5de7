"""The calls of the function that counts are those that the cost model has (loupe/cost/calls.json)."""

from collections import Counter
from typing import Any

from loupe.cost.usage import calls
from review.sampling import Sampling
from tests.unit.tracking.stage import FAIL_SHARE, PASS_SHARE, Stage, record


def records(verdict: str, *, queued: bool) -> list[dict[str, Any]]:
    """Return records of which all enter the review queue, or none."""
    sampling = Sampling(PASS_SHARE, FAIL_SHARE)
    candidates = [record(f"{verdict}{number}", verdict) for number in range(20)]
    return [candidate for candidate in candidates if (sampling.select(candidate) is not None) == queued]


def test_a_batch_of_records_needs_the_counted_calls(stage: Stage) -> None:
    first, second, *_ = records("review", queued=True)
    stage.deliver(first)  # a new process reads and remembers more
    stage.deliver(*records("pass", queued=False)[:3])
    batch = Counter(stage.calls)
    stage.deliver(second)
    queued = Counter(stage.calls)
    for made in (batch, queued):
        made.pop("UpdateItem", None)  # when a station was seen, at most once a minute
    counted = calls()["track"]
    assert batch == counted["batch"]
    assert queued == Counter(counted["batch"]) + Counter(counted["queued"])
