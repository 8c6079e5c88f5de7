"""Items of DynamoDB as Python's own types, and back."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def stored(value: Any) -> Any:
    """Return a value as DynamoDB's API takes it. A float becomes the decimal that it shows.

    >>> stored({"score": 0.1, "box": (1, 2)})
    {'M': {'score': {'N': '0.1'}, 'box': {'L': [{'N': '1'}, {'N': '2'}]}}}
    """
    return _serialize(_decimal(value))


def to_item(fields: Mapping[str, Any]) -> Any:
    """Return the fields of an item as DynamoDB's API takes them. A field that is None is left out."""
    return {name: stored(value) for name, value in fields.items() if value is not None}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an item. Numbers are int or float, never Decimal.

    >>> from_item({"version": {"N": "3"}, "share": {"N": "0.05"}})
    {'version': 3, 'share': 0.05}
    """
    return {name: _plain(_deserialize(value)) for name, value in item.items()}


def _decimal(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {name: _decimal(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_decimal(inner) for inner in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
