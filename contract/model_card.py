"""The document model.json of a model: whether a model with it can judge, and the version that names the model.

A card that does not fit its model makes the model blind without an error: with a threshold that is no number, for
example, no score is above it, and every product passes. So the card is checked wherever it is read.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from contract.endpoint import BIT_DEPTHS
from contract.scores import ANOMALY

_INPUT_SIDES = range(8, 8193)  # of the square input, in pixels
_NAME_LENGTH = 200  # of a model or a label, as in the records
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
# Everything besides the weights that changes an answer.
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
# What training.model.anomaly measures of a picture's distances, to tell that it shows another product.
FOREIGN_MEASURES = ("distance", "mean", "median")

_Check = Callable[[Any, str], None]


class CardError(ValueError):
    """A document is no card of a model that can judge. The text says which value, and why."""


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
    _object(document, "the document")
    _finite(document, "")
    _fields(document, "", _REQUIRED, _OPTIONAL)
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
    settings = {name: _complete(name, document[name]) for name in _SETTINGS if document.get(name) is not None}
    if not any(settings.get("box_offset", ())):
        settings.pop("box_offset", None)
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


def _finite(value: Any, place: str) -> None:
    """Raise CardError for NaN and infinity, which Python's JSON reads, anywhere in a document."""
    if isinstance(value, float) and not math.isfinite(value):
        raise CardError(f"{place} must be a number, not {value}")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        _finite(inner, f"{place}.{name}".lstrip("."))


def _fields(
    document: Mapping[str, Any], place: str, required: Mapping[str, _Check], optional: Mapping[str, _Check]
) -> None:
    prefix = f"{place}." if place else ""
    for name in required:
        if name not in document:
            raise CardError(f"{prefix}{name} is missing")
    for name, value in document.items():
        if not (found := required.get(name) or optional.get(name)):
            raise CardError(f"{prefix}{name} is not a known name")
        found(value, f"{prefix}{name}")


def _number(least: float, most: float, *, above: bool = False, below: bool = False) -> _Check:
    """Return a check of a number. above, below: the bound itself is not allowed."""

    def check_number(value: Any, place: str) -> None:
        wanted = f"{'above' if above else 'from'} {least:g} {'and below' if below else 'to'} {most:g}"
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if (
            not (is_number and least <= value <= most)
            or (above and value == least)
            or (below and value == most)
        ):
            raise CardError(f"{place} must be a number {wanted}, not {_shown(value)}")

    return check_number


