"""Snapshots of labelled images, as the plan reads them.

A snapshot is the COCO document that `training.datasets.snapshots` writes. Its id is the SHA-256 of its
content.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from contract.snapshots import PARTS, VERSION, identity
from contract.tags import is_good
from retraining.documents import Documents
from retraining.errors import LabelledDataError
from retraining.families import Kind


@dataclass(frozen=True)
class Snapshot:
    """A snapshot.

    Attributes:
        document: The COCO document.
        uri: Where it is stored.
        waiting: By class, reviewed images that are not in it, because too few images show the class.
    """

    document: dict[str, Any]
    uri: str
    waiting: Mapping[str, int] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @cached_property
    def parts(self) -> Counter[str]:
        """The number of images in each part."""
        return Counter(str(image["split"]) for image in self.document["images"])

    @cached_property
    def contents(self) -> dict[str, frozenset[tuple[Any, ...]]]:
        """SHA-256 of each image → its objects and its own labels, to find what is new."""
        labels = self._labels
        objects: dict[int, set[tuple[Any, ...]]] = defaultdict(set)
        for annotation in self.document["annotations"]:
            label, box = labels[annotation["category_id"]], map(float, annotation["bbox"])
            objects[annotation["image_id"]].add((label, *box))
        return {
            image["sha256"]: frozenset(objects[image["id"]] | {(tag,) for tag in image.get("tags", ())})
            for image in self.document["images"]
        }

    @property
    def _labels(self) -> dict[int, str]:
        return {category["id"]: str(category["name"]) for category in self.document["categories"]}

    def labels_in(self, *parts: str) -> set[str]:
        """Return the labels of the objects in these parts."""
        labels = self._labels
        images = {image["id"] for image in self.document["images"] if image["split"] in parts}
        return {
            labels[annotation["category_id"]]
            for annotation in self.document["annotations"]
            if annotation["image_id"] in images
        }

    def new_since(self, earlier: Snapshot | None) -> int:
        """Return the number of images that `earlier` lacks or has with other labels. None: all are new."""
        before = earlier.contents if earlier else {}
        return sum(before.get(sha256) != objects for sha256, objects in self.contents.items())

    def good_in(self, *parts: str) -> int:
        """Return the number of images of good products in these parts."""
        shown = {annotation["image_id"] for annotation in self.document["annotations"]}
        return sum(
            image["split"] in parts and image["id"] not in shown and all(map(is_good, image.get("tags", ())))
            for image in self.document["images"]
        )

    def check(self, kinds: Collection[Kind]) -> None:
        """Check that models of these kinds can be trained and tested on the snapshot.

        Raises:
            LabelledDataError: For detectors: a part is empty, no training image has an object, or no test image shows
                a class. For anomaly models: there is no good image to learn from, or none to test on.
        """
        if "detector" in kinds:
            self._check_objects()
        if "anomaly" in kinds:
            self._check_good_images()

    def _check_objects(self) -> None:
        for part in PARTS:
            if not self.parts[part]:
                raise LabelledDataError(
                    f"the {part} part of the snapshot {self.uri} is empty: import more images"
                )
        if not self.labels_in("train"):
            raise LabelledDataError(f"no training image in {self.uri} has a labelled defect")
        if untested := sorted(set(self._labels.values()) - self.labels_in("test")):
            raise LabelledDataError(
                f"no test image in {self.uri} shows {', '.join(untested)}, so no model can be tested on it: "
                "import more images that show it, of which some become test images"
            )

    def _check_good_images(self) -> None:
        if not self.good_in("train", "validation"):
            raise LabelledDataError(
                f"no image to learn from in {self.uri} shows a good product, and an anomaly model learns from "
                "those alone: import images of good products"
            )
        if not self.good_in("test"):
            raise LabelledDataError(
                f"no test image in {self.uri} shows a good product, so nobody could tell how many of them an "
                "anomaly model fails: import more images of good products, of which some become test images"
            )


def read(documents: Documents, key: str) -> Snapshot:
    """Read a snapshot.

    Raises:
        LabelledDataError: The object is not a snapshot, or was altered.
    """
    uri = documents.uri(key)
    try:
        stored = documents.find(key)
    except ValueError as error:
        raise LabelledDataError(f"{uri} is not a JSON document: {error}") from error
    document = stored[0] if stored else None
    if not isinstance(document, dict) or document.get("loupe_snapshot") != VERSION:
        raise LabelledDataError(f"{uri} is not a snapshot: import images with `loupe import`")
    if document.get("id") != identity(document):
        raise LabelledDataError(f"{uri} was altered: its content does not match its id; import it again")
    return Snapshot(document, uri)
