"""The rules that turn detections into a verdict: one versioned JSON document, with overrides per line."""

from __future__ import annotations

import functools
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, ValidationError, model_validator

from contract.figures import beside
from contract.inspections import Verdict
from contract.scores import FAIL_SCORE, REVIEW_SCORE
from inspection.picture_rule import PictureRule
from inspection.strict import Strict
from inspection.zones import Zones

if TYPE_CHECKING:  # it imports boto3, which `loupe rules` does not need to check a document
    from inspection.detector import Detection, Size


class Severity(StrEnum):
    """How bad a defect is, mildest first."""

    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


_MILDEST_FIRST = list(Severity)
# What a defect of a class can make of the product.
ClassVerdict = Literal["fail", "review"]
_FAIL: ClassVerdict = "fail"


class ClassRule(Strict):
    """The rule for one class of defect.

    Attributes:
        fail_score: A detection with at least this score is a defect.
        review_score: A detection with at least this score, but below `fail_score`, is doubtful: a person decides.
        smallest_area: Square pixels of the upright image. Smaller detections do not count.
        largest_area: Square pixels of the upright image. A larger detection is doubtful, whatever its score and the
            allowed count. None: no detection is too large.
        allowed_count: This many defects of the class still pass.
        severity: How bad a defect of the class is.
        verdict: What more defects than allowed make of the product. With `review` nothing of the class ever fails a
            product: from `review_score` on, each is doubtful. This is for what a model only suspects, as an anomaly.
    """

    fail_score: float = Field(FAIL_SCORE, ge=0, le=1)
    review_score: float = Field(REVIEW_SCORE, ge=0, le=1)
    smallest_area: float = Field(0, ge=0, allow_inf_nan=False)
    largest_area: float | None = Field(None, ge=0, allow_inf_nan=False)
    allowed_count: int = Field(0, ge=0)
    severity: Severity = Severity.MAJOR
    verdict: ClassVerdict = _FAIL

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        _check_order(self.fail_score, self.review_score)
        if self.largest_area is not None and self.largest_area < self.smallest_area:
            raise ValueError(
                f"largest_area {self.largest_area:g} must not be below smallest_area {self.smallest_area:g}"
            )
        return self

    @property
    def can_fail(self) -> bool:
        """Whether a defect of the class can fail a product."""
        return self.verdict == _FAIL

    def is_too_large(self, detection: Detection) -> bool:
        """Return whether a detection is larger than a defect of the class can be."""
        return self.largest_area is not None and detection.area > self.largest_area


class ClassScores(Strict):
    """The scores of a class that an evaluation proposes for one model."""

    fail_score: float = Field(ge=0, le=1)
    review_score: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _review_below_fail(self) -> Self:
        _check_order(self.fail_score, self.review_score)
        return self


def _check_order(fail_score: float, review_score: float) -> None:
    if review_score > fail_score:
        raise ValueError(f"review_score {review_score:g} must not be above fail_score {fail_score:g}")


class ClassRuleChange(Strict):
    """What a class or a line changes in the rule above it. A field that is None stays as it is."""

    fail_score: float | None = Field(None, ge=0, le=1)
    review_score: float | None = Field(None, ge=0, le=1)
    smallest_area: float | None = Field(None, ge=0, allow_inf_nan=False)
    largest_area: float | None = Field(None, ge=0, allow_inf_nan=False)
    allowed_count: int | None = Field(None, ge=0)
    severity: Severity | None = None
    verdict: ClassVerdict | None = None


class CandidateRules(Strict):
    """The scores for a model that goes into service while the model before it still serves.

    Retraining adds them before a swap and removes them after it, so that each model is judged by its own scores.

    Attributes:
        version: The name of the rules for this model. The document gets it once the model has been proven.
        model: The version of the model.
        classes: By class.
    """

    version: str = Field(min_length=1, max_length=64)
    model: str = Field(min_length=1, max_length=200)
    classes: dict[str, ClassScores]


