"""The shape of a data set: samples with their labelled boxes, and the part that each sample belongs to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from contract.snapshots import Part, part_of
from contract.tags import is_good
from training.datasets.problems import DatasetError
from training.datasets.storage.files import Files

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Object:
    """One labelled object.

    Attributes:
        label: The name of its class.
        box: (x1, y1, x2, y2) in pixels of the upright image.
    """

    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class Mask:
    """A picture whose pixels say what is defective in an image; see `training.datasets.masks`.

    Attributes:
        name: The mask's name among the data set's files.
        sha256: The SHA-256 of the mask's file, in hex.
        colours: The label of each colour 0xRRGGBB, "" for the background; empty if every pixel that is not black is
            defective.
    """

    name: str
    sha256: str
    colours: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and the objects in it.

    Attributes:
        name: The image's name among the data set's files.
        sha256: The SHA-256 of the image file, in hex.
        width: Pixels of the upright image.
        height: As width.
        objects: The labelled objects; empty for a good product.
        tags: Labels of the whole image, such as "anomaly", beside or instead of boxes.
        part: The part that a snapshot put the image into; None if the hash decides.
        source_part: The part that the image has in the source, such as the folder `valid`; None if it has none.
        masks: The masks of its defects, mostly one; empty if the source has none. Boxes are no masks.
    """

    name: str
    sha256: str
    width: int
    height: int
    objects: tuple[Object, ...]
    tags: tuple[str, ...] = ()
    part: Part | None = None
    source_part: Part | None = None
    masks: tuple[Mask, ...] = ()

    @property
    def is_defective(self) -> bool:
        """Whether it shows a defect: a labelled object, or a label of the whole image that is not good."""
        return bool(self.objects) or any(not is_good(tag) for tag in self.tags)

    @property
    def is_good(self) -> bool:
        """Whether it shows a good product: no object, and no label of the whole image that is not good."""
        return not self.is_defective

    @property
    def mask(self) -> str | None:
        """The name of its first mask among the data set's files; None if it has none."""
        return self.masks[0].name if self.masks else None

    @property
    def has_unplaced_defect(self) -> bool:
        """Whether a label of the whole image says that it has a defect, but no box says where.

        Such an image is no good product, and no background either.
        """
        return not self.objects and self.is_defective

    def belongs_to(self) -> Part:
        """Return the part of this sample: train, validation or test."""
        return self.part or part_of(self.sha256)


@dataclass(frozen=True)
class Dataset:
    """Samples, their labels, and the files that contain the images.

    Attributes:
        files: Reads the images by name.
        labels: The class names in their fixed order.
        samples: The images with their objects.
        dropped_boxes: The number of boxes in the source that have no area inside their image.
        snapshot_id: The id of the snapshot that this data set is; "" for a raw source, and for a part.
    """

    files: Files
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    dropped_boxes: int = 0
    snapshot_id: str = ""

    def part(self, name: Part) -> Dataset:
        """Return the data set with the samples of one part only; "all" returns it unchanged."""
        if name == "all":
            return self
        samples = tuple(sample for sample in self.samples if sample.belongs_to() == name)
        return replace(self, samples=samples, snapshot_id="")

    def snapshot(self) -> str:
        """Return the snapshot's id, or for a raw source the SHA-256 over its images and labels.

        That SHA-256 does not depend on the names and the order of the images.
        """
        if self.snapshot_id:
            return self.snapshot_id
        lines = sorted(
            f"{sample.sha256} {sorted((obj.label, *obj.box) for obj in sample.objects)}"
            + (f" {sample.tags}" if sample.tags else "")
            + "".join(f" {mask.sha256} {mask.colours}" for mask in sample.masks)
            for sample in self.samples
        )
        return hashlib.sha256("\n".join([repr(self.labels), *lines]).encode()).hexdigest()

    def read(self, file: Sample | Mask) -> bytes:
        """Return the bytes of a sample's image file, or of a mask.

        Raises:
            DatasetError: The file cannot be read, or it changed after it was listed.
        """
        data = self.files.read(file.name)
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise DatasetError(file.name, f"was altered: its SHA-256 is no longer {file.sha256}")
        return data
