"""Folders of classes: the folder of an image is its label, as in good/ and dent/, with or without train/ and test/.

A folder of good products tells that the others are labels. Without one, the folders may as well be lines, days or
products: then the user has to say so (`--format folders`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from contract.tags import is_good
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim
from training.datasets.formats.contents import Contents
from training.datasets.formats.parts import part_of_folders, part_of_word
from training.datasets.problems import Problems
from training.datasets.storage.files import Files
from training.datasets.storage.names import is_mask

# Folders that contain images of all classes.
_CONTAINERS = {"images", "image", "imgs", "img", "jpegimages", "data", "raw", "photos", "pictures", "dataset"}


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return a claim if the folders of the images are labels."""
    files = contents.files
    labels = _labels(files)
    if not labels or files.chosen is not None:
        return None
    return Claim((), is_sure=False) if is_asked or any(map(is_good, labels.values())) else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the images with their folder as the label of the whole image."""
    labels = _labels(files)
    return Annotations(files, _annotated_images(labels), len(labels))


def _labels(files: Files) -> dict[str, str]:
    """Return the label of each image that has one: the folder on the level of the good products."""
    folders = {name: _folders(name) for name in files.images if not is_mask(name)}
    levels = Counter(
        level for listed in folders.values() for level, folder in enumerate(listed) if is_good(folder)
    )
    if not levels:
        return {name: listed[-1] for name, listed in folders.items() if listed}
    level = levels.most_common(1)[0][0]
    return {name: listed[level] for name, listed in folders.items() if len(listed) > level}


def _folders(name: str) -> list[str]:
    """Return the folders of an image that can be labels.

    >>> _folders("parts/train/dent/1.jpg"), _folders("good/images/1.jpg"), _folders("train/1.jpg")
    (['parts', 'dent'], ['good'], [])
    """
    folders = PurePosixPath(name).parts[:-1]
    return [folder for folder in folders if folder.lower() not in _CONTAINERS and not part_of_word(folder)]


def _annotated_images(labels: dict[str, str]) -> Iterator[AnnotatedImage]:
    for name, label in labels.items():
        yield AnnotatedImage(name, label, (), tags=(label,), source_part=part_of_folders(name))
