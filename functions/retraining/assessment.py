"""The reasons for and against one candidate. A figure that is missing, not a number or tied never promotes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from retraining.evaluation import DIGITS, Evaluation, Rate
from retraining.families import Kind
from retraining.findings import Bounds, Finding
from retraining.lead import lead

# Of a score, between torch and ONNX Runtime. A larger difference means that the export is another model.
_MAX_EXPORT_DIFFERENCE = 0.01
# If the escape rate may be higher than this, the report says that the test images are too few.
_SURE_ESCAPE_RATE = 0.1
# What the gate tells about a candidate; all None if its evaluation cannot be read.
FIGURES = (
    "kind",
    "map",
    "map_interval",
    "map50",
    "image_auroc",
    "image_auroc_interval",
    "caught_at_zero_overkill",
    "escape_rate",
    "overkill_rate",
)


@dataclass
class Assessment:
    """The reasons for and against one candidate.

    Attributes:
        reasons_for: Sentences.
        reasons_against: Sentences. A single one keeps the candidate from being promoted.
        evaluation: None if it is missing or cannot be read.
        asks: Whether a person must decide, because the test images cannot tell.
    """

    reasons_for: list[str] = field(default_factory=list)
    reasons_against: list[str] = field(default_factory=list)
    evaluation: Evaluation | None = None
    asks: bool = False

    @property
    def promotable(self) -> bool:
        return self.evaluation is not None and not self.reasons_against

    def add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            (self.reasons_for if finding.passed else self.reasons_against).append(finding.reason)
            self.asks = self.asks or finding.asks

    def document(self) -> dict[str, Any]:
        """Return the assessment for the state machine and the report."""
        evaluation = self.evaluation
        figures = evaluation.summary() if evaluation else dict.fromkeys(FIGURES)
        return {
            **figures,
            "promotable": self.promotable,
            "for": self.reasons_for,
            "against": self.reasons_against,
        }


def assess(
    candidate: Evaluation, champion: Evaluation | None, bounds: Bounds, kind: Kind = "detector"
) -> Assessment:
    """Compare a candidate with the champion and the bounds.

    Args:
        candidate: Its evaluation.
        champion: The champion's; None if no model serves yet.
        bounds: The bounds of the gate.
        kind: Of the family that was trained.
    """
    assessment = Assessment(evaluation=candidate)
    assessment.add(lead(candidate, champion, bounds, kind))
    if not assessment.asks:
        assessment.add(_check_escapes(candidate, champion, bounds.escape_bound))
    assessment.add(_check_overkill(candidate))
    assessment.add(_check_export(candidate, bounds.latency_budget_ms))
    return assessment


def _check_escapes(candidate: Evaluation, champion: Evaluation | None, bound: float) -> Iterator[Finding]:
    now = candidate.verdicts.escape_rate
    if now is None:
        yield Finding(False, "its escape rate is not known")
        return
    reason = _describe_escape(now) + _describe_passes(candidate)
    before = champion.verdicts.escape_rate if champion else None
    if before is None:
        yield Finding(True, reason)
        return
    passed = round(now.value - before.value, DIGITS) <= bound
    yield Finding(passed, f"{reason}, the champion's {before.value:.1%}")


def _describe_escape(rate: Rate) -> str:
    text = f"escape rate {rate.value:.1%} at its operating points"
    if rate.interval is None or rate.of is None:
        return text
    low, high = rate.interval
    unsure = "; too few images to promise less" if high > _SURE_ESCAPE_RATE else ""
    return (
        f"{text} ({rate.count} of {rate.of} defective images, 95 % interval {low:.1%} to {high:.1%}{unsure})"
    )


def _describe_passes(evaluation: Evaluation) -> str:
    """Say it if no image passes: then no defect escapes, however bad the model is."""
    fails, reviews = evaluation.verdicts.fail_rate, evaluation.verdicts.review_rate
    if fails is None or reviews is None or fails.value + reviews.value < 1:
        return ""
    return f", because no test image passes: {fails.value:.1%} fail, {reviews.value:.1%} go to review"


def _check_overkill(candidate: Evaluation) -> Iterator[Finding]:
    rate = candidate.verdicts.overkill_rate
    if rate is not None and rate.value >= 1:
        yield Finding(
            False,
            f"overkill rate {rate.value:.1%}: it fails every good image, so its escape rate says nothing",
        )


def _check_export(candidate: Evaluation, budget: float) -> Iterator[Finding]:
    p95, difference = candidate.latency.p95_ms, candidate.model.export_score_difference
    yield Finding(p95 <= budget, f"latency p95 {p95:.0f} ms, the budget is {budget:.0f} ms")
    if difference is None:
        yield Finding(False, "whether its export agrees with the trained model is not known")
    else:
        yield Finding(
            difference <= _MAX_EXPORT_DIFFERENCE,
            f"the export's scores differ by {difference:.1e} from the trained model's",
        )
