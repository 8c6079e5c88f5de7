"""A simulated factory: parts, a model that scores them, rules, and people who look at some of the images."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from contract.inspections import Verdict, timestamp
from inspection import events
from inspection.cases import Case, case_of
from inspection.detector import Prediction
from inspection.records import Inspection, Record, build_record
from inspection.rules import Rules, judge
from tests.inspection_support import detection, prediction

NOW = datetime(2026, 1, 5, 9, 30, 16, tzinfo=UTC)
BOX = (10.0, 10.0, 50.0, 50.0)


def record_of(
    rules: Rules,
    answer: Any,
    number: int = 0,
    line: str = "line-1",
    at: datetime = NOW,
    index_shards: int = 1,
) -> Record:
    """Return the record of an image for which the endpoint has given this answer, as `inspect` writes it."""
    event = events.ImageEvent(
        bucket="images",
        key=f"incoming/{line}/top/SN{number}.jpg",
        version_id=f"v{number}",
        sequencer=events.normalise_sequencer("0A"),
        received_at=timestamp(at),
    )
    predicted = Prediction.model_validate(answer)
    used = rules.for_model(predicted.model.version)
    doubts = [warning.message for warning in predicted.warnings]
    judgement = judge(used, line, predicted.detections, predicted.quality, doubts, predicted.image)
    inspection = Inspection(event, judgement, prediction=predicted, rules_version=used.version)
    return build_record(inspection, at, index_shards, retention_days=400)


@dataclass
class Factory:
    """A factory whose truth is known.

    Attributes:
        rules: In force.
        bad_share: The share of the parts with the defect.
        missed: The share of those in which the model does not find it.
        pass_share: The share of passed images that people look at.
        fail_share: The share of failed images that people look at.
        label: The class of the defect.
    """

    rules: Rules
    bad_share: float = 0.1
    missed: float = 0.0
    pass_share: float = 0.2
    fail_share: float = 0.5
    label: str = "scratch"
    seed: int = 1
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - statistics, no secret

    def part(self) -> tuple[bool, float]:
        """Return whether a part is bad, and the score of the defect that the model sees in it; 0 if it sees none."""
        draw = self._random.random
        if draw() < self.bad_share:
            return True, 0.0 if draw() < self.missed else round(self._random.betavariate(5, 2), 6)
        return False, round(self._random.betavariate(1.2, 6), 6) if draw() < 0.5 else 0.0

    def cases(self, count: int) -> list[Case]:
        """Inspect parts, and let people look at some of the images."""
        shares = {Verdict.PASS: self.pass_share, Verdict.FAIL: self.fail_share, Verdict.REVIEW: 1.0}
        found = []
        for number in range(count):
            bad, score = self.part()
            detections = [detection(self.label, score, BOX)] if score else []
            record = record_of(self.rules, prediction(*detections), number)
            objects = [{"label": self.label, "box": [*BOX]}] if bad else []
            seen = self._random.random() < shares[Verdict(record["verdict"])]
            decision = {"verdict": "fail" if bad else "pass", "objects": objects}
            found.append(case_of(record, decision if seen else None))
        return found

    def escape(self, rules: Rules, count: int) -> tuple[int, int]:
        """Return how many of fresh bad parts pass by these rules, and how many there are."""
        rule = rules.rule("line-1", self.label)
        scores = [score for bad, score in (self.part() for _ in range(count)) if bad]
        return sum(score < rule.review_score for score in scores), len(scores)
