"""Evaluations as `training.evaluate` writes them, as far as the pipeline reads them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

SNAPSHOT = "5" * 64
CLASSES = ("dent", "scratch")
# Changes for `with_images`: no test image shows a defect.
GOOD_ONLY: dict[str, Any] = {
    "defective_images": 0,
    "image_auroc": None,
    "caught_at_zero_overkill": None,
    "confidence": {"image_auroc": None, "image_auroc_resamples": [None] * 200},
    "verdicts": {"escape_rate": None},
}


def evaluation(score: float = 0.5, **changes: Any) -> dict[str, Any]:
    """Return an evaluation.json.

    Args:
        score: The mAP, and the AP of each class.
        changes: Other values of its members. A mapping changes the members of a member.
    """
    document: dict[str, Any] = {
        "map": score,
        "map50": min(1.0, score + 0.2),
        "per_class": dict.fromkeys(CLASSES, score),
        "images": 40,
        "split": "test",
        "dataset": {"snapshot": SNAPSHOT, "images": 200},
        "confidence": {"map": [score - 0.02, score + 0.02], "map_resamples": resamples(score)},
        "verdicts": {"escape_rate": {"value": 0.02}, "overkill_rate": {"value": 0.05}},
        "latency": {"p50_ms": 40.0, "p95_ms": 60.0},
        "model": {
            "name": "steel",
            "version": "0123456789ab",
            "family": "ssdlite",
            "export_score_difference": 1e-5,
        },
        "unknown_classes": [],
        "golden": [],
        "prices": {"currency": "USD", "date": "2026-11-23", "instances": {"ml.g5.xlarge": 1.408}},
    }
    return _changed(document, changes)


def _changed(document: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in changes.items():
        inner = document.get(name)
        document[name] = (
            {**inner, **value} if isinstance(value, Mapping) and isinstance(inner, dict) else value
        )
    return document


def proposal(fail: float = 0.42, review: float = 0.17, labels: Sequence[str] = CLASSES) -> dict[str, Any]:
    """Return the rules.json that lies beside an evaluation.json."""
    scores = {"fail_score": fail, "review_score": review}
    default = {"fail_score": 0.5, "review_score": 0.3, "severity": "major"}
    return {
        "version": "steel-0123456789ab-escape-0",
        "default": default,
        "classes": dict.fromkeys(labels, scores),
    }


def resamples(score: float, spread: float = 0.02, count: int = 200) -> list[float | None]:
    """Return the mAP of each resample, around `score`, with the same pattern for every model."""
    return [score + spread * math.sin(7 * index) for index in range(count)]


def with_images(kind: str, auroc: float, **changes: Any) -> dict[str, Any]:
    """Return an evaluation.json with the figures of whole images.

    Args:
        kind: detector, anomaly, or both. An anomaly model alone has no mAP.
        auroc: The image AUROC.
        changes: As for `evaluation`.
    """
    document = evaluation(
        0.5,
        kind=kind,
        image_auroc=auroc,
        caught_at_zero_overkill=round(auroc - 0.08, 4),
        good_images=20,
        defective_images=20,
        confidence={
            "image_auroc": [auroc - 0.02, min(1.0, auroc + 0.02)],
            "image_auroc_resamples": resamples(auroc),
        },
    )
    if kind == "anomaly":
        document |= {"map": None, "map50": None, "per_class": {}, "unknown_classes": list(CLASSES)}
        document["confidence"] |= {"map": None, "map_resamples": [None] * 200}
        document["model"] |= {"family": "patchcore_efficientnet_lite0"}
    return _changed(document, changes)
