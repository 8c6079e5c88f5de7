"""Finds out whether an ONNX graph keeps weights in other files, without the package onnx, which no server needs.

ONNX Runtime would read such a file from beside the graph. It is neither covered by the SHA-256 of the model's card, nor
part of its version, nor packed with it.

Source: onnx 1.22, onnx/onnx.proto; protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

# How a field is written: as a number, eight bytes, a length and as many bytes, or four bytes.
_NUMBER, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_LENGTHS = {_EIGHT: 8, _FOUR: 4}
_MAX_DEPTH = 60
# In which fields of a message others are: from ModelProto down to TensorProto.
_MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of TensorProto


def has_external_data(file: Path) -> bool:
    """Return whether some tensor of a graph is in another file.

    Raises:
        ValueError: It is no message of protobuf.
    """
    return _any_outside(memoryview(file.read_bytes()), "model", 0)


def _any_outside(data: memoryview, kind: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError("its graphs are nested too deeply")
    inner = _MESSAGES.get(kind, {})
    for number, value in _fields(data):
        if kind == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value)):
            return True
        if (
            number in inner
            and isinstance(value, memoryview)
            and _any_outside(value, inner[number], depth + 1)
        ):
            return True
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field of a message: a number, or bytes."""
    at, end = 0, len(data)
    while at < end:
        # A graph has tens of thousands of numbers, nearly all of one byte: a call for each would take twice as long.
        key, at = (data[at], at + 1) if data[at] < 0x80 else _varint(data, at)
        kind = key & 7
        if kind in (_NUMBER, _BYTES):
            number, at = (data[at], at + 1) if at < end and data[at] < 0x80 else _varint(data, at)
            if kind == _NUMBER:
                yield key >> 3, number
                continue
        elif kind in _LENGTHS:
            number = _LENGTHS[kind]
        else:
            raise ValueError(f"it has a field of the kind {kind}")
        if at + number > end:
            raise ValueError("it is cut short")
        yield key >> 3, data[at : at + number]
        at += number


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number at a place, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("it is cut short")
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
