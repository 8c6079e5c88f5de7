"""The rules that turn detections into a verdict: one versioned JSON document, with overrides per line."""

from __future__ import annotations

import functools
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contract.endpoint import BIT_DEPTHS
from contract.figures import beside, percent
from contract.inspections import Verdict
from contract.scores import FAIL_SCORE, REVIEW_SCORE
from inspection.detector import Detection


class Severity(StrEnum):
    """How bad a defect is, mildest first."""

    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


_MILDEST_FIRST = list(Severity)


class _Strict(BaseModel):
    # A misspelt name must not silently leave a default in force.
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassRule(_Strict):
    """The rule for one class of defect.

    Attributes:
        fail_score: A detection with at least this score is a defect.
        review_score: A detection with at least this score, but below `fail_score`, is doubtful: a person decides.
        smallest_area: Square pixels of the upright image. Smaller detections do not count.
        allowed_count: This many defects of the class still pass.
        severity: How bad a defect of the class is.
    """

    fail_score: float = Field(FAIL_SCORE, ge=0, le=1)
    review_score: float = Field(REVIEW_SCORE, ge=0, le=1)
    smallest_area: float = Field(0, ge=0, allow_inf_nan=False)
    allowed_count: int = Field(0, ge=0)
    severity: Severity = Severity.MAJOR

    @model_validator(mode="after")
    def _review_below_fail(self) -> Self:
        _check_order(self.fail_score, self.review_score)
        return self


class ClassScores(_Strict):
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


class ClassRuleChange(_Strict):
    """What a class or a line changes in the rule above it. A field that is None stays as it is."""

    fail_score: float | None = Field(None, ge=0, le=1)
    review_score: float | None = Field(None, ge=0, le=1)
    smallest_area: float | None = Field(None, ge=0, allow_inf_nan=False)
    allowed_count: int | None = Field(None, ge=0)
    severity: Severity | None = None


class PictureRule(_Strict):
    """How good a picture must be for a `pass`. By default one that is nearly black or nearly white is not.

    The measures are in the endpoint's `quality`. On real pictures (NEU-DET's 1,440 of steel, 118 of toys on white)
    exposure is from 0.13 to 0.986, and at most 89 % of the pixels are clipped.

    Attributes:
        least_sharpness: Variance of the Laplacian. It falls when the lens is out of focus.
        least_exposure: Mean brightness, 0..1.
        most_exposure: Mean brightness, 0..1.
        most_clipped: Share of pixels that are black or white, 0..1.
        bit_depth: The bits that the camera stores in 16-bit files that do not state it. It is no limit, but without it
            such a picture is too dark to believe.
    """

    least_sharpness: float = Field(0, ge=0, allow_inf_nan=False)
    least_exposure: float = Field(0.04, ge=0, le=1)
    most_exposure: float = Field(0.99, ge=0, le=1)
    most_clipped: float = Field(0.95, ge=0, le=1)
    bit_depth: int | None = Field(None, ge=BIT_DEPTHS[0], le=BIT_DEPTHS[-1])

    @model_validator(mode="after")
    def _least_below_most(self) -> Self:
        if self.least_exposure > self.most_exposure:
            raise ValueError("least_exposure must not be above most_exposure")
        return self

    def faults(self, quality: Mapping[str, float]) -> list[str]:
        """Return what is wrong with a picture, as sentences. A measure that is missing is no fault."""
        sharpness, exposure = quality.get("sharpness"), quality.get("exposure")
        clipped = quality.get("clipped")
        faults = []
        if sharpness is not None and sharpness < self.least_sharpness:
            shown = beside(sharpness, self.least_sharpness, 0)
            faults.append("blurred: sharpness {} is below {}".format(*shown))
        if exposure is not None and exposure < self.least_exposure:
            faults.append("too dark: exposure {} is below {}".format(*beside(exposure, self.least_exposure)))
        if exposure is not None and exposure > self.most_exposure:
            faults.append("too bright: exposure {} is above {}".format(*beside(exposure, self.most_exposure)))
        if clipped is not None and clipped > self.most_clipped:
            shown = percent(clipped, self.most_clipped)
            faults.append("clipped: {} of the pixels are black or white, at most {}".format(*shown))
        return faults


class CandidateRules(_Strict):
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


class Rules(_Strict):
    """The document.

    Attributes:
        version: The name of this state of the rules. Every record contains it.
        default: For every class.
        classes: By class, what differs from `default`.
        lines: By line, what differs for a class, or under the name `default` for every class that the line does
            not name.
        picture: How good a picture must be for a `pass`.
        line_pictures: The same by line, for lines whose cameras or products need other limits.
        candidate: The scores for a model that goes into service just now.
    """

    version: str = Field(min_length=1, max_length=64)
    default: ClassRule = ClassRule()
    classes: dict[str, ClassRuleChange] = {}
    lines: dict[str, dict[str, ClassRuleChange]] = {}
    picture: PictureRule = PictureRule()
    line_pictures: dict[str, PictureRule] = {}
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
        return Reason(
            code=self.kind.value,
            message=f"{_DESCRIPTIONS[self.kind]}: {label} {beside(score, fail_score)[0]}",
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
) -> Judgement:
    """Apply the rules of a line to the detections in an image.

    A class fails if it has more defects than allowed. It asks for a review if it would have more with the
    doubtful detections counted in. The image gets the worst result of its classes. A bad picture without a
    defect asks for a review, because a defect may be invisible in it.

    Args:
        rules: The rules in force.
        line: The production line.
        detections: The model's answer.
        quality: The endpoint's measures of the picture.
        doubts: Why the model may be blind on the picture, as the endpoint says.

    Returns:
        The verdict. Its reasons contain every detection that counts, and every fault of the picture.

    >>> judge(Rules(version="1"), "line-1", []).verdict
    <Verdict.PASS: 'pass'>
    """
    findings = sorted(_classify(rules, line, detections), key=_Finding.rank)
    faults = [*doubts, *rules.picture_rule(line).faults(quality)]
    reasons = [finding.reason() for finding in findings]
    reasons += [Reason("bad_picture", fault) for fault in faults]
    defects = [finding.rule.severity for finding in findings if finding.kind is Kind.DEFECT]
    if defects:
        return Judgement(Verdict.FAIL, reasons, max(defects, key=_MILDEST_FIRST.index))
    uncertain = bool(faults) or any(finding.kind is Kind.DOUBTFUL for finding in findings)
    return Judgement(Verdict.REVIEW if uncertain else Verdict.PASS, reasons)


def _classify(rules: Rules, line: str, detections: Sequence[Detection]) -> list[_Finding]:
    """Return the detections that count, in the model's order."""
    class_rules = {label: rules.rule(line, label) for label in {detection.label for detection in detections}}
    counted = [
        (index, detection, class_rules[detection.label])
        for index, detection in enumerate(detections)
        if _counts(detection, class_rules[detection.label])
    ]
    total = Counter(detection.label for _, detection, _ in counted)
    sure = Counter(detection.label for _, detection, rule in counted if detection.score >= rule.fail_score)
    findings = []
    for index, detection, rule in counted:
        is_sure = detection.score >= rule.fail_score
        if (sure if is_sure else total)[detection.label] <= rule.allowed_count:
            kind = Kind.ALLOWED
        else:
            kind = Kind.DEFECT if is_sure else Kind.DOUBTFUL
        findings.append(_Finding(index, detection, rule, kind))
    return findings


def _counts(detection: Detection, rule: ClassRule) -> bool:
    return detection.area >= rule.smallest_area and detection.score >= rule.review_score
