"""The rules that turn detections into a verdict: one versioned JSON document, with overrides per line."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inspection.detector import Detection
from inspection.errors import NotReadyError


class Verdict(StrEnum):
    """What becomes of the product."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    REVIEW = "review"
    FAIL = "fail"
    UNREADABLE = "unreadable"


class Severity(StrEnum):
    """How bad a defect is, mildest first."""

    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


_MILDEST_FIRST = list(Severity)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassRule(_Strict):
    """The rule for one class of defect.

    fail_score: a detection of at least this score counts as a defect.
    review_score: one of at least this score, but below fail_score, asks a person.
    smallest_area: square pixels of the upright image; smaller ones do not count.
    allowed_count: so many defects of the class still pass.
    """

    fail_score: float = Field(0.5, ge=0, le=1)
    review_score: float = Field(0.3, ge=0, le=1)
    smallest_area: float = Field(0, ge=0)
    allowed_count: int = Field(0, ge=0)
    severity: Severity = Severity.MAJOR

    @model_validator(mode="after")
    def _review_below_fail(self) -> Self:
        if self.review_score > self.fail_score:
            raise ValueError("review_score must not be above fail_score")
        return self


class _ClassChange(_Strict):
    """What a line changes of a class's rule; the rest stays."""

    fail_score: float | None = Field(None, ge=0, le=1)
    review_score: float | None = Field(None, ge=0, le=1)
    smallest_area: float | None = Field(None, ge=0)
    allowed_count: int | None = Field(None, ge=0)
    severity: Severity | None = None


class Rules(_Strict):
    """The document. `default` holds for every class that `classes` does not name."""

    version: str = Field(min_length=1, max_length=64)
    default: ClassRule = ClassRule()
    classes: dict[str, ClassRule] = {}
    lines: dict[str, dict[str, _ClassChange]] = {}

    @model_validator(mode="after")
    def _overrides_fit(self) -> Self:
        for line, changes in self.lines.items():
            for label in changes:
                self.rule(line, label)
        return self

    def rule(self, line: str, label: str) -> ClassRule:
        """The rule for a class on a line: the line's word on the class, else on `default`, over the general one.

        Raises:
            ValueError: the line's change contradicts the general rule.
        """
        general = self.classes.get(label, self.default)
        changes = self.lines.get(line, {})
        change = changes.get(label) or changes.get("default")
        if change is None:
            return general
        return ClassRule.model_validate(general.model_dump() | change.model_dump(exclude_none=True))


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is what it is: a stable code, a sentence, and the detection behind it, if any."""

    code: str
    message: str
    label: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, its reasons (worst first), and the worst severity among the defects."""

    verdict: Verdict
    reasons: list[Reason]
    severity: Severity | None = None


def judge(rules: Rules, line: str, detections: list[Detection]) -> Judgement:
    """Apply the rules of a line to what the model found.

    >>> judge(Rules(version="1"), "line-1", []).verdict
    <Verdict.PASS: 'pass'>
    """
    defects: list[Detection] = []
    doubtful: list[Detection] = []
    for detection in sorted(detections, key=lambda found: -found.score):
        rule = rules.rule(line, detection.label)
        if detection.area < rule.smallest_area:
            continue
        if detection.score >= rule.fail_score:
            defects.append(detection)
        elif detection.score >= rule.review_score:
            doubtful.append(detection)
    counts = Counter(defect.label for defect in defects)
    over = [d for d in defects if counts[d.label] > rules.rule(line, d.label).allowed_count]
    if over:
        severity = max((rules.rule(line, defect.label).severity for defect in over), key=_MILDEST_FIRST.index)
        return Judgement(Verdict.FAIL, [_reason("defect", d) for d in over], severity)
    if doubtful:
        return Judgement(Verdict.REVIEW, [_reason("doubtful", d) for d in doubtful])
    return Judgement(Verdict.PASS, [_reason("allowed", d) for d in defects])


def _reason(code: str, found: Detection) -> Reason:
    said = {"defect": "defect", "doubtful": "possible defect", "allowed": "defect within the allowed count"}[
        code
    ]
    return Reason(code, f"{said}: {found.label} {found.score:.2f}", found.label, found.score)


class RulesParameter:
    """The rules as the SSM parameter holds them, read again when they are older than `cache_seconds`."""

    def __init__(self, name: str, cache_seconds: int) -> None:
        self._name = name
        self._cache_seconds = cache_seconds

    def current(self) -> Rules:
        """The rules in force.

        Raises:
            NotReadyError: they cannot be read, or are no valid rules. Images wait rather than be judged by
                rules that nobody meant.
        """
        try:
            return _parse(parameters.get_parameter(self._name, max_age=self._cache_seconds))
        except GetParameterError as error:
            raise NotReadyError(f"the rules cannot be read: {error}") from error
        except ValidationError as error:
            raise NotReadyError(f"the rules in {self._name} are not valid: {error}") from error


@functools.lru_cache(maxsize=2)
def _parse(text: str) -> Rules:
    return Rules.model_validate_json(text)
