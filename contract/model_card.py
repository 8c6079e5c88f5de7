"""The document model.json of a model: whether a model with it can judge, and the version that names the model.

A card that does not fit its model makes the model blind without an error: with a threshold that is no number, for
example, no score is above it, and every product passes. So the card is checked wherever it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from contract.card_checks import (
    CardError as CardError,
)
from contract.card_checks import (
    Check,
    are_labels,
    are_objects,
    check_fields,
    check_finite,
    is_name,
    is_object,
    is_sha256,
    is_text,
    number,
    numbers,
    or_none,
    record,
    shown,
    whole,
)
from contract.endpoint import BIT_DEPTHS
from contract.scores import ANOMALY

_INPUT_SIDES = range(8, 8193)  # of the square input, in pixels
_BOX_OFFSET = 1000  # pixels
_FARTHEST = 1e9  # distance of features
# What a card means that does not contain these.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "postprocess": {
        "score_threshold": 0.05,
        "nms_iou": 0.55,
        "candidates": 300,
        "detections": 100,
        "voting": None,
    },
    "tiles": {"overlap": 0.2, "max_tiles": 256},
    "scale": {"outside": "review"},
    "anomaly": {"foreign_above": None},
}
# Everything besides the weights and the scores of the operating points that changes an answer.
_SETTINGS = (
    "labels",
    "input_size",
    "normalisation",
    "postprocess",
    "tiles",
    "scale",
    "bit_depth",
    "box_offset",
    "anomaly",
    "anomaly_model",
)
# What training.model.anomaly measures of a picture, to tell that it shows another product or none.
FOREIGN_MEASURES = ("distance", "mean", "median", "emptiness")


def parse(text: str | bytes) -> dict[str, Any]:
    """Return the card of a text.

    Raises:
        CardError: It is not JSON, or no valid card.
    """
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise CardError(str(error)) from error
    check(document)
    return dict(document)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} is given twice")
    return document


def check(document: Any) -> None:
    """Check a card.

    Raises:
        CardError: A value is missing, not known, of a wrong type, or out of its range.
    """
    is_object(document, "the document")
    check_finite(document, "")
    check_fields(document, "", _REQUIRED, _OPTIONAL)
    labels = answered_labels(document)
    for label in document.get("operating_points", {}):
        if label not in labels:
            raise CardError(f"operating_points: {label!r} is not one of the labels")
    if document.get("anomaly") is not None:
        _anomaly_model_alone(document)


def answered_labels(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all labels that a model can answer: those of its card, and of an anomaly model beside a detector."""
    labels = tuple(document["labels"])
    beside = document.get("anomaly_model") is not None and ANOMALY not in labels
    return (*labels, ANOMALY) if beside else labels


def _anomaly_model_alone(document: Mapping[str, Any]) -> None:
    """Raise CardError for what only a detector has."""
    if tuple(document["labels"]) != (ANOMALY,):
        raise CardError(f"labels must be {json.dumps([ANOMALY])} for a model with anomaly")
    for name in ("tiles", "anomaly_model"):
        if document.get(name) is not None:
            raise CardError(f"{name} is for detectors, and this is an anomaly model")
    if any(document.get("box_offset", ())):
        raise CardError("box_offset is for detectors, and this is an anomaly model")


def version(document: Mapping[str, Any]) -> str:
    """Return the version of a model: 12 digits for its weights, and 8 for the settings that change its answers.

    Both are from a SHA-256. A record names its model by this, so that two models that answer differently never have
    the same name.

    Args:
        document: A valid card.
    """
    settings = _settings(document)
    # DetectAnomalies answers whether the picture is anomalous: from these scores on.
    points = {label: point["score"] for label, point in document.get("operating_points", {}).items()}
    return _named(document, settings | ({"operating_points": points} if points else {}))


def earlier_version(document: Mapping[str, Any]) -> str:
    """Return the version that a model had when operating points were no part of it: cards beside it may name it."""
    return _named(document, _settings(document))


