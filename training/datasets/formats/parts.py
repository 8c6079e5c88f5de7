"""The part (train, validation, test) that an export gives to an image, by the names of its files and folders."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from contract.snapshots import PARTS, Part

_WORDS: dict[str, Part] = {
    **dict.fromkeys(("train", "training", "trainval", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "validation"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}


def part_of_word(word: str) -> Part | None:
    """Return the part that a word means, with or without a year.

    >>> part_of_word("val2017"), part_of_word("Valid"), part_of_word("default")
    ('validation', 'validation', None)
    """
    return _WORDS.get(word.strip().lower().rstrip("0123456789"))


def part_of_folders(name: str) -> Part | None:
    """Return the part that the folders of a file mean; the innermost counts.

    >>> part_of_folders("images/train/1.jpg"), part_of_folders("val_images/1.jpg"), part_of_folders("train.jpg")
    ('train', 'validation', None)
    """
    folders = PurePosixPath(name).parts[:-1]
    return next((part for folder in reversed(folders) if (part := _part_of_words(folder, 2))), None)


def part_of_file(name: str) -> Part | None:
    """Return the part that the name of a label file means, or else its folders.

    >>> part_of_file("annotations/instances_val2017.json"), part_of_file("test/_annotations.coco.json")
    ('validation', 'test')
    """
    return _part_of_words(PurePosixPath(name).stem) or part_of_folders(name)


def _part_of_words(text: str, most: int = 9) -> Part | None:
    words = [word for word in re.split(r"[^a-z0-9]+", text.lower()) if word]
    return (
        next((part for word in words if (part := part_of_word(word))), None) if len(words) <= most else None
    )


def higher(a: Part | None, b: Part | None) -> Part | None:
    """Return the higher of two parts: train < validation < test."""
    return max((part for part in (a, b) if part), key=PARTS.index, default=None)
