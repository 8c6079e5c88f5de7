"""The checks of which the check of a model's card is made: each takes a value and its place, and raises CardError."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

_NAME_LENGTH = 200  # of a model or a label, as in the records

Check = Callable[[Any, str], None]


class CardError(ValueError):
    """A document is no card of a model that can judge. The text says which value, and why."""


def check_finite(value: Any, place: str) -> None:
    """Raise CardError for NaN and infinity, which Python's JSON reads, anywhere in a document."""
    if isinstance(value, float) and not math.isfinite(value):
        raise CardError(f"{place} must be a number, not {value}")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        check_finite(inner, f"{place}.{name}".lstrip("."))


def check_fields(
    document: Mapping[str, Any], place: str, required: Mapping[str, Check], optional: Mapping[str, Check]
) -> None:
    """Raise CardError unless an object has all required fields, only known ones, and each is valid."""
    prefix = f"{place}." if place else ""
    for name in required:
        if name not in document:
            raise CardError(f"{prefix}{name} is missing")
    for name, value in document.items():
        if not (found := required.get(name) or optional.get(name)):
            raise CardError(f"{prefix}{name} is not a known name")
        found(value, f"{prefix}{name}")


def number(least: float, most: float, *, above: bool = False, below: bool = False) -> Check:
    """Return a check of a number. above, below: the bound itself is not allowed."""

    def check_number(value: Any, place: str) -> None:
        wanted = f"{'above' if above else 'from'} {least:g} {'and below' if below else 'to'} {most:g}"
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if (
            not (is_number and least <= value <= most)
            or (above and value == least)
            or (below and value == most)
        ):
            raise CardError(f"{place} must be a number {wanted}, not {shown(value)}")

    return check_number


def whole(least: int, most: int) -> Check:
    """Return a check of a whole number."""

    def check_whole(value: Any, place: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise CardError(f"{place} must be a whole number from {least} to {most}, not {shown(value)}")

    return check_whole


def numbers(counts: range, each: Check) -> Check:
    """Return a check of a list. counts: how many numbers it may have."""

    def check_numbers(value: Any, place: str) -> None:
        if not isinstance(value, (list, tuple)) or len(value) not in counts:
            raise CardError(
                f"{place} must be a list of {counts[0]} to {counts[-1]} numbers, not {shown(value)}"
            )
        for index, inner in enumerate(value):
            each(inner, f"{place}.{index}")

    return check_numbers


def or_none(check_value: Check) -> Check:
    """Return a check of a value that may be missing."""

    def check_optional(value: Any, place: str) -> None:
        if value is not None:
            check_value(value, place)

    return check_optional


def record(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    """Return a check of an object with these fields."""

    def check_record(value: Any, place: str) -> None:
        is_object(value, place)
        check_fields(value, place, required, optional)

    return check_record


def is_object(value: Any, place: str) -> None:
    """Raise CardError for anything but an object."""
    if not isinstance(value, dict):
        raise CardError(f"{place} must be an object, not {shown(value)}")


def is_text(value: Any, place: str) -> None:
    """Raise CardError for anything but a text."""
    if not isinstance(value, str):
        raise CardError(f"{place} must be a text, not {shown(value)}")


def is_name(value: Any, place: str) -> None:
    """Raise CardError for anything but a name of a model or a label."""
    is_text(value, place)
    if not 0 < len(value.strip()) <= len(value) <= _NAME_LENGTH:
        raise CardError(f"{place} must have 1 to {_NAME_LENGTH} characters")


def are_labels(value: Any, place: str) -> None:
    """Raise CardError for anything but one name or more, all different."""
    if not isinstance(value, (list, tuple)) or not value:
        raise CardError(f"{place} must be a list of names, not {shown(value)}")
    for index, label in enumerate(value):
        is_name(label, f"{place}.{index}")
    if len(set(value)) < len(value):
        raise CardError(f"{place} has the same name twice")


def is_sha256(value: Any, place: str) -> None:
    """Raise CardError for anything but a SHA-256 in hex."""
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise CardError(f"{place} must be a SHA-256 in hex, not {shown(value)}")


def are_objects(value: Any, place: str) -> None:
    """Raise CardError for anything but a list of objects."""
    if not isinstance(value, list):
        raise CardError(f"{place} must be a list, not {shown(value)}")
    for index, inner in enumerate(value):
        is_object(inner, f"{place}.{index}")


def shown(value: Any) -> str:
    """Return a value for a message, cut if it is long."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 40 else f"{text[:37]}..."
