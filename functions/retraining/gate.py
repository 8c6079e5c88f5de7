"""Whether a candidate may take the champion's place: written reasons for and against, and a decision.

A candidate must be shown better: the lower end of the 95 % interval of the difference in mAP, by a paired
bootstrap over the frozen test set's images, must lie above the margin. What is missing, not a number, or tied
never promotes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from contract.s3 import split
from retraining.documents import Documents
from retraining.errors import BrokenReportError

_LEVEL = 0.95
_DIGITS = 6  # beyond which a difference is the arithmetic's
_SAME_PARITY = 0.01  # of a score, between torch and ONNX Runtime: more is another model


class _Figures(BaseModel):
    """JSON of Python's making may hold NaN and infinity, which are no figures."""

    model_config = ConfigDict(allow_inf_nan=False)


class _Rate(_Figures):
    value: float


class _Verdicts(_Figures):
    escape_rate: _Rate | None = None
    overkill_rate: _Rate | None = None


class _Latency(_Figures):
    p50_ms: float
    p95_ms: float


class _Confidence(_Figures):
    map: tuple[float, float] | None
    map_resamples: list[float | None]


class _Model(_Figures):
    version: str
    family: str
    export_score_difference: float | None = None


class _Dataset(_Figures):
    snapshot: str


class Report(_Figures):
    """What the gate reads of an evaluation.json."""

    map: float | None
    map50: float | None
    per_class: dict[str, float | None]
    images: int
    split: str
    dataset: _Dataset
    confidence: _Confidence
    verdicts: _Verdicts
    latency: _Latency
    model: _Model
    unknown_classes: list[str]

    @classmethod
    def read(cls, document: Any) -> Self:
        """Raises BrokenReportError."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "its top"
            raise BrokenReportError(
                f"the evaluation's report is not in order at {place}: {first['msg']}"
            ) from error

    def summary(self) -> dict[str, Any]:
        """The figures of a table's row."""
        return {
            "map": self.map,
            "map_interval": self.confidence.map,
            "map50": self.map50,
            "family": self.model.family,
        }


@dataclass(frozen=True)
class Bounds:
    """margin: of mAP that the whole interval must exceed; class_bound: of AP that no class may lose;
    escape_bound: by which the escape rate may rise, for one image more or less is chance; latency_budget_ms:
    for the 95th percentile of an image on the evaluation's instance.
    """

    margin: float
    class_bound: float
    escape_bound: float
    latency_budget_ms: float


@dataclass
class Opinion:
    """On one candidate."""

    pro: list[str] = field(default_factory=list)
    contra: list[str] = field(default_factory=list)
    report: Report | None = None

    @property
    def promotable(self) -> bool:
        return self.report is not None and not self.contra

    def document(self) -> dict[str, Any]:
        """For the state machine and the report."""
        figures = self.report.summary() if self.report else dict.fromkeys(("map", "map_interval", "map50"))
        return {**figures, "promotable": self.promotable, "for": self.pro, "against": self.contra}

    def say(self, good: bool, reason: str) -> None:
        (self.pro if good else self.contra).append(reason)


def judge(candidate: Report, champion: Report | None, bounds: Bounds) -> Opinion:
    """Reasons for and against; it is promotable where nothing speaks against it."""
    opinion = Opinion(report=candidate)
    if candidate.map is None:
        opinion.say(False, "it has no mAP")
        return opinion
    _better(opinion, candidate, champion, bounds.margin)
    _classes(opinion, candidate, champion, bounds.class_bound)
    _escapes(opinion, candidate, champion, bounds.escape_bound)
    p95, budget = candidate.latency.p95_ms, bounds.latency_budget_ms
    opinion.say(p95 <= budget, f"latency p95 {p95:.0f} ms, the budget is {budget:.0f} ms")
    difference = candidate.model.export_score_difference
    if difference is None:
        opinion.say(False, "whether its export finds what the trained model finds is not known")
    else:
        same = difference <= _SAME_PARITY
        opinion.say(same, f"the export's scores differ by {difference:.1e} from the trained model's")
    return opinion


def _better(opinion: Opinion, candidate: Report, champion: Report | None, margin: float) -> None:
    assert candidate.map is not None  # noqa: S101 - judge has looked
    if champion is None:
        opinion.say(candidate.map > 0, f"mAP {candidate.map:.3f}; no model serves yet")
        return
    if champion.map is None:
        opinion.say(False, "the champion has no mAP, so nothing can be shown better")
        return
    same = (candidate.dataset.snapshot, candidate.split, candidate.images)
    if same != (champion.dataset.snapshot, champion.split, champion.images):
        opinion.say(False, "it was not judged on the champion's images")
        return
    lead = candidate.map - champion.map
    interval = paired_interval(candidate.confidence.map_resamples, champion.confidence.map_resamples)
    if interval is None:
        opinion.say(False, "how sure the difference to the champion is cannot be told")
        return
    low, high = interval
    said = (
        f"mAP {candidate.map:.3f}, the champion's {champion.map:.3f}: {lead:+.3f} [{low:+.3f}, {high:+.3f}]"
    )
    shown = low > round(margin, _DIGITS)
    opinion.say(shown, said if shown else f"{said}; more than {margin:+.3f} is not shown")


