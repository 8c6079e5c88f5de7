"""Rules documents: any text is refused in words, or its rules judge every answer of a model."""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any

from contract.text import plain
from inspection.detector import Prediction
from inspection.rules import judge
from inspection.rules_document import (
    MOST_BYTES,
    RulesDocumentError,
    complete,
    parse,
    settled,
    to_text,
    validate,
)
from tests.fuzz.mutation import mutate
from tests.fuzz.target import Target
from tests.inspection_support import detection, prediction

_CLASS = {
    "fail_score": 0.5,
    "review_score": 0.3,
    "smallest_area": 4,
    "severity": "critical",
    "allowed_count": 2,
}
_HOSTILE = (
    b"[" * 4000,
    b"9" * 5000,
    b"1e999",
    b"-0.0",
    b"NaN",
    b'"\\ud800"',
    b'"\\u0000"',
    b"null",
    b"1e-400",
)


@cache
def seeds() -> list[bytes]:
    """Return documents with everything that a document may have."""
    square = [[0, 0], [1, 0], [1, 0.5], [0, 0.5]]
    candidate = {
        "version": "run-1",
        "model": "0123456789ab",
        "classes": {"dent": {"fail_score": 0.4, "review_score": 0.2}},
    }
    documents: list[dict[str, Any]] = [
        {"version": "1"},
        {"version": "1", "default": {"fail_score": 0.5, "review_score": 0.3, "severity": "major"}},
        {"version": "2", "classes": {"scratches": _CLASS, "dent": {"verdict": "review"}}},
        {"version": "3", "lines": {"line-1": {"scratches": {"fail_score": 0.9}}}},
        {"version": "4", "zones": {"line-1": {"ignored": [square]}}, "candidate": candidate},
    ]
    return [json.dumps(document).encode() for document in documents]


def _mutated(data: bytes, rng: random.Random, seeds: list[bytes]) -> bytes:
    if rng.random() < 0.3:
        place = rng.randint(0, len(data))
        data = data[:place] + rng.choice(_HOSTILE) + data[place:]
    return mutate(data, rng, seeds)


def broken(data: bytes) -> str | None:
    """Read a document, as `inspect` does with the parameter, and judge by it."""
    text = data.decode(errors="replace")
    try:
        document = parse(text)
        to_text(settled(document))
        rules = validate(document)
    except RulesDocumentError as error:
        return None if error.problems else "it is refused without a reason"
    json.dumps(complete(rules), allow_nan=False)
    for score in (0.0, 0.3, 0.5, 0.999, 1.0):
        found = [detection(label, score) for label in ("scratches", "dent", "anomaly", "unheard of")]
        answer = Prediction.model_validate(prediction(*found))
        for model in ("7", "0123456789ab"):
            used = rules.for_model(model)
            judgement = judge(used, "line-1", answer.detections, answer.quality, ["a doubt"], answer.image)
            if any(reason.message != plain(reason.message) for reason in judgement.reasons):
                return "a reason is not plain"
    return None if len(text.encode()) > MOST_BYTES or parse(text) == document else "it reads differently"


TARGET = Target("rules_documents", (31,), seeds, broken, mutate=_mutated, seconds=5, mib=200, examples=60)
