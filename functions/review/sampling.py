"""Which inspections people look at: every doubtful one, and a random share of the passed and of the failed.

Without a look at passed images nobody would ever know how many defects escape, and without a look at failed images,
how many good parts are lost. An image that is `unreadable` never enters the queue: there is nothing in it to label, and
it is no judgement of the model that could be right or wrong. It is counted, listed and alarmed about elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from contract.inspections import Verdict

# The end of the id: its start chooses the shard of the indexes, and a share must take from all shards alike.
_DIGITS = 12
_LOTS = float(1 << 4 * _DIGITS)


class Cause(StrEnum):
    """Why an inspection is in the queue."""

    VERDICT = "verdict"
    SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Selection:
    """An inspection that people should look at.

    Attributes:
        cause: Why.
        share: The share of the inspections with this verdict that enter the queue, 0..1.
    """

    cause: Cause
    share: float


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many of the inspections enter the queue.

    Attributes:
        pass_share: Of the passed images, 0..1.
        fail_share: Of the failed images, 0..1.
    """

    pass_share: float
    fail_share: float

    def select(self, record: Mapping[str, Any]) -> Selection | None:
        """Return why an inspection enters the queue, or None if it does not.

        The answer follows from the record's id, so every delivery of the record gets the same.

        Args:
            record: The inspection record.
        """
        verdict = record["verdict"]
        if verdict == Verdict.REVIEW:
            return Selection(Cause.VERDICT, 1.0)
        share = {Verdict.PASS: self.pass_share, Verdict.FAIL: self.fail_share}.get(verdict, 0.0)
        return Selection(Cause.SAMPLE, share) if lot(record["id"]) < share else None


def lot(identity: str) -> float:
    """Return a number in 0..1 that an id has drawn: evenly distributed, and always the same for the same id.

    >>> lot("00000000000000000000800000000000")
    0.5
    """
    return int(identity[-_DIGITS:], 16) / _LOTS