def paired_interval(
    candidate: Sequence[float | None], champion: Sequence[float | None]
) -> tuple[float, float] | None:
    """The 95 % percentile interval of the difference, resample by resample; None where they do not pair.

    >>> paired_interval([0.3, 0.5], [0.1, 0.2])
    (0.2, 0.3)
    """
    if not candidate or len(candidate) != len(champion):
        return None
    differences: list[float] = []
    for a, b in zip(candidate, champion, strict=True):
        if a is None and b is None:  # no object was drawn
            continue
        if a is None or b is None or not math.isfinite(a - b):
            return None
        differences.append(a - b)
    if not differences:
        return None
    differences.sort()
    tail = int(len(differences) * (1 - _LEVEL) / 2)
    return round(differences[tail], _DIGITS), round(differences[-1 - tail], _DIGITS)


def _classes(opinion: Opinion, candidate: Report, champion: Report | None, bound: float) -> None:
    if candidate.unknown_classes:
        opinion.say(False, f"it does not know {', '.join(candidate.unknown_classes)}")
    if unknown := [label for label, value in candidate.per_class.items() if value is None]:
        opinion.say(False, f"the test set cannot tell how well it finds {', '.join(unknown)}")
    if champion is None:
        return
    worse = []
    for label, before in champion.per_class.items():
        now = candidate.per_class.get(label)
        if before is not None and (now is None or round(before - now, _DIGITS) > bound):
            worse.append(f"{label} {before:.3f} → {'unknown' if now is None else f'{now:.3f}'}")
    opinion.say(
        not worse, f"worse by more than {bound:.3f} AP: {', '.join(worse)}" if worse else "no class is worse"
    )


def _escapes(opinion: Opinion, candidate: Report, champion: Report | None, bound: float) -> None:
    now = candidate.verdicts.escape_rate
    if now is None:
        opinion.say(False, "its escape rate is not known")
        return
    before = champion.verdicts.escape_rate if champion else None
    if before is None:
        opinion.say(True, f"escape rate {now.value:.1%} at its operating points")
        return
    said = f"escape rate {now.value:.1%} at its operating points, the champion's {before.value:.1%}"
    opinion.say(round(now.value - before.value, _DIGITS) <= bound, said)


@dataclass(frozen=True)
class Gate:
    """Reads the evaluations, and decides."""

    documents: Documents
    bounds: Bounds

    def decide(
        self, candidates: Sequence[Mapping[str, Any]], champion: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """`decision` promote or keep, the `winner` (its index), `reasons`, an opinion of each, the `champion`.

        candidates, champion: with `report`, the address of their evaluation.json, or `error`. Raises
        BrokenReportError where the champion cannot be judged: then nothing can be shown better.
        """
        reigning = self._reigning(champion) if champion else None
        opinions: list[Opinion] = []
        ranks: list[tuple[float, float, int]] = []
        for index, candidate in enumerate(candidates):
            opinion = self._judge(candidate, reigning)
            opinions.append(opinion)
            report = opinion.report
            if opinion.promotable and report is not None and report.map is not None:
                ranks.append((report.map, -report.latency.p50_ms, -index))
        winner = -max(ranks)[2] if ranks else None
        if winner is None:
            reasons = [
                f"{candidate['id']}: {'; '.join(opinion.contra)}"
                for candidate, opinion in zip(candidates, opinions, strict=True)
            ]
        else:
            reasons = [f"{candidates[winner]['id']}: {reason}" for reason in opinions[winner].pro]
        return {
            "decision": "keep" if winner is None else "promote",
            "winner": winner,
            "reasons": reasons,
            "opinions": [opinion.document() for opinion in opinions],
            "champion": reigning.summary() if reigning else None,
        }

    def _reigning(self, champion: Mapping[str, Any]) -> Report:
        try:
            if champion.get("error") or not champion.get("report"):
                raise BrokenReportError(str(champion.get("error") or "it was not evaluated"))
            return self._read(champion["report"])
        except BrokenReportError as error:
            raise BrokenReportError(
                f"the champion cannot be judged, so nothing can be shown better: {error}"
            ) from error

    def _judge(self, candidate: Mapping[str, Any], champion: Report | None) -> Opinion:
        if candidate.get("error") or not candidate.get("report"):
            return Opinion(contra=[str(candidate.get("error") or "it was not evaluated")])
        try:
            report = self._read(candidate["report"])
        except BrokenReportError as error:
            return Opinion(contra=[str(error)])
        return judge(report, champion, self.bounds)

    def _read(self, uri: str) -> Report:
        try:
            found = self.documents.find(split(uri)[1])
        except ValueError as error:
            raise BrokenReportError(f"{uri} is no JSON document: {error}") from error
        if found is None:
            raise BrokenReportError(f"there is no evaluation {uri}")
        return Report.read(found[0])
