"""What a reviewer cannot do, and why."""

from __future__ import annotations

from collections.abc import Sequence


class ReviewError(Exception):
    """Base class. The message is a sentence for people.

    Attributes:
        code: Stable, for programs.
    """

    code = "review_error"


class NotQueuedError(ReviewError):
    """There is no such inspection in the queue."""

    code = "not_found"


class QueueEmptyError(ReviewError):
    """Nothing waits that the reviewer could claim."""

    code = "queue_empty"


class AlreadyClaimedError(ReviewError):
    """Another person works on it.

    Attributes:
        by: Who.
        until: Until when, unless the claim is renewed; ISO 8601 in UTC.
    """

    code = "already_claimed"

    def __init__(self, by: str, until: str) -> None:
        super().__init__(f"{by} is working on this image until {until}.")
        self.by = by
        self.until = until


class NotClaimedError(ReviewError):
    """A decision needs a claim first."""

    code = "not_claimed"


class ClaimExpiredError(ReviewError):
    """The reviewer's claim has expired."""

    code = "claim_expired"


class StaleVersionError(ReviewError):
    """Somebody has decided since the reviewer looked."""

    code = "stale_version"


class InvalidDecisionError(ReviewError):
    """The decision contradicts itself or the picture.

    Attributes:
        problems: What is wrong, each with its place.
    """

    code = "invalid_request"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


class BusyError(ReviewError):
    """Others write to the same counters all the time; nothing was written."""

    code = "unavailable"