def _settings(document: Mapping[str, Any]) -> dict[str, Any]:
    settings = {name: _complete(name, document[name]) for name in _SETTINGS if document.get(name) is not None}
    if not any(settings.get("box_offset", ())):
        settings.pop("box_offset", None)
    return settings


def _named(document: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    text = json.dumps(_plain_numbers(settings), sort_keys=True, allow_nan=False)
    return f"{document['onnx_sha256'][:12]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _complete(name: str, value: Any) -> Any:
    return {**DEFAULTS[name], **value} if name in DEFAULTS else value


def _plain_numbers(value: Any) -> Any:
    """Return a value with one form for each number: 1 and 1.0 are the same setting."""
    if isinstance(value, Mapping):
        return {name: _plain_numbers(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_numbers(inner) for inner in value]
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _points(value: Any, place: str) -> None:
    is_object(value, place)
    share = number(0, 1)
    for label, point in value.items():
        record({"score": share}, dict.fromkeys(("f1", "precision", "recall"), share))(
            point, f"{place}.{label}"
        )


def _golden(value: Any, place: str) -> None:
    are_objects(value, place)
    for index, picture in enumerate(value):
        record({"picture": is_text, "labels": are_labels}, {})(picture, f"{place}.{index}")


def _foreign_above(value: Any, place: str) -> None:
    record({}, dict.fromkeys(FOREIGN_MEASURES, _DISTANCE))(value, place)
    if not value:
        raise CardError(f"{place} must name one of {', '.join(FOREIGN_MEASURES)}")


def _map_range(value: Any, place: str) -> None:
    numbers(range(2, 3), number(0, _FARTHEST))(value, place)
    low, high = value
    if not low < high:
        raise CardError(f"{place} must rise, not {shown(value)}")


_CHANNELS = range(1, 5)
_DISTANCE = number(0, _FARTHEST, above=True)
_REQUIRED: Mapping[str, Check] = {
    "name": is_name,
    "family": is_name,
    "labels": are_labels,
    "input_size": whole(_INPUT_SIDES[0], _INPUT_SIDES[-1]),
    "normalisation": record(
        {
            "mean": numbers(_CHANNELS, number(-1000, 1000)),
            "std": numbers(_CHANNELS, number(0, 1000, above=True)),
        },
        {},
    ),
    "postprocess": record(
        {},
        {
            "score_threshold": number(0, 1, below=True),
            "nms_iou": or_none(number(0, 1)),
            "candidates": whole(1, 1_000_000),
            "detections": whole(1, 100_000),
            "voting": or_none(number(0, 1e6, above=True)),
        },
    ),
    "onnx_sha256": is_sha256,
}
_OPTIONAL: Mapping[str, Check] = {
    "metrics": is_object,
    "operating_points": _points,
    "dataset": is_object,
    "hyperparameters": is_object,
    "git_sha": is_text,
    "created_at": is_text,
    "tiles": or_none(
        record({"size": whole(32, 1_000_000)}, {"overlap": number(0, 0.5), "max_tiles": whole(1, 1_000_000)})
    ),
    # training.model.scale checks the rest.
    "scale": or_none(is_object),
    "bit_depth": or_none(whole(BIT_DEPTHS[0], BIT_DEPTHS[-1])),
    "box_offset": numbers(range(2, 3), number(-_BOX_OFFSET, _BOX_OFFSET)),
    "anomaly": or_none(
        record(
            {
                "threshold": _DISTANCE,
                "spread": _DISTANCE,
                "region_threshold": _DISTANCE,
                "map_range": _map_range,
            },
            {"foreign_above": or_none(_foreign_above)},
        )
    ),
    "anomaly_model": or_none(record({"name": is_name, "version": is_name}, {})),
    "members": are_objects,
    "golden": _golden,
    "version": is_text,
}
