"""The shape of a data set: samples with their labelled boxes, and the parts that they fall into."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from contract.snapshots import Part, part_of
from training.datasets.files import Files
from training.datasets.problems import DatasetError

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Object:
    """One labelled object: box (x1, y1, x2, y2) in pixels of the upright image."""

    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and what is in it; without objects it is a good product.

    tags: labels of the image as a whole, such as "anomaly", where the source has no boxes for it.
    part: where a snapshot put it; None where the hash decides.
    """

    name: str
    sha256: str
    width: int
    height: int
    objects: tuple[Object, ...]
    tags: tuple[str, ...] = ()
    part: Part | None = None

    def belongs_to(self) -> Part:
        """The part of this sample: train, validation or test."""
        return self.part or part_of(self.sha256)


@dataclass(frozen=True)
class Dataset:
    """Samples, the labels in their fixed order, and the files that hold the images.

    dropped_boxes: boxes of the source without any area inside their image.
    snapshot_id: of the snapshot that this data set is; "" for a raw source or a part.
    """

    files: Files
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    dropped_boxes: int = 0
    snapshot_id: str = ""

    def part(self, name: Part) -> Dataset:
        """Only the samples of one part; "all" is everything."""
        if name == "all":
            return self
        return replace(self, samples=tuple(s for s in self.samples if s.belongs_to() == name), snapshot_id="")

    def snapshot(self) -> str:
        """The snapshot's id; of a raw source the SHA-256 over images and labels, whatever names and order."""
        if self.snapshot_id:
            return self.snapshot_id
        lines = sorted(
            f"{s.sha256} {sorted((o.label, *o.box) for o in s.objects)}" + (f" {s.tags}" if s.tags else "")
            for s in self.samples
        )
        return hashlib.sha256("\n".join([repr(self.labels), *lines]).encode()).hexdigest()

    def read(self, sample: Sample) -> bytes:
        """The image file's bytes. Raises DatasetError, also if they are no longer those that were listed."""
        data = self.files.read(sample.name)
        if hashlib.sha256(data).hexdigest() != sample.sha256:
            raise DatasetError(sample.name, f"was altered: its SHA-256 is no longer {sample.sha256}")
        return data
