"""What the reader of a format returns: the labels of a source, before any image is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from contract.snapshots import Part
from training.datasets.dataset import Mask, Object
from training.datasets.formats.contents import Contents
from training.datasets.problems import Problems
from training.datasets.storage.files import Files
from training.datasets.storage.names import has_other_suffix

_SHOWN = 5


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
        source_part: The part that the source gives, if it is the export of another tool.
        sha256: The SHA-256 that the image must have, if the source gives it.
        lost: The number of labels in the source that have no object here.
        masks: The masks of its defects, each with a defective pixel.
    """

    name: str
    annotation_file: str
    objects: tuple[Object, ...]
    normalised: bool = False
    size: tuple[int, int] | None = None
    tags: tuple[str, ...] = ()
    part: Part | None = None
    source_part: Part | None = None
    sha256: str | None = None
    lost: int = 0
    masks: tuple[Mask, ...] = ()


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


@dataclass(frozen=True)
class Claim:
    """What a format recognises in a source.

    Attributes:
        files: Its annotation files; empty if folders alone are the labels.
        is_sure: Whether the content tells. If only the names of folders do, any other format comes first.
        detail: What the format wants to remember.
    """

    files: tuple[str, ...]
    is_sure: bool = True
    detail: Any = None


class Format(Protocol):
    """What each module of a format provides."""

    def find(self, contents: Contents, is_asked: bool, /) -> Claim | None:
        """Return what belongs to this format; None if nothing does. No image is opened.

        Args:
            contents: What the files of the source begin with.
            is_asked: Whether the user named this format.

        Raises:
            DatasetError: It belongs to this format, but cannot be read without a mistake.
        """

    def read(self, files: Files, claim: Claim, problems: Problems, names: Sequence[str], /) -> Annotations:
        """Return the labels.

        Args:
            files: The files of the source.
            claim: What `find` returned.
            problems: Collects what is wrong.
            names: The names of the classes, where the source has numbers only; empty if nobody named them.
        """


def image_of(
    files: Files, reference: str, file: str, problems: Problems, place: str = "", hint: str = ""
) -> str | None:
    """Return the image that a label file refers to; None, with a problem, if it is not exactly one.

    Args:
        files: The files of the source.
        reference: What the label file gives as the image's name.
        file: The label file.
        problems: Collects what is wrong.
        place: The place in the label file.
        hint: The name of a folder in which the image is likely to be.
    """
    found = files.matching(reference, file, hint)
    if not found:
        problems.report("missing-image", file, f"{reference} has no file of this name here", place)
    elif len(found) > 1:
        several = ", ".join(found[:_SHOWN]) + (" …" if len(found) > _SHOWN else "")
        problems.report("ambiguous-image", file, f"{reference} may be any of {several}", place)
    elif has_other_suffix(reference, found[0]):
        problems.tally("other-suffix", file, "names images that have another suffix here")
    return found[0] if len(found) == 1 else None
