"""Pictures of good products: every image of the source, whatever its folder is called.

Nothing in a folder of pictures tells that all of them are good, so only the user can say so (`--format good`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim
from training.datasets.formats.contents import Contents
from training.datasets.formats.parts import part_of_folders
from training.datasets.problems import Problems
from training.datasets.storage.files import Files
from training.datasets.storage.names import is_mask

TAG = "good"


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return a claim if the user asks for it and there are images."""
    return Claim((), is_sure=False) if is_asked and _images(contents.files) else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return every image as one of a good product."""
    images = _images(files)
    return Annotations(files, _annotated_images(images), len(images))


def _images(files: Files) -> list[str]:
    return [name for name in files.images if not is_mask(name)]


def _annotated_images(names: list[str]) -> Iterator[AnnotatedImage]:
    for name in names:
        folder = str(PurePosixPath(name).parent)
        yield AnnotatedImage(name, folder, (), tags=(TAG,), source_part=part_of_folders(name))