def _whole(least: int, most: int) -> _Check:
    def check_whole(value: Any, place: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise CardError(f"{place} must be a whole number from {least} to {most}, not {_shown(value)}")

    return check_whole


def _numbers(counts: range, each: _Check) -> _Check:
    def check_numbers(value: Any, place: str) -> None:
        if not isinstance(value, (list, tuple)) or len(value) not in counts:
            raise CardError(
                f"{place} must be a list of {counts[0]} to {counts[-1]} numbers, not {_shown(value)}"
            )
        for index, number in enumerate(value):
            each(number, f"{place}.{index}")

    return check_numbers


def _or_none(check_value: _Check) -> _Check:
    def check_optional(value: Any, place: str) -> None:
        if value is not None:
            check_value(value, place)

    return check_optional


def _record(required: Mapping[str, _Check], optional: Mapping[str, _Check]) -> _Check:
    def check_record(value: Any, place: str) -> None:
        _object(value, place)
        _fields(value, place, required, optional)

    return check_record


def _object(value: Any, place: str) -> None:
    if not isinstance(value, dict):
        raise CardError(f"{place} must be an object, not {_shown(value)}")


def _text(value: Any, place: str) -> None:
    if not isinstance(value, str):
        raise CardError(f"{place} must be a text, not {_shown(value)}")


def _name(value: Any, place: str) -> None:
    _text(value, place)
    if not 0 < len(value.strip()) <= len(value) <= _NAME_LENGTH:
        raise CardError(f"{place} must have 1 to {_NAME_LENGTH} characters")


def _labels(value: Any, place: str) -> None:
    if not isinstance(value, (list, tuple)) or not value:
        raise CardError(f"{place} must be a list of names, not {_shown(value)}")
    for index, label in enumerate(value):
        _name(label, f"{place}.{index}")
    if len(set(value)) < len(value):
        raise CardError(f"{place} has the same name twice")


def _sha256(value: Any, place: str) -> None:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise CardError(f"{place} must be a SHA-256 in hex, not {_shown(value)}")


def _points(value: Any, place: str) -> None:
    _object(value, place)
    share = _number(0, 1)
    for label, point in value.items():
        _record({"score": share}, dict.fromkeys(("f1", "precision", "recall"), share))(
            point, f"{place}.{label}"
        )


def _objects(value: Any, place: str) -> None:
    if not isinstance(value, list):
        raise CardError(f"{place} must be a list, not {_shown(value)}")
    for index, inner in enumerate(value):
        _object(inner, f"{place}.{index}")


def _golden(value: Any, place: str) -> None:
    _objects(value, place)
    for index, picture in enumerate(value):
        _record({"picture": _text, "labels": _labels}, {})(picture, f"{place}.{index}")


def _foreign_above(value: Any, place: str) -> None:
    _record({}, dict.fromkeys(FOREIGN_MEASURES, _DISTANCE))(value, place)
    if not value:
        raise CardError(f"{place} must name one of {', '.join(FOREIGN_MEASURES)}")


def _map_range(value: Any, place: str) -> None:
    _numbers(range(2, 3), _number(0, _FARTHEST))(value, place)
    low, high = value
    if not low < high:
        raise CardError(f"{place} must rise, not {_shown(value)}")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 40 else f"{text[:37]}..."


_CHANNELS = range(1, 5)
_DISTANCE = _number(0, _FARTHEST, above=True)
_REQUIRED: Mapping[str, _Check] = {
    "name": _name,
    "family": _name,
    "labels": _labels,
    "input_size": _whole(_INPUT_SIDES[0], _INPUT_SIDES[-1]),
    "normalisation": _record(
        {
            "mean": _numbers(_CHANNELS, _number(-1000, 1000)),
            "std": _numbers(_CHANNELS, _number(0, 1000, above=True)),
        },
        {},
    ),
    "postprocess": _record(
        {},
        {
            "score_threshold": _number(0, 1, below=True),
            "nms_iou": _or_none(_number(0, 1)),
            "candidates": _whole(1, 1_000_000),
            "detections": _whole(1, 100_000),
            "voting": _or_none(_number(0, 1e6, above=True)),
        },
    ),
    "onnx_sha256": _sha256,
}
_OPTIONAL: Mapping[str, _Check] = {
    "metrics": _object,
    "operating_points": _points,
    "dataset": _object,
    "hyperparameters": _object,
    "git_sha": _text,
    "created_at": _text,
    "tiles": _or_none(
        _record(
            {"size": _whole(32, 1_000_000)}, {"overlap": _number(0, 0.5), "max_tiles": _whole(1, 1_000_000)}
        )
    ),
    # training.model.scale checks the rest.
    "scale": _or_none(_object),
    "bit_depth": _or_none(_whole(BIT_DEPTHS[0], BIT_DEPTHS[-1])),
    "box_offset": _numbers(range(2, 3), _number(-_BOX_OFFSET, _BOX_OFFSET)),
    "anomaly": _or_none(
        _record(
            {
                "threshold": _DISTANCE,
                "spread": _DISTANCE,
                "region_threshold": _DISTANCE,
                "map_range": _map_range,
            },
            {"foreign_above": _or_none(_foreign_above)},
        )
    ),
    "anomaly_model": _or_none(_record({"name": _name, "version": _name}, {})),
    "members": _objects,
    "golden": _golden,
    "version": _text,
}