class Rules(Strict):
    """The document.

    Attributes:
        version: The name of this state of the rules. Every record contains it.
        default: For every class.
        classes: By class, what differs from `default`.
        lines: By line, what differs for a class, or under the name `default` for every class that the line does
            not name.
        picture: How good a picture must be for a `pass`.
        line_pictures: The same by line, for lines whose cameras or products need other limits.
        zones: By line, where on the picture a detection counts.
        candidate: The scores for a model that goes into service just now.
    """

    version: str = Field(min_length=1, max_length=64)
    default: ClassRule = ClassRule()
    classes: dict[str, ClassRuleChange] = Field(default_factory=dict)
    lines: dict[str, dict[str, ClassRuleChange]] = Field(default_factory=dict)
    picture: PictureRule = PictureRule()
    line_pictures: dict[str, PictureRule] = Field(default_factory=dict)
    zones: dict[str, Zones] = Field(default_factory=dict)
    candidate: CandidateRules | None = None

    @model_validator(mode="after")
    def _changes_fit(self) -> Self:
        """Check every combination, because an invalid one would fail on the one image that needs it."""
        for line, changes in [("", {}), *self.lines.items()]:
            for label in sorted({*self.classes, *changes}):
                try:
                    self.rule(line, label)
                except ValidationError as error:
                    place = f"lines.{line}.{label}" if line else f"classes.{label}"
                    reason = error.errors()[0]["msg"].removeprefix("Value error, ")
                    raise ValueError(f"{place}: {reason}") from None
        return self

    def for_model(self, model: str) -> Rules:
        """Return the rules that judge the answers of a model.

        Args:
            model: The version of the model.
        """
        if self.candidate is None or self.candidate.model != model:
            return self
        return self.with_scores(self.candidate.version, self.candidate.classes)

    def with_scores(self, version: str, classes: Mapping[str, ClassScores]) -> Rules:
        """Return these rules with other scores for some classes. Everything else stays, also a line's own scores.

        If a score contradicts a line's own score, it becomes so strict that it does not: more images go to review,
        and none passes that would not have passed.

        Args:
            version: The name of the rules that are returned.
            classes: The scores by class.
        """
        changed = {label: self._fitted(label, scores) for label, scores in classes.items()}
        rules = {label: self._change(label).model_copy(update=scores) for label, scores in changed.items()}
        return self.model_copy(
            update={"version": version, "classes": {**self.classes, **rules}, "candidate": None}
        )

    def _fitted(self, label: str, scores: ClassScores) -> dict[str, float]:
        fail, review = scores.fail_score, scores.review_score
        for changes in self.lines.values():
            change = changes.get(label, changes.get("default", ClassRuleChange()))
            if change.review_score is None and change.fail_score is not None:
                review = min(review, change.fail_score)
            if change.fail_score is None and change.review_score is not None:
                fail = max(fail, change.review_score)
        return {"fail_score": fail, "review_score": review}

    def _change(self, label: str) -> ClassRuleChange:
        return self.classes.get(label, ClassRuleChange())

    def picture_rule(self, line: str) -> PictureRule:
        """Return how good a picture of a line must be."""
        return self.line_pictures.get(line, self.picture)

    def rule(self, line: str, label: str) -> ClassRule:
        """Return the rule for a class on a line: `default`, changed by the class, then changed by the line.

        Raises:
            ValueError: The changes contradict each other.
        """
        on_line = self.lines.get(line, {})
        overrides = (self.classes.get(label), on_line.get(label, on_line.get("default")))
        changes = [change.model_dump(exclude_none=True) for change in overrides if change]
        if not changes:
            return self.default
        return ClassRule.model_validate(functools.reduce(operator.or_, changes, self.default.model_dump()))


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason for a verdict.

    Attributes:
        code: Stable, for programs.
        message: A sentence for people.
        label: The class of the detection behind the reason, if there is one.
        score: The score of that detection.
        fail_score: The score from which that detection is a defect.
        severity: The severity of that detection's class.
        detection: The index of that detection in the model's answer.
    """

    code: str
    message: str
    label: str | None = None
    score: float | None = None
    fail_score: float | None = None
    severity: str | None = None
    detection: int | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, its reasons (worst and surest first), and the worst severity of the defects."""

    verdict: Verdict
    reasons: list[Reason]
    severity: Severity | None = None


# The code of the reason that tells of a detection that lies where nothing counts. It never makes a verdict.
IGNORED = "ignored"


class Kind(StrEnum):
    """What a detection means for the verdict, worst first."""

    DEFECT = "defect"
    DOUBTFUL = "doubtful"
    ALLOWED = "allowed"


_WORST_FIRST = list(Kind)
_DESCRIPTIONS = {
    Kind.DEFECT: "defect",
    Kind.DOUBTFUL: "possible defect",
    Kind.ALLOWED: "defect within the allowed count",
}


@dataclass(frozen=True, slots=True)
class _Counted:
    """A detection and the rule for its class. index: in the model's answer."""

    index: int
    detection: Detection
    rule: ClassRule

    @property
    def is_sure(self) -> bool:
        """Whether it is a defect, and not a doubtful one."""
        return self.detection.score >= self.rule.fail_score and not self.rule.is_too_large(self.detection)


@dataclass(frozen=True, slots=True)
class _Finding:
    """A detection that counts, the rule for its class, and what it means. index: in the model's answer."""

    index: int
    detection: Detection
    rule: ClassRule
    kind: Kind

    def rank(self) -> tuple[int, int, float]:
        """Return the sort key: worst kind first, then the worst severity, then the highest score."""
        return _WORST_FIRST.index(self.kind), -_MILDEST_FIRST.index(self.rule.severity), -self.detection.score

    def reason(self) -> Reason:
        label, score, fail_score = self.detection.label, self.detection.score, self.rule.fail_score
        what = _DESCRIPTIONS[self.kind]
        if self.rule.is_too_large(self.detection):
            what += f" of {self.detection.area:.0f} px², larger than {self.rule.largest_area:.0f}"
        return Reason(
            code=self.kind.value,
            message=f"{what}: {label} {beside(score, fail_score)[0]}",
            label=label,
            score=score,
            fail_score=fail_score,
            severity=self.rule.severity.value,
            detection=self.index,
        )


