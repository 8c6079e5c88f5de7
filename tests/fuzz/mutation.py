"""Changes inputs: bytes as parsers of files handle them wrongly, and values inside JSON."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

MAX_BYTES = 200_000

# Lengths, counts and markers that parsers often handle wrongly.
_AWKWARD = [
    bytes([0xFF]) * 4,
    bytes(4),
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\xff\xda",
    b"IDAT",
    b"Exif\0\0",
]
# Values that readers of JSON often handle wrongly. The words are written as they are, so NaN and 1e999 stay.
_AWKWARD_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(10**30), 0.5, -0.0, 1e308, 5e-324),
    *(
        float("nan"),
        float("inf"),
        "",
        "0",
        "NaN",
        "\0",
        "\ud800",
        "a\nb",
        "\u202e",
        "../../etc/passwd",
        "x" * 5000,
    ),
    *(
        "=1+1",
        "<script>",
        "\x1b[31m",
        "%s%n",
        "[red]",
        "2026-02-30T25:61:61Z",
        [],
        {},
        [[]],
        [{}],
        [None] * 300,
    ),
]


def mutate(data: bytes, rng: random.Random, seeds: list[bytes]) -> bytes:
    """Return a changed input. What is JSON is changed as JSON half of the time."""
    if data[:1] in (b"{", b"[") and rng.random() < 0.5:
        try:
            return mutate_json(data, rng)
        except (ValueError, RecursionError):
            pass
    return mutate_bytes(data, rng, seeds)


def mutate_bytes(data: bytes, rng: random.Random, seeds: list[bytes]) -> bytes:
    """Return `data` with a few changes: bits, bytes, awkward values, cuts, repeats, pieces of another input."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(changed) + 1)
        length = min(rng.choice((1, 2, 4, 16, 200)), len(changed) - at)
        match rng.randrange(7):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at : at + length] = rng.randbytes(length)
            case 2:
                value = rng.choice(_AWKWARD)
                changed[at : at + len(value)] = value
            case 3:
                del changed[at : at + length]
            case 4:
                changed[at:at] = changed[at : at + length] * rng.choice((1, 2, 300))
            case 5:
                other = rng.choice(seeds)
                start = rng.randrange(len(other) or 1)
                changed[at : at + length] = other[start : start + length]
            case _:
                del changed[max(at, 8) :]
        if not changed:
            return bytes(rng.randbytes(8))
    return bytes(changed[:MAX_BYTES])


def mutate_json(data: bytes, rng: random.Random) -> bytes:
    """Return a JSON document with one to three values or keys changed.

    Raises:
        ValueError: It is no JSON.
    """
    document = json.loads(data)
    for _ in range(rng.randint(1, 3)):
        document = _changed(document, rng)
    return json.dumps(document).encode()[:MAX_BYTES]


def _changed(document: Any, rng: random.Random) -> Any:
    """Return a document with one change at a random place, which is made in place if it is inside."""
    places = list(_places(document))
    if not places or rng.random() < 0.02:
        return _awkward(rng)
    holder, key = rng.choice(places)
    match rng.randrange(6):
        case 0:
            del holder[key]
        case 1:
            other, other_key = rng.choice(places)
            # A copy, because a document that contains itself cannot be written.
            holder[key] = json.loads(json.dumps(other[other_key]))
        case 2 if isinstance(holder, dict):
            holder[rng.choice((f"{key}2", key.upper(), "", "__proto__", "x" * 300))] = holder.pop(key)
        case 3:
            depth = rng.choice((1, 20, 300))
            holder[key] = json.loads("[" * depth + json.dumps(holder[key]) + "]" * depth)
        case 4 if isinstance(holder[key], list):
            holder[key] = holder[key] * rng.choice((2, 40))
        case _:
            holder[key] = _awkward(rng)
    return document


def _awkward(rng: random.Random) -> Any:
    """Return a value of its own: a list that two documents share could come to contain itself, which has no end."""
    return copy.deepcopy(rng.choice(_AWKWARD_VALUES))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return each place of a document where a value stands: its list or object, and index or key."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        keys = (
            list(holder)
            if isinstance(holder, dict)
            else range(len(holder))
            if isinstance(holder, list)
            else ()
        )
        for key in keys:
            found.append((holder, key))
            waiting.append(holder[key])
    return found
