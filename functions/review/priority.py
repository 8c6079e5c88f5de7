"""In which order people look at what waits: what the model learns most from comes first.

The priority of a doubtful image is the mean of two parts, each 0..1:

- how uncertain the model was: a score close to the one from which a detection fails, or no answer at all;
- how unlike the rest the image is: an anomaly, a class of which few images were labelled on this line, or a picture
  whose brightness or sharpness is far from what is usual there.

An image that was drawn as a sample gets a random priority. People seldom decide about everything that waits. If they
took those samples first that look like a mistake, then the rates of mistakes would come out too high (rates.py).

The order is by due time: the more useful, the earlier, by up to `PATIENCE`. So nothing waits for ever behind what comes
after it, and samples mix with doubtful images in the proportion in which both come in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from contract.figures import beside
from contract.inspections import timestamp
from contract.scores import ANOMALY, FAIL_SCORE
from inspection.records import Record, classes_of
from inspection.rules import Kind
from review.sampling import Cause, Selection, lot
from review.usual import Usual, measured

PATIENCE = timedelta(days=3)  # an image without priority is due so much later than the most useful one
ENOUGH_LABELLED = 50  # images of a class on a line, from which on another one teaches little
_BAD_PICTURE, _NO_ANSWER = 0.5, 1.0
_LIKE, _UNLIKE = 1.0, 4.0  # standard deviations at which a picture starts to be unlike, and is so


@dataclass(frozen=True, slots=True)
class Priority:
    """How much an image deserves to be looked at.

    Attributes:
        value: 0..1.
        reasons: Why, as sentences without a full stop.
    """

    value: float
    reasons: tuple[str, ...]


def priority(record: Record, selection: Selection, usual: Usual) -> Priority:
    """Return how much an image deserves to be looked at.

    Args:
        record: The inspection record.
        selection: Why it enters the queue.
        usual: What is usual on its line.
    """
    if selection.cause is Cause.SAMPLE:
        # Another part of the id than the selection's, which left only ids with a small lot.
        drawn = lot(record["id"][:16])
        return Priority(
            round(drawn, 6), (f"drawn by lot: {selection.share:.3g} of each {record['verdict']}",)
        )
    uncertain, why_uncertain = _uncertainty(record)
    unlike, why_unlike = _unlikeness(record, usual)
    return Priority(round((uncertain + unlike) / 2, 6), (*why_uncertain, *why_unlike))


def due(received_at: str, value: float) -> str:
    """Return the time by which an image is due, which is its place in the order.

    >>> due("2026-01-31T08:00:00.000Z", 1.0), due("2026-01-31T08:00:00.000Z", 0.0)
    ('2026-01-31T08:00:00.000Z', '2026-02-03T08:00:00.000Z')
    """
    return timestamp(datetime.fromisoformat(received_at) + (1 - value) * PATIENCE)


def _uncertainty(record: Record) -> tuple[float, list[str]]:
    if "detections" not in record:
        return _NO_ANSWER, ["the model gave no answer"]
    doubtful = [reason for reason in record["reasons"] if reason["code"] == Kind.DOUBTFUL]
    if not doubtful:
        return _BAD_PICTURE, ["a defect may be invisible in this picture"]
    nearest = max(doubtful, key=_closeness)
    score, fail_score = beside(float(nearest["score"]), _fail_score(nearest))
    if nearest["score"] >= _fail_score(nearest):
        # It is too large for a defect of its class, or the rules let a person decide about this class.
        return _closeness(nearest), [
            f"the score {score} of {nearest['label']} would fail, but a person decides"
        ]
    return _closeness(nearest), [
        f"the score {score} of {nearest['label']} is below {fail_score}, which fails"
    ]


def _closeness(reason: Mapping[str, Any]) -> float:
    """Return how close a doubtful score is to the one that fails: 1 at that score, 0 at no score at all."""
    fail_score = _fail_score(reason)
    return min(1.0, float(reason["score"]) / fail_score) if fail_score else 1.0


def _fail_score(reason: Mapping[str, Any]) -> float:
    """Return the score that fails; records of earlier releases lack it."""
    return float(reason.get("fail_score", FAIL_SCORE))


def _unlikeness(record: Record, usual: Usual) -> tuple[float, list[str]]:
    unlike, reasons = 0.0, []
    for label in sorted(classes_of(record)):
        if label == ANOMALY:
            # People name what it is, so nearly nothing is ever labelled with it.
            unlike = 1.0
            reasons.append("no class is known for what the anomaly model has found")
            continue
        known = usual.labelled.get(label, 0)
        rare = max(0.0, 1 - known / ENOUGH_LABELLED)
        if rare:
            reasons.append(f"{known} images with {label} were labelled on {record['line']}")
        unlike = max(unlike, rare)
    for name, value in measured(record).items():
        distance = usual.distance(name, value)
        far = min(1.0, max(0.0, (distance - _LIKE) / (_UNLIKE - _LIKE)))
        if far:
            reasons.append(
                f"its {name} is {distance:.1f} standard deviations from the usual on {record['line']}"
            )
        unlike = max(unlike, far)
    return unlike, reasons
