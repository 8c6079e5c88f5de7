"""Tells by its name which original an image is a copy of.

Roboflow makes mirrored, turned, cropped and recoloured copies of each original, and gives each copy the name of the
original and a hash: `SN5_jpg.rf.0f3a….jpg`. No comparison of pictures would find all of these.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from training.datasets.formats.parts import part_of_word

_ROBOFLOW = re.compile(r"(?P<original>.+)\.rf\.[0-9a-z_-]{8,}", re.IGNORECASE)
# Folders that an export makes for all of its images.
_COMMON = ("images", "labels", "data", "obj_train_data")


def original_of(name: str) -> str | None:
    """Return what the copies of one original have in common in their names; None if the name does not tell.

    Folders that mean a part do not count, others do: two projects may both have an image `1.jpg`.

    >>> original_of("valid/images/SN5_jpg.rf.0123456789abcdef.jpg"), original_of("valid/SN5.jpg")
    ('SN5_jpg', None)
    >>> original_of("press-2/train/SN5_jpg.rf.0123456789abcdef.jpg")
    'press-2/SN5_jpg'
    """
    path = PurePosixPath(name)
    match = _ROBOFLOW.fullmatch(path.stem)
    if match is None:
        return None
    folders = [
        folder for folder in path.parts[:-1] if folder.lower() not in _COMMON and part_of_word(folder) is None
    ]
    return "/".join((*folders, match["original"]))
