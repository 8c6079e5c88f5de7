"""Folders of classes: the folder of an image is its label, as in good/ and dent/, with or without train/ and test/.

A folder of good products tells that the others are labels. Without one, the folders may as well be lines, days or
products: then the user has to say so (`--format folders`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from training.datasets.dataset import is_good
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
    if files.chosen is not None:
        return None
    labels = {label for name in files.images if not is_mask(name) and (label := label_of(name))}
    if not labels or not (is_asked or any(is_good(label) for label in labels)):
        return None
    return Claim((), is_sure=False)


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the images with their folder as the label of the whole image."""
    masks = {name for name in files.images if is_mask(name)}
    images = [name for name in files.images if name not in masks and label_of(name)]
    return Annotations(files, _annotated_images(images), len(images), other_images=set())


def label_of(name: str) -> str:
    """Return the label that the folders of an image mean; "" if none does.

    >>> label_of("parts/train/dent/1.jpg"), label_of("good/images/1.jpg"), label_of("train/1.jpg")
    ('dent', 'good', '')
    """
    for folder in reversed(PurePosixPath(name).parts[:-1]):
        if folder.lower() not in _CONTAINERS and not part_of_word(folder):
            return folder
    return ""


def _annotated_images(images: list[str]) -> Iterator[AnnotatedImage]:
    for name in images:
        label = label_of(name)
        yield AnnotatedImage(name, label, (), tags=(label,), source_part=part_of_folders(name))
