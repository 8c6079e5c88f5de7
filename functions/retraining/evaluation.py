"""The evaluation of a model, as far as the gate reads its evaluation.json."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from retraining.errors import BrokenReportError

# A detector, an anomaly model, or both in one artefact.
ModelKind = Literal["detector", "anomaly", "both"]
_LEVEL = 0.95
DIGITS = 6  # decimal places; a smaller difference is an effect of floating-point arithmetic


class _Figures(BaseModel):
    # Python's json module may write NaN and infinity, which are not valid figures.
    model_config = ConfigDict(allow_inf_nan=False)


class Rate(_Figures):
    """A share of the test images, with its 95 % interval."""

    value: float
    interval: tuple[float, float] | None = None
    count: int | None = None
    of: int | None = None


class _Verdicts(_Figures):
    """What rules with the proposed operating points decide for the test images."""

    escape_rate: Rate | None = None
    overkill_rate: Rate | None = None
    review_rate: Rate | None = None
    fail_rate: Rate | None = None


class _Latency(_Figures):
    p50_ms: float
    p95_ms: float


class _Confidence(_Figures):
    map: tuple[float, float] | None
    map_resamples: list[float | None]
    image_auroc: tuple[float, float] | None = None
    image_auroc_resamples: list[float | None] = []


class _Model(_Figures):
    version: str
    family: str
    export_score_difference: float | None = None


class _Dataset(_Figures):
    snapshot: str


class Evaluation(_Figures):
    """The members of an evaluation.json that the gate needs. docs/evaluation.md explains them.

    What a report from before anomaly models lacks has a default.
    """

    kind: ModelKind = "detector"
    image_auroc: float | None = None
    caught_at_zero_overkill: float | None = None
    good_images: int | None = None
    defective_images: int | None = None
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
        """Check an evaluation.json.

        Raises:
            BrokenReportError: A member is missing or not valid. The message names it.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(map(str, problem["loc"])) or "its top"
            raise BrokenReportError(
                f"the evaluation's report is not valid at {place}: {problem['msg']}"
            ) from error

    def same_images(self, other: Evaluation) -> bool:
        """Return whether both evaluations used the same images."""
        mine = (self.dataset.snapshot, self.split, self.images)
        return mine == (other.dataset.snapshot, other.split, other.images)

    def summary(self) -> dict[str, Any]:
        """Return the figures for a table."""
        return {
            "kind": self.kind,
            "map": self.map,
            "map_interval": self.confidence.map,
            "map50": self.map50,
            "image_auroc": self.image_auroc,
            "image_auroc_interval": self.confidence.image_auroc,
            "caught_at_zero_overkill": self.caught_at_zero_overkill,
            "family": self.model.family,
            "escape_rate": _document(self.verdicts.escape_rate),
            "overkill_rate": _document(self.verdicts.overkill_rate),
        }


def _document(rate: Rate | None) -> dict[str, Any] | None:
    return rate.model_dump(mode="json") if rate else None


def paired_interval(
    candidate: Sequence[float | None], champion: Sequence[float | None]
) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of the difference, from the bootstrap resamples of both models.

    Args:
        candidate: The figure of each resample; None where it is undefined, as mAP is without any object.
        champion: The same for the champion, from the same resamples.

    Returns:
        The ends of the interval. None if the resamples do not pair.

    >>> paired_interval([0.3, 0.5], [0.1, 0.2])
    (0.2, 0.3)
    """
    if not candidate or len(candidate) != len(champion):
        return None
    differences: list[float] = []
    for a, b in zip(candidate, champion, strict=True):
        if a is None and b is None:
            continue
        if a is None or b is None or not math.isfinite(a - b):
            return None
        differences.append(a - b)
    if not differences:
        return None
    differences.sort()
    tail = int(len(differences) * (1 - _LEVEL) / 2)
    return round(differences[tail], DIGITS), round(differences[-1 - tail], DIGITS)
