"""What a record says about its verdict, for those who tell it: the alert and the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contract.figures import beside, percent
from contract.scores import FAIL_SCORE
from inspection.records import Record
from inspection.rules import IGNORED, Kind

# The codes of reasons that are about one detection.
_DETECTIONS = frozenset({*Kind, IGNORED})

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Finding:
    """A detection that counts.

    Attributes:
        kind: What it means for the verdict.
        label: The class.
        score: Confidence, 0..1.
        box: x1, y1, x2, y2 in pixels of the upright image.
        severity: The severity of the class.
        fail_score: The score from which a detection of the class is a defect.
    """

    kind: Kind
    label: str
    score: float
    box: Box
    severity: str = "major"
    fail_score: float = FAIL_SCORE

    @property
    def shown_score(self) -> str:
        """The score with as many digits as decide."""
        return beside(self.score, self.fail_score)[0]

    @property
    def shown_percent(self) -> str:
        """The score as a percentage with as many digits as decide."""
        return percent(self.score, self.fail_score)[0]


def findings(record: Record) -> list[Finding]:
    """Return the detections that count, in the order of the record's reasons: worst and surest first."""
    return [_finding(record, reason) for reason in record["reasons"] if reason["code"] in set(Kind)]


def remarks(record: Record) -> list[str]:
    """Return the reasons for the verdict that are no detections, as sentences."""
    return [str(reason["message"]) for reason in record["reasons"] if reason["code"] not in _DETECTIONS]


def _finding(record: Record, reason: dict[str, Any]) -> Finding:
    detection = record["detections"][int(reason["detection"])]
    x1, y1, x2, y2 = map(float, detection["box"])
    return Finding(
        kind=Kind(reason["code"]),
        label=detection["label"],
        score=float(detection["score"]),
        box=(x1, y1, x2, y2),
        severity=reason["severity"],
        # Records of earlier releases lack it.
        fail_score=float(reason.get("fail_score", FAIL_SCORE)),
    )
