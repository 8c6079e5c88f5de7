"""The labelled data of a run: the snapshot imported last, and what people have labelled since.

A snapshot is the COCO document that `training.datasets.snapshot` writes and reads; its id is the SHA-256 of its
content. Reviewed labels lie under labels/, one object an image. The test part never changes: a reviewed image
that is in it keeps its old labels there, and none is added to it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from contract.keys import LABELS, SNAPSHOTS
from contract.s3 import join
from contract.snapshots import VERSION, file_name, identity, learning_part_of
from retraining.documents import Documents
from retraining.errors import LabelledDataError

_AT_ONCE = 16  # reads of labels
_HUNDREDTHS = 2  # digits of a pixel beyond which a box is the same


def _with_area(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    if not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError("the box (x1, y1, x2, y2) has no area")
    return box


class _Object(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    label: str = Field(min_length=1)
    box: Annotated[tuple[float, float, float, float], AfterValidator(_with_area)]


class _Image(BaseModel):
    bucket: str
    key: str
    version_id: str


class Reviewed(BaseModel):
    """One image as a person labelled it: pixels of the upright image, boxes as (x1, y1, x2, y2)."""

    image: _Image
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    objects: list[_Object]

    @property
    def uri(self) -> str:
        return join(self.image.bucket, self.image.key)


_Objects = list[tuple[str, list[float]]]  # label and COCO's bbox: x, y, width, height


@dataclass(frozen=True)
class Snapshot:
    """A snapshot's document, and where it lies."""

    document: dict[str, Any]
    uri: str

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @cached_property
    def parts(self) -> Counter[str]:
        return Counter(str(image["split"]) for image in self.document["images"])

    @cached_property
    def contents(self) -> dict[str, frozenset[tuple[Any, ...]]]:
        """SHA-256 of each image → its objects, for telling what is new."""
        labels = {each["id"]: each["name"] for each in self.document["categories"]}
        objects: dict[int, set[tuple[Any, ...]]] = defaultdict(set)
        for each in self.document["annotations"]:
            objects[each["image_id"]].add((labels[each["category_id"]], *map(float, each["bbox"])))
        return {image["sha256"]: frozenset(objects[image["id"]]) for image in self.document["images"]}

    def labels_in(self, *parts: str) -> set[str]:
        """The labels that objects in these parts bear."""
        images = {image["id"] for image in self.document["images"] if image["split"] in parts}
        names = {each["id"]: str(each["name"]) for each in self.document["categories"]}
        found = {each["category_id"] for each in self.document["annotations"] if each["image_id"] in images}
        return {names[each] for each in found}

    def new_since(self, earlier: Snapshot | None) -> int:
        """Images that `earlier` lacks or has with other labels; all of them without an earlier one."""
        before = earlier.contents if earlier else {}
        return sum(before.get(sha256) != objects for sha256, objects in self.contents.items())

    def check(self) -> None:
        """Raises LabelledDataError unless a model can be trained and tested on it."""
        for part in ("train", "validation", "test"):
            if not self.parts[part]:
                raise LabelledDataError(
                    f"the {part} part of the snapshot {self.uri} is empty: import more images"
                )
        if not self.labels_in("train"):
            raise LabelledDataError(f"no image to learn from in {self.uri} has a labelled defect")
        known = {str(each["name"]) for each in self.document["categories"]}
        if unproven := sorted(known - self.labels_in("test")):
            raise LabelledDataError(
                f"no test image in {self.uri} shows {', '.join(unproven)}, so no model can be proven on it: "
                "import the images again with --previous '' to draw a new test set"
            )


def read(documents: Documents, key: str) -> Snapshot:
    """Raises LabelledDataError for what is no snapshot."""
    uri = documents.uri(key)
    try:
        found = documents.find(key)
    except ValueError as error:
        raise LabelledDataError(f"{uri} is no JSON document: {error}") from error
    document = found[0] if found else None
    if not isinstance(document, dict) or document.get("loupe_snapshot") != VERSION:
        raise LabelledDataError(f"{uri} is no snapshot: bring images in by `loupe import`")
    if document.get("id") != identity(document):
        raise LabelledDataError(f"{uri} was altered: its content is not what its id says; import it again")
    return Snapshot(document, uri)


