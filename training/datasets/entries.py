"""What a format reads: labelled images as their source lists them, before any image is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from contract.snapshots import Part
from training.datasets.dataset import Object
from training.datasets.files import Files


@dataclass(frozen=True, slots=True)
class Entry:
    """One labelled image as its source tells of it.

    image: its name among the source's files.
    labelled_in: the file that holds the labels, for messages.
    objects: boxes in pixels, or in 0..1 of width and height where `normalised`; as they are, not clipped.
    size: width and height that the source gives, if any.
    sha256: what the bytes must have, if the source says so.
    """

    image: str
    labelled_in: str
    objects: tuple[Object, ...]
    normalised: bool = False
    size: tuple[int, int] | None = None
    tags: tuple[str, ...] = ()
    part: Part | None = None
    sha256: str | None = None


@dataclass
class Source:
    """A source in one format.

    labels: in their order, complete once all entries were taken; None means: those that occur, sorted.
    others: names of image files that are no samples, such as masks.
    """

    files: Files
    entries: Iterator[Entry]
    count: int
    labels: list[str] | None = None
    others: set[str] = field(default_factory=set)
    snapshot_id: str = ""
