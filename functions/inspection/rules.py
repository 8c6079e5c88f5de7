"""The rules that turn detections into a verdict: one versioned JSON document, with overrides per line."""

from __future__ import annotations

import functools
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING, Self

from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contract.inspections import Verdict
from contract.scores import FAIL_SCORE, REVIEW_SCORE
from inspection.detector import Detection
from inspection.errors import NotReadyError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


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

    fail_score: a detection of at least this score counts as a defect.
    review_score: one of at least this score, but below fail_score, is doubtful: it asks a person.
    smallest_area: square pixels of the upright image; smaller ones do not count.
    allowed_count: so many defects of the class still pass.
    """

    fail_score: float = Field(FAIL_SCORE, ge=0, le=1)
    review_score: float = Field(REVIEW_SCORE, ge=0, le=1)
    smallest_area: float = Field(0, ge=0, allow_inf_nan=False)
    allowed_count: int = Field(0, ge=0)
    severity: Severity = Severity.MAJOR

    @model_validator(mode="after")
    def _review_below_fail(self) -> Self:
        if self.review_score > self.fail_score:
            raise ValueError("review_score must not be above fail_score")
        return self


class Change(_Strict):
    """What a class or a line changes of the rule above it; the rest stays."""

    fail_score: float | None = Field(None, ge=0, le=1)
    review_score: float | None = Field(None, ge=0, le=1)
    smallest_area: float | None = Field(None, ge=0, allow_inf_nan=False)
    allowed_count: int | None = Field(None, ge=0)
    severity: Severity | None = None


class PictureRule(_Strict):
    """What a picture must be for a `pass` to be believed; by default anything is.

    The numbers are those of the endpoint's `quality`: sharpness is the variance of the Laplacian (it falls when
    the lens is out of focus), exposure the mean brightness in 0..1, clipped the share of black and white pixels.
    """

    least_sharpness: float = Field(0, ge=0, allow_inf_nan=False)
    least_exposure: float = Field(0, ge=0, le=1)
    most_exposure: float = Field(1, ge=0, le=1)
    most_clipped: float = Field(1, ge=0, le=1)

    @model_validator(mode="after")
    def _least_below_most(self) -> Self:
        if self.least_exposure > self.most_exposure:
            raise ValueError("least_exposure must not be above most_exposure")
        return self

    def faults(self, quality: Mapping[str, float]) -> list[str]:
        """What is wrong with the picture, in words. What the endpoint does not measure is no fault."""
        sharpness, exposure = quality.get("sharpness"), quality.get("exposure")
        clipped = quality.get("clipped")
        found = []
        if sharpness is not None and sharpness < self.least_sharpness:
            found.append(f"blurred: sharpness {sharpness:g} is below {self.least_sharpness:g}")
        if exposure is not None and exposure < self.least_exposure:
            found.append(f"too dark: exposure {exposure:g} is below {self.least_exposure:g}")
        if exposure is not None and exposure > self.most_exposure:
            found.append(f"too bright: exposure {exposure:g} is above {self.most_exposure:g}")
        if clipped is not None and clipped > self.most_clipped:
            found.append(
                f"clipped: {clipped:.0%} of the pixels are black or white, at most {self.most_clipped:.0%}"
            )
        return found


class Rules(_Strict):
    """The document.

    default: for every class that nothing else is said of.
    classes: what a class changes of `default`.
    lines: by line, what it changes of a class, or under the name `default` of every class that it does not name.
    picture: what a picture must be for a `pass` to be believed.
    line_pictures: the same for the lines whose cameras or products need another one.
    """

    version: str = Field(min_length=1, max_length=64)
    default: ClassRule = ClassRule()
    classes: dict[str, Change] = {}
    lines: dict[str, dict[str, Change]] = {}
    picture: PictureRule = PictureRule()
    line_pictures: dict[str, PictureRule] = {}

    @model_validator(mode="after")
    def _changes_fit(self) -> Self:
        """Every combination must be a valid rule, or it would fail on the one image that meets it."""
        for line, changes in [("", {}), *self.lines.items()]:
            for label in {*self.classes, *changes}:
                self.rule(line, label)
        return self

    def rule(self, line: str, label: str) -> ClassRule:
        """The rule for a class on a line: `default`, changed by the class, changed by the line.

        Raises:
            ValueError: they contradict each other.
        """
        on_line = self.lines.get(line, {})
        changes = (self.classes.get(label), on_line.get(label, on_line.get("default")))
        said = [change.model_dump(exclude_none=True) for change in changes if change]
        if not said:
            return self.default
        return ClassRule.model_validate(functools.reduce(operator.or_, said, self.default.model_dump()))


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is what it is: a stable code, a sentence, and the detection behind it, if any.

    detection: its index in the model's answer.
    """

    code: str
    message: str
    label: str | None = None
    score: float | None = None
    severity: str | None = None
    detection: int | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, its reasons (worst and surest first), and the worst severity among the defects."""

    verdict: Verdict
    reasons: list[Reason]
    severity: Severity | None = None


_SAID = {
    "defect": "defect",
    "doubtful": "possible defect",
    "allowed": "defect within the allowed count",
}
_CODES = list(_SAID)  # worst first


_NOT_MEASURED: Mapping[str, float] = {}


def judge(
    rules: Rules, line: str, detections: Sequence[Detection], quality: Mapping[str, float] = _NOT_MEASURED
) -> Judgement:
    """Apply the rules of a line to what the model found.

    A class fails if its sure defects are more than allowed; it asks for a review if they would be with the
    doubtful ones counted in. The image gets the worst of its classes. On a bad picture nothing found is no
    pass: it asks for a review.

    >>> judge(Rules(version="1"), "line-1", []).verdict
    <Verdict.PASS: 'pass'>
    """
    rule = {label: rules.rule(line, label) for label in {found.label for found in detections}}
    sure, doubtful = Counter[str](), Counter[str]()
    counted: list[tuple[int, Detection]] = []
    for index, found in enumerate(detections):
        own = rule[found.label]
        if found.area < own.smallest_area or found.score < own.review_score:
            continue
        (sure if found.score >= own.fail_score else doubtful)[found.label] += 1
        counted.append((index, found))

    def code(found: Detection) -> str:
        own, label = rule[found.label], found.label
        if found.score >= own.fail_score:
            return "defect" if sure[label] > own.allowed_count else "allowed"
        return "doubtful" if sure[label] + doubtful[label] > own.allowed_count else "allowed"

    def rank(pair: tuple[int, Detection]) -> tuple[int, int, float]:
        found = pair[1]
        return (_CODES.index(code(found)), -_MILDEST_FIRST.index(rule[found.label].severity), -found.score)

    reasons = [
        Reason(
            code(found),
            f"{_SAID[code(found)]}: {found.label} {found.score:.2f}",
            found.label,
            found.score,
            rule[found.label].severity.value,
            index,
        )
        for index, found in sorted(counted, key=rank)
    ]
    faults = rules.line_pictures.get(line, rules.picture).faults(quality)
    reasons += [Reason("bad_picture", fault) for fault in faults]
    failed = [rule[found.label].severity for _, found in counted if code(found) == "defect"]
    if failed:
        return Judgement(Verdict.FAIL, reasons, max(failed, key=_MILDEST_FIRST.index))
    in_doubt = any(reason.code in ("doubtful", "bad_picture") for reason in reasons)
    return Judgement(Verdict.REVIEW if in_doubt else Verdict.PASS, reasons)


class RulesParameter:
    """The rules as the SSM parameter holds them, read again when they are older than `cache_seconds`."""

    def __init__(self, client: SSMClient, name: str, cache_seconds: int) -> None:
        self._provider = SSMProvider(boto3_client=client)
        self._name = name
        self._cache_seconds = cache_seconds
        self._lock = Lock()  # a batch's threads find the cache stale at the same moment; one read is enough

    def current(self) -> Rules:
        """The rules in force.

        Raises:
            NotReadyError: they cannot be read, or are no valid rules. Images wait rather than be judged by
                rules that nobody meant.
        """
        try:
            with self._lock:
                return _parse(str(self._provider.get(self._name, max_age=self._cache_seconds)))
        except GetParameterError as error:
            raise NotReadyError(f"the rules cannot be read: {error}", "rules_missing") from error
        except ValidationError as error:
            raise NotReadyError(
                f"the rules in {self._name} are not valid: {error}", "rules_invalid"
            ) from error


@functools.lru_cache(maxsize=2)
def _parse(text: str) -> Rules:
    return Rules.model_validate_json(text)
