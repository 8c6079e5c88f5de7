"""What the gate goes by: its bounds, and what a check finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The bounds of the gate.

    Attributes:
        margin: The whole interval of the difference in mAP, or in image AUROC, must be above this.
        class_bound: How much AP a class may lose.
        escape_bound: How much the escape rate may rise, because one image more or less is chance.
        overkill_bound: How much the overkill rate may rise with an anomaly model. What it finds was never labelled, so
            it may fail good products that a detector lets pass.
        latency_budget_ms: For the 95th percentile of the latency of an image, on the evaluation's instance.
    """

    margin: float
    class_bound: float
    escape_bound: float
    overkill_bound: float
    latency_budget_ms: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check finds.

    Attributes:
        passed: Whether it speaks for the candidate.
        reason: A sentence.
        asks: Whether a person must decide, because the test images cannot tell.
    """

    passed: bool
    reason: str
    asks: bool = False
