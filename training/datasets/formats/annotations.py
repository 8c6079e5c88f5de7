"""What the reader of a format returns: the labels of a source, before any image is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from contract.snapshots import Part
from training.datasets.dataset import Object
from training.datasets.problems import Problems
from training.datasets.storage.files import Files


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One image as its source labels it.

    Attributes:
        name: The image's name among the source's files.
        annotation_file: The file that contains the labels, for messages.
        objects: Boxes in pixels, or in 0..1 of width and height if `normalised`; not clipped.
        normalised: Whether the boxes are in 0..1.
        size: Width and height that the source gives, if any.
        tags: Labels of the whole image.
        part: The part that the source gives, if it is a snapshot.
        sha256: The SHA-256 that the image must have, if the source gives it.
    """

    name: str
    annotation_file: str
    objects: tuple[Object, ...]
    normalised: bool = False
    size: tuple[int, int] | None = None
    tags: tuple[str, ...] = ()
    part: Part | None = None
    sha256: str | None = None


@dataclass
class Annotations:
    """The labels of a source.

    Attributes:
        files: The files that contain the images.
        images: The labelled images, read while they are iterated.
        count: The number of images for a progress bar; 0 if it is not known yet.
        labels: The class names in order, complete after the last image; None for those that occur, sorted.
        other_images: The names of image files that are not samples, such as masks.
        snapshot_id: The id of the snapshot that the source is; "" for every other format.
    """

    files: Files
    images: Iterator[AnnotatedImage]
    count: int
    labels: list[str] | None = None
    other_images: set[str] = field(default_factory=set)
    snapshot_id: str = ""


class Format(Protocol):
    """What each module of a format provides."""

    def find(self, files: Files, /) -> Any | None:
        """Return the annotation file or files of this format; None if there are none."""

    def read(self, files: Files, found: Any, problems: Problems, /) -> Annotations:
        """Return the labels in the annotation file or files that `find` returned."""
