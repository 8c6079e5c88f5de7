"""The identity of a snapshot of labelled images, and the split into train, validation and test."""

import hashlib
import json
from typing import Any, Literal

VERSION = 1  # of the document's format
Part = Literal["train", "validation", "test", "all"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")

_TRAIN_SHARE, _VALIDATION_SHARE = 0.7, 0.1  # the remaining fifth is the test part
_FILE_NAME_DIGITS = 16  # hex digits of the id


def identity(document: dict[str, Any]) -> str:
    """Return the id of a snapshot: the SHA-256 of its canonical JSON, without the member `id`."""
    content = {name: value for name, value in document.items() if name != "id"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_name(snapshot_id: str) -> str:
    """Return the name of a snapshot's file. It is derived from the content, by the id."""
    return f"{snapshot_id[:_FILE_NAME_DIGITS]}.json"


def part_of(sha256: str) -> Part:
    """Return the part to which an image with this SHA-256 belongs.

    >>> part_of("00" * 32), part_of("c0" * 32), part_of("ff" * 32)
    ('train', 'validation', 'test')
    """
    share = int(sha256[:8], 16) / 0x1_0000_0000
    if share < _TRAIN_SHARE:
        return "train"
    return "validation" if share < _TRAIN_SHARE + _VALIDATION_SHARE else "test"


def learning_part_of(sha256: str) -> Part:
    """Return the part of a new image while the test set is frozen. A hash that means `test` is hashed again.

    >>> learning_part_of("00" * 32), learning_part_of("ff" * 32)
    ('train', 'train')
    """
    digest = sha256
    while (part := part_of(digest)) == "test":
        digest = hashlib.sha256(digest.encode()).hexdigest()
    return part