_NOT_MEASURED: Mapping[str, float] = {}


def judge(
    rules: Rules,
    line: str,
    detections: Sequence[Detection],
    quality: Mapping[str, float] = _NOT_MEASURED,
    doubts: Sequence[str] = (),
    size: Size | None = None,
) -> Judgement:
    """Apply the rules of a line to the detections in an image.

    A class fails if it has more defects than allowed; one that cannot fail asks for a review instead. A class also
    asks for a review if it would have more defects with the doubtful detections counted in, or if one of its detections
    is too large. The image gets the worst result of its classes. A bad picture without a defect asks for a review,
    because a defect may be invisible in it.

    Args:
        rules: The rules in force.
        line: The production line.
        detections: The model's answer.
        quality: The endpoint's measures of the picture.
        doubts: Why the model may be blind on the picture, as the endpoint says.
        size: Of the upright picture. Without it, zones cannot be applied, and all detections count.

    Returns:
        The verdict. Its reasons contain every detection that counts, every fault of the picture, and last, every
        detection that would count if it lay elsewhere.

    >>> judge(Rules(version="1"), "line-1", []).verdict
    <Verdict.PASS: 'pass'>
    """
    counted, ignored = _counted(rules, line, detections, size)
    findings = sorted(_classify(counted), key=_Finding.rank)
    faults = [*doubts, *rules.picture_rule(line).faults(quality)]
    reasons = [finding.reason() for finding in findings]
    reasons += [Reason("bad_picture", fault) for fault in faults]
    reasons += [_ignored(detection, rules.zones[line]) for detection in ignored]
    defects = [finding.rule.severity for finding in findings if finding.kind is Kind.DEFECT]
    if defects:
        return Judgement(Verdict.FAIL, reasons, max(defects, key=_MILDEST_FIRST.index))
    uncertain = bool(faults) or any(finding.kind is Kind.DOUBTFUL for finding in findings)
    return Judgement(Verdict.REVIEW if uncertain else Verdict.PASS, reasons)


def standing(rules: Rules, line: str, detections: Sequence[Detection], size: Size | None) -> list[Detection]:
    """Return the detections that count if their score is high enough: by their size, and by where they lie.

    Args:
        rules: The rules.
        line: The production line.
        detections: The model's answer.
        size: Of the upright picture. Without it, zones cannot be applied.
    """
    class_rules = {label: rules.rule(line, label) for label in {detection.label for detection in detections}}
    zones = rules.zones.get(line) if size else None
    return [
        detection
        for detection in detections
        if detection.area >= class_rules[detection.label].smallest_area
        and not (zones and size and zones.ignores(detection.box, size))
    ]


def _counted(
    rules: Rules, line: str, detections: Sequence[Detection], size: Size | None
) -> tuple[list[_Counted], list[_Counted]]:
    """Return the detections that count, and those that would count if they lay elsewhere, in the model's order."""
    class_rules = {label: rules.rule(line, label) for label in {detection.label for detection in detections}}
    zones = rules.zones.get(line) if size else None
    counted, ignored = list[_Counted](), list[_Counted]()
    for index, detection in enumerate(detections):
        rule = class_rules[detection.label]
        if detection.area >= rule.smallest_area and detection.score >= rule.review_score:
            is_ignored = bool(zones and size and zones.ignores(detection.box, size))
            (ignored if is_ignored else counted).append(_Counted(index, detection, rule))
    return counted, ignored


def _classify(counted: Sequence[_Counted]) -> list[_Finding]:
    """Return what the detections that count mean, in the model's order."""
    total = Counter(found.detection.label for found in counted)
    sure = Counter(found.detection.label for found in counted if found.is_sure)
    findings = []
    for found in counted:
        label = found.detection.label
        if found.rule.is_too_large(found.detection):
            kind = Kind.DOUBTFUL
        elif (sure if found.is_sure else total)[label] <= found.rule.allowed_count:
            kind = Kind.ALLOWED
        else:
            kind = Kind.DEFECT if found.is_sure and found.rule.can_fail else Kind.DOUBTFUL
        findings.append(_Finding(found.index, found.detection, found.rule, kind))
    return findings


def _ignored(found: _Counted, zones: Zones) -> Reason:
    """Return the reason that tells of a detection that does not count because of where it lies."""
    places = {"in an ignored zone": zones.ignored, "outside the regions": zones.regions}
    where = " or ".join(place for place, polygons in places.items() if polygons)
    score = beside(found.detection.score, found.rule.fail_score)[0]
    return Reason(
        code=IGNORED,
        message=f"does not count, as it lies {where}: {found.detection.label} {score}",
        label=found.detection.label,
        score=found.detection.score,
        fail_score=found.rule.fail_score,
        severity=found.rule.severity.value,
        detection=found.index,
    )
