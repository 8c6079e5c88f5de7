"""The gate: whether a candidate may replace the champion, with written reasons for and against.

A candidate must be shown to be better (`lead`), and must meet the bounds (`assessment`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retraining.assessment import Assessment, assess
from retraining.documents import Documents
from retraining.errors import BrokenReportError
from retraining.evaluation import Evaluation
from retraining.families import kind
from retraining.findings import Bounds


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
            candidates: Each with its `id`, its `family`, and `report`, the S3 URI of its evaluation.json, or `error`.
            champion: The same for the champion. None if no model serves yet.

        Returns:
            `decision` (promote or keep), `winner` (its index, or None), `reasons`, `opinions` (the assessment of
            each candidate), `approval` (whether a person must decide about the winner, whatever the request says),
            and `champion` (its figures, or None).

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
            "approval": winner is not None and assessments[winner].asks,
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
        return assess(evaluation, champion, self.bounds, kind(candidate["family"]))

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
    """Return the index of the promotable candidate with the highest figure, then the lowest latency, then the first.

    The figure is mAP among detectors, and image AUROC as soon as one of the candidates knows no classes. A candidate
    about which a person must decide is behind those that need none.
    """
    passed = [
        (index, assessment.evaluation, assessment.asks)
        for index, assessment in enumerate(assessments)
        if assessment.promotable and assessment.evaluation
    ]
    by_boxes = all(evaluation.kind == "detector" for _, evaluation, _ in passed)
    ranks = [
        (not asks, _figure(evaluation, by_boxes), -evaluation.latency.p50_ms, -index)
        for index, evaluation, asks in passed
    ]
    return -max(ranks)[-1] if ranks else None


def _figure(evaluation: Evaluation, by_boxes: bool) -> float:
    figure = evaluation.map if by_boxes else evaluation.image_auroc
    return -1.0 if figure is None else figure