def current(documents: Documents) -> Snapshot:
    """The snapshot imported last with what was labelled since, written down where anything was.

    Raises LabelledDataError where nothing was ever imported.
    """
    imported = sorted(documents.listing(SNAPSHOTS), key=lambda each: (each["LastModified"], each["Key"]))
    # Merged snapshots lie there too, so that the test set stays; the last import is the base.
    for each in reversed(imported):
        base = read(documents, each["Key"])
        if base.document["info"].get("format") != "merged":
            break
    else:
        raise LabelledDataError("there is no labelled data yet: bring images in by `loupe import PATH`")
    document = merged(base.document, _reviewed(documents))
    if document is base.document:
        return base
    key = SNAPSHOTS + file_name(document["id"])
    documents.write(key, document, new=True)  # the name says what is in it: there already, it is the same
    return Snapshot(document, documents.uri(key))


def _reviewed(documents: Documents) -> list[Reviewed]:
    keys = sorted(each["Key"] for each in documents.listing(LABELS) if each["Key"].endswith(".json"))

    def load(key: str) -> Reviewed:
        try:
            found = documents.find(key)
            return Reviewed.model_validate(found[0] if found else None)
        except (ValueError, ValidationError) as error:
            raise LabelledDataError(f"{documents.uri(key)} is no reviewed image: {error}") from error

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(load, keys))


def merged(base: dict[str, Any], reviewed: Iterable[Reviewed]) -> dict[str, Any]:
    """`base` with the labels of the reviewed images; `base` itself where they change nothing."""
    names = {each["id"]: str(each["name"]) for each in base["categories"]}
    images: dict[int, dict[str, Any]] = {image["id"]: image for image in base["images"]}
    objects: dict[int, _Objects] = {number: [] for number in images}
    for each in base["annotations"]:
        objects[each["image_id"]].append((names[each["category_id"]], each["bbox"]))
    known: dict[str, list[int]] = defaultdict(list)  # an image may be listed twice, under two names
    for number, image in images.items():
        known[image["sha256"]].append(number)
    numbers, changed = count(max(images, default=0) + 1), False
    for one in reviewed:
        if any(images[number]["split"] == "test" for number in known[one.sha256]):
            continue
        found: _Objects = [
            (o.label, [o.box[0], o.box[1], o.box[2] - o.box[0], o.box[3] - o.box[1]]) for o in one.objects
        ]
        if not known[one.sha256]:
            number = next(numbers)
            known[one.sha256].append(number)
            images[number] = {
                "file_name": one.uri,
                "uri": one.uri,
                "sha256": one.sha256,
                "width": one.width,
                "height": one.height,
                "split": learning_part_of(one.sha256),
            }
        elif all(_same(objects[number], found) for number in known[one.sha256]):
            continue
        changed = True
        objects |= dict.fromkeys(known[one.sha256], found)
    return _document(base, images, objects) if changed else base


def _same(one: _Objects, other: _Objects) -> bool:
    rounded = [
        sorted((label, [round(edge, _HUNDREDTHS) for edge in box]) for label, box in objects)
        for objects in (one, other)
    ]
    return rounded[0] == rounded[1]


def _document(
    base: dict[str, Any], images: dict[int, dict[str, Any]], objects: dict[int, _Objects]
) -> dict[str, Any]:
    known = [str(each["name"]) for each in base["categories"]]
    used = {label for each in objects.values() for label, _ in each}
    categories = {label: n for n, label in enumerate([*known, *sorted(used - set(known))], start=1)}
    order = sorted(images, key=lambda number: (images[number]["sha256"], images[number]["file_name"]))
    annotations: list[dict[str, Any]] = []
    for place, number in enumerate(order, start=1):
        for label, box in objects[number]:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": place,
                    "category_id": categories[label],
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    content = {
        "loupe_snapshot": base["loupe_snapshot"],
        "info": {"format": "merged", "previous": base["id"], "split": "test part of the previous snapshot"},
        "categories": [{"id": number, "name": label} for label, number in categories.items()],
        "images": [{**images[number], "id": place} for place, number in enumerate(order, start=1)],
        "annotations": annotations,
        "left_out": base.get("left_out", []),
    }
    return {"loupe_snapshot": base["loupe_snapshot"], "id": identity(content), **content}
