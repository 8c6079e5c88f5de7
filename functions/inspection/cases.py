"""Inspections that can be judged again, with what people have decided about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from contract.inspections import Verdict
from contract.scores import ANOMALY
from inspection.detector import Detection, Size
from inspection.estimates import Rate, Stratum, rate
from inspection.records import Record
from inspection.rules import Judgement, Kind, Rules, judge, standing


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person has decided about an image.

    Attributes:
        defective: Whether the part is bad.
        labels: The classes of its defects; empty for a good part.
    """

    defective: bool
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Case:
    """An inspection.

    Attributes:
        record: The record.
        decision: The last decision of a person; None if there is none, or if the picture is unusable.
    """

    record: Record
    decision: Decision | None = None

    @property
    def id(self) -> str:
        """The record's id."""
        return str(self.record["id"])

    @property
    def line(self) -> str:
        """The production line."""
        return str(self.record["line"])

    @property
    def recorded(self) -> Verdict:
        """The verdict in the record."""
        return Verdict(self.record["verdict"])

    @property
    def model(self) -> str | None:
        """The version of the model that answered; None if none did, and the verdict is no matter of rules."""
        model = self.record.get("model") or {}
        return str(model["version"]) if "version" in model else None

    @property
    def is_older(self) -> bool:
        """Whether the record is of a release that did not keep the model's doubts."""
        return self.model is not None and "doubts" not in self.record

    def verdict(self, rules: Rules) -> Verdict:
        """Return the verdict that rules give. An image that the model has not seen keeps its own."""
        judgement = self.judgement(rules)
        return judgement.verdict if judgement else self.recorded

    def judgement(self, rules: Rules) -> Judgement | None:
        """Return what rules make of the image; None if the model has not seen it."""
        if self.model is None:
            return None
        rules = rules.for_model(self.model)
        return judge(rules, self.line, self._detections, self._quality, self._doubts, self._size)

    def deciding_scores(self, rules: Rules) -> dict[str, float]:
        """Return the score that decides for each class: the class fails if it reaches its fail_score, if it can fail.

        It is the highest of those detections that count by size and place; with an allowed count of n, the one after
        the n highest. A class with fewer detections is left out.
        """
        if self.model is None:
            return {}
        scores: dict[str, list[float]] = {}
        for detection in standing(rules, self.line, self._detections, self._size):
            scores.setdefault(detection.label, []).append(detection.score)
        allowed = {label: rules.rule(self.line, label).allowed_count for label in scores}
        return {
            label: sorted(found, reverse=True)[allowed[label]]
            for label, found in scores.items()
            if len(found) > allowed[label]
        }

    @cached_property
    def _detections(self) -> list[Detection]:
        return [
            Detection(
                label=detection["label"],
                score=float(detection["score"]),
                box=tuple(map(float, detection["box"])),
            )
            for detection in self.record.get("detections", [])
        ]

    @cached_property
    def _quality(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.record.get("quality", {}).items()}

    @cached_property
    def _doubts(self) -> list[str]:
        """The model's doubts. An older record has only the reasons that came of them, and of the picture's quality."""
        if not self.is_older:
            return [str(doubt) for doubt in self.record.get("doubts", [])]
        return [
            str(reason["message"]) for reason in self.record["reasons"] if reason["code"] == "bad_picture"
        ]

    @cached_property
    def _size(self) -> Size | None:
        width, height = self.record.get("image_width"), self.record.get("image_height")
        return Size(width=int(width), height=int(height)) if width and height else None


def case_of(record: Record, decision: Mapping[str, Any] | None = None) -> Case:
    """Return a case.

    Args:
        record: The inspection record.
        decision: The last decision about it, `{"verdict", "objects": [{"label"}]}`; None if there is none.
    """
    if decision is None or decision["verdict"] not in (Verdict.PASS, Verdict.FAIL):
        return Case(record)
    if decision["verdict"] == Verdict.PASS:
        return Case(record, Decision(False))
    return Case(record, Decision(True, frozenset(_defects(record, decision))))


def _defects(record: Record, decision: Mapping[str, Any]) -> set[str]:
    """Return the classes of the defects of a bad part.

    An anomaly model names no defects. So it was right about a bad part in which it has found something, whatever people
    call it, and what no other class has found was its to find. Only a picture without a score was not: the model takes
    it for another product or for none, so no score of any rule would find it.
    """
    # A person who has marked nothing agrees with the model about what it is.
    named = {str(item["label"]) for item in decision.get("objects") or []} or _named(record)
    found = {str(detection["label"]) for detection in record.get("detections", [])}
    if "score" in record.get("anomaly", {}) and (ANOMALY in found or not named & found):
        named.add(ANOMALY)
    return named


def _named(record: Record) -> set[str]:
    kinds = {Kind.DEFECT, Kind.DOUBTFUL}
    return {str(reason["label"]) for reason in record["reasons"] if reason["code"] in kinds}


def rate_of(cases: Sequence[Case], wrong: Sequence[bool], found: Callable[[Decision], bool]) -> Rate:
    """Return the share that is wrong among the images that people would find, such as the bad parts.

    People look at a random share of each recorded verdict, so that is a stratum. What other rules make of it divides
    it, and a part of it that nobody has looked at is taken to be as the whole of it.

    Args:
        cases: The inspections.
        wrong: Of each, whether the wrong thing happens to it, such as that it passes.
        found: Whether an image is one of those that are counted, by what a person says about it.
    """
    groups: dict[tuple[Verdict, bool], list[Case]] = {}
    wholes: dict[Verdict, list[Case]] = {}
    for case, is_wrong in zip(cases, wrong, strict=True):
        # Nobody can say whether the part in an unreadable image is good.
        if case.recorded is not Verdict.UNREADABLE:
            groups.setdefault((case.recorded, is_wrong), []).append(case)
            wholes.setdefault(case.recorded, []).append(case)
    strata: dict[bool, list[Stratum]] = {True: [], False: []}
    for (recorded, is_wrong), part in groups.items():
        whole = _stratum(wholes[recorded], found)
        strata[is_wrong].append(replace(_stratum(part, found), like=whole))
    return rate(strata[True], strata[False])


def _stratum(cases: Sequence[Case], found: Callable[[Decision], bool]) -> Stratum:
    decisions = [case.decision for case in cases if case.decision]
    return Stratum(len(cases), len(decisions), sum(map(found, decisions)))
