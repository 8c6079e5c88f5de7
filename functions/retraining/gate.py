"""The gate: whether a candidate may replace the champion, with written reasons for and against.

A candidate must be shown to be better: the lower end of the 95 % interval of the difference in mAP, from a paired
bootstrap over the images of the frozen test set, must be above the margin. A figure that is missing, not a number
or tied never promotes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retraining.documents import Documents
from retraining.errors import BrokenReportError
from retraining.evaluation import DIGITS, Evaluation, Rate, paired_interval

# Of a score, between torch and ONNX Runtime. A larger difference means that the export is another model.
_MAX_EXPORT_DIFFERENCE = 0.01
# If the escape rate may be higher than this, the report says that the test images are too few.
_SURE_ESCAPE_RATE = 0.1
_FIGURES = ("map", "map_interval", "map50", "escape_rate", "overkill_rate")


@dataclass(frozen=True)
class Bounds:
    """The bounds of the gate.

    Attributes:
        margin: The whole interval of the difference in mAP must be above this.
        class_bound: How much AP a class may lose.
        escape_bound: How much the escape rate may rise, because one image more or less is chance.
        latency_budget_ms: For the 95th percentile of the latency of an image, on the evaluation's instance.
    """

    margin: float
    class_bound: float
    escape_bound: float
    latency_budget_ms: float


@dataclass
class Assessment:
    """The reasons for and against one candidate.

    Attributes:
        reasons_for: Sentences.
        reasons_against: Sentences. A single one keeps the candidate from being promoted.
        evaluation: None if it is missing or cannot be read.
    """

    reasons_for: list[str] = field(default_factory=list)
    reasons_against: list[str] = field(default_factory=list)
    evaluation: Evaluation | None = None

    @property
    def promotable(self) -> bool:
        return self.evaluation is not None and not self.reasons_against

    def add(self, passed: bool, reason: str) -> None:
        (self.reasons_for if passed else self.reasons_against).append(reason)

    def document(self) -> dict[str, Any]:
        """Return the assessment for the state machine and the report."""
        evaluation = self.evaluation
        figures = evaluation.summary() if evaluation else dict.fromkeys(_FIGURES)
        return {
            **figures,
            "promotable": self.promotable,
            "for": self.reasons_for,
            "against": self.reasons_against,
        }


def assess(candidate: Evaluation, champion: Evaluation | None, bounds: Bounds) -> Assessment:
    """Compare a candidate with the champion and the bounds. champion: None if no model serves yet."""
    assessment = Assessment(evaluation=candidate)
    if candidate.map is None:
        assessment.add(False, "it has no mAP")
        return assessment
    _compare_map(assessment, candidate, champion, bounds.margin)
    _check_classes(assessment, candidate)
    if champion:
        _compare_classes(assessment, candidate, champion, bounds.class_bound)
    _compare_escape_rate(assessment, candidate, champion, bounds.escape_bound)
    _check_overkill(assessment, candidate)
    p95, budget = candidate.latency.p95_ms, bounds.latency_budget_ms
    assessment.add(p95 <= budget, f"latency p95 {p95:.0f} ms, the budget is {budget:.0f} ms")
    difference = candidate.model.export_score_difference
    if difference is None:
        assessment.add(False, "whether its export agrees with the trained model is not known")
    else:
        assessment.add(
            difference <= _MAX_EXPORT_DIFFERENCE,
            f"the export's scores differ by {difference:.1e} from the trained model's",
        )
    return assessment


def _compare_map(
    assessment: Assessment, candidate: Evaluation, champion: Evaluation | None, margin: float
) -> None:
    assert candidate.map is not None  # noqa: S101 - assess has checked it
    if champion is None:
        assessment.add(candidate.map > 0, f"mAP {candidate.map:.3f}; no model serves yet")
        return
    if champion.map is None:
        assessment.add(False, "the champion has no mAP, so nothing can be shown to be better")
        return
    if not candidate.same_images(champion):
        assessment.add(False, "it was not evaluated on the champion's images")
        return
    lead = candidate.map - champion.map
    interval = paired_interval(candidate.confidence.map_resamples, champion.confidence.map_resamples)
    if interval is None:
        assessment.add(False, "the confidence interval of the difference to the champion cannot be computed")
        return
    low, high = interval
    figures = (
        f"mAP {candidate.map:.3f}, the champion's {champion.map:.3f}: {lead:+.3f} [{low:+.3f}, {high:+.3f}]"
    )
    if low > round(margin, DIGITS):
        assessment.add(True, figures)
    else:
        assessment.add(False, f"{figures}; more than {margin:+.3f} is not shown")


def _check_classes(assessment: Assessment, candidate: Evaluation) -> None:
    if candidate.unknown_classes:
        assessment.add(False, f"it does not know {', '.join(candidate.unknown_classes)}")
    if unmeasured := [label for label, ap in candidate.per_class.items() if ap is None]:
        assessment.add(False, f"the test set cannot show how well it finds {', '.join(unmeasured)}")


def _compare_classes(
    assessment: Assessment, candidate: Evaluation, champion: Evaluation, bound: float
) -> None:
    worse = []
    for label, before in champion.per_class.items():
        now = candidate.per_class.get(label)
        if before is not None and (now is None or round(before - now, DIGITS) > bound):
            worse.append(f"{label} {before:.3f} → {'unknown' if now is None else f'{now:.3f}'}")
    if worse:
        assessment.add(False, f"worse by more than {bound:.3f} AP: {', '.join(worse)}")
    else:
        assessment.add(True, "no class is worse")


def _compare_escape_rate(
    assessment: Assessment, candidate: Evaluation, champion: Evaluation | None, bound: float
) -> None:
    now = candidate.verdicts.escape_rate
    if now is None:
        assessment.add(False, "its escape rate is not known")
        return
    reason = _describe_escape(now) + _describe_passes(candidate)
    before = champion.verdicts.escape_rate if champion else None
    if before is None:
        assessment.add(True, reason)
        return
    passed = round(now.value - before.value, DIGITS) <= bound
    assessment.add(passed, f"{reason}, the champion's {before.value:.1%}")


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


def _check_overkill(assessment: Assessment, candidate: Evaluation) -> None:
    rate = candidate.verdicts.overkill_rate
    if rate is not None and rate.value >= 1:
        assessment.add(
            False,
            f"overkill rate {rate.value:.1%}: it fails every good image, so its escape rate says nothing",
        )


@dataclass(frozen=True)
class Gate:
    """Reads the evaluations and decides.

    Attributes:
        documents: The artefacts bucket.
        bounds: The bounds of the gate.
    """

    documents: Documents
    bounds: Bounds

    def decide(
        self, candidates: Sequence[Mapping[str, Any]], champion: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Decide which candidate replaces the champion, if any.

        Args:
            candidates: Each with its `id`, and with `report`, the S3 URI of its evaluation.json, or `error`.
            champion: The same for the champion. None if no model serves yet.

        Returns:
            `decision` (promote or keep), `winner` (its index, or None), `reasons`, `opinions` (the assessment of
            each candidate), and `champion` (its figures, or None).

        Raises:
            BrokenReportError: The champion has no valid evaluation, so no candidate can be compared with it.
        """
        champion_evaluation = self._champion_evaluation(champion) if champion else None
        assessments = [self._assess(candidate, champion_evaluation) for candidate in candidates]
        for candidate, assessment in zip(candidates, assessments, strict=True):
            if champion and (note := _describe_data_sets(candidate, champion)):
                assessment.reasons_for.append(note)
        winner = _winner(assessments)
        if winner is None:
            reasons = [
                f"{candidate['id']}: {'; '.join(assessment.reasons_against)}"
                for candidate, assessment in zip(candidates, assessments, strict=True)
            ]
        else:
            reasons = [f"{candidates[winner]['id']}: {reason}" for reason in assessments[winner].reasons_for]
        return {
            "decision": "keep" if winner is None else "promote",
            "winner": winner,
            "reasons": reasons,
            "opinions": [assessment.document() for assessment in assessments],
            "champion": champion_evaluation.summary() if champion_evaluation else None,
        }

    def _champion_evaluation(self, champion: Mapping[str, Any]) -> Evaluation:
        try:
            if champion.get("error") or not champion.get("report"):
                raise BrokenReportError(str(champion.get("error") or "it was not evaluated"))
            return self._read(champion["report"])
        except BrokenReportError as error:
            raise BrokenReportError(
                f"the champion has no valid evaluation, so no candidate can be shown to be better: {error}"
            ) from error

    def _assess(self, candidate: Mapping[str, Any], champion: Evaluation | None) -> Assessment:
        if candidate.get("error") or not candidate.get("report"):
            return Assessment(reasons_against=[str(candidate.get("error") or "it was not evaluated")])
        try:
            evaluation = self._read(candidate["report"])
        except BrokenReportError as error:
            return Assessment(reasons_against=[str(error)])
        return assess(evaluation, champion, self.bounds)

    def _read(self, uri: str) -> Evaluation:
        return Evaluation.read(self.documents.read(uri, "evaluation"))


def _describe_data_sets(candidate: Mapping[str, Any], champion: Mapping[str, Any]) -> str | None:
    """Say it if the champion learned from another data set: its classes may be others, so it may find nothing."""
    trained_on, tested_on = champion.get("dataset"), candidate.get("dataset")
    if trained_on is None or trained_on == tested_on:
        return None
    return (
        f"the champion was trained on the data set {trained_on}, this model on {tested_on}: both were tested on "
        f"the test images of {tested_on}"
    )


def _winner(assessments: Sequence[Assessment]) -> int | None:
    """Return the index of the promotable candidate with the highest mAP, then the lowest latency, then the first."""
    ranks = [
        (assessment.evaluation.map, -assessment.evaluation.latency.p50_ms, -index)
        for index, assessment in enumerate(assessments)
        if assessment.promotable and assessment.evaluation and assessment.evaluation.map is not None
    ]
    return -max(ranks)[2] if ranks else None
