"""A snapshot's identity, and which part of the data an image belongs to."""

import hashlib
import json
from typing import Any, Literal

VERSION = 1  # of the document
Part = Literal["train", "validation", "test", "all"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")

_TRAIN_SHARE, _VALIDATION_SHARE = 0.7, 0.1  # the rest, a fifth, is the test part
_ID_DIGITS = 16  # of the id, in the file's name


def identity(document: dict[str, Any]) -> str:
    """Return a snapshot's id: the SHA-256 of its canonical JSON, without the id itself."""
    content = {name: value for name, value in document.items() if name != "id"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_name(snapshot_id: str) -> str:
    """Return the name of a snapshot's file, which tells what is in it."""
    return f"{snapshot_id[:_ID_DIGITS]}.json"


def part_of(sha256: str) -> Part:
    """Return the part of an image with this hash.

    >>> part_of("00" * 32), part_of("c0" * 32), part_of("ff" * 32)
    ('train', 'validation', 'test')
    """
    share = int(sha256[:8], 16) / 0x1_0000_0000
    if share < _TRAIN_SHARE:
        return "train"
    return "validation" if share < _TRAIN_SHARE + _VALIDATION_SHARE else "test"


def learning_part_of(sha256: str) -> Part:
    """Return the part of an image where the test set is frozen: what would be test is hashed again.

    >>> learning_part_of("00" * 32), learning_part_of("ff" * 32)
    ('train', 'train')
    """
    digest = sha256
    while (part := part_of(digest)) == "test":
        digest = hashlib.sha256(digest.encode()).hexdigest()
    return part
