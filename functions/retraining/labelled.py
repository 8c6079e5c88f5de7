"""The labelled data of a run: the last import into a data set, merged with what people have labelled since.

Reviewed labels are objects under labels/, one for each image. The test part stays as it is: a reviewed image in it
keeps its old labels, and no image is added to it, unless it shows a class that no test image shows yet. Without test
images, no model could be judged on this class. Until a class has an image to learn from and one to test on, its images
wait.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from contract.keys import DEFAULT_DATASET, LABELS, SNAPSHOTS, dataset_of, snapshots_of
from contract.s3 import join
from contract.snapshots import Part, file_name, identity, learning_part_of, part_of
from contract.tags import is_good
from retraining.documents import Documents
from retraining.errors import LabelledDataError
from retraining.snapshots import Snapshot, read

_READERS = 16  # threads that read labels
_PIXEL_DIGITS = 2  # decimal places to which two boxes must agree


def _with_area(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    if not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError("the box (x1, y1, x2, y2) has no area")
    return box


class _Object(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    label: str = Field(min_length=1)
    box: Annotated[tuple[float, float, float, float], AfterValidator(_with_area)]

    @property
    def coco_box(self) -> list[float]:
        """The box as COCO has it: x, y, width, height."""
        x1, y1, x2, y2 = self.box
        return [x1, y1, x2 - x1, y2 - y1]


class _Image(BaseModel):
    bucket: str
    key: str
    version_id: str


class Reviewed(BaseModel):
    """An image as a person labelled it.

    Attributes:
        image: The object version.
        sha256: Of the file.
        width: Pixels of the upright image.
        height: Pixels of the upright image.
        objects: Labels, with boxes as x1, y1, x2, y2 in pixels of the upright image.
        at: When, ISO 8601 in UTC.
    """

    image: _Image
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    objects: list[_Object]
    at: str = ""

    @property
    def labels(self) -> set[str]:
        return {item.label for item in self.objects}

    @property
    def uri(self) -> str:
        return join(self.image.bucket, self.image.key)

    def part(self, tested: Collection[str]) -> Part:
        """Return the part that the image joins if it is new. tested: the classes that test images show."""
        wanted = part_of(self.sha256)
        return wanted if self.labels - set(tested) else learning_part_of(self.sha256)

    def entry(self, part: Part) -> dict[str, Any]:
        """Return the image as a snapshot lists it, without its id."""
        return {
            "file_name": self.uri,
            "uri": self.uri,
            "sha256": self.sha256,
            "width": self.width,
            "height": self.height,
            "split": part,
        }


_Objects = list[tuple[str, list[float]]]  # label and COCO box of each object


def current(documents: Documents, dataset: str, own: str) -> Snapshot:
    """Return the last imported snapshot of a data set, with the reviewed labels. A merged snapshot is stored.

    Reviewed images come from the stack's line, so they belong to the stack's own data set alone.

    Args:
        documents: The artefacts bucket.
        dataset: The data set's name.
        own: The name of the stack's own data set.

    Raises:
        LabelledDataError: Nothing was imported, or a snapshot or a reviewed image is not valid.
    """
    base = _last_import(documents, dataset)
    if dataset != own:
        return base
    ready, waiting = ready_to_merge(base.document, _reviewed(documents))
    document = merged(base.document, ready)
    if document is base.document:
        return replace(base, waiting=waiting)
    key = snapshots_of(dataset) + file_name(document["id"])
    # The name contains the hash of the content, so an object that is already there is the same.
    documents.write(key, document, new=True)
    return Snapshot(document, documents.uri(key), waiting)


def _last_import(documents: Documents, dataset: str) -> Snapshot:
    """Return the last import into a data set. Merged snapshots are skipped, so that the test set stays.

    Raises:
        LabelledDataError: Nothing was imported, or a snapshot is not valid.
    """
    stored = list(documents.listing(SNAPSHOTS))
    own = [item for item in stored if dataset_of(item["Key"]) == dataset]
    keys = [item["Key"] for item in sorted(own, key=lambda item: (item["LastModified"], item["Key"]))]
    while keys:
        snapshot = read(documents, keys.pop())
        info = snapshot.document["info"]
        if info.get("format") != "merged":
            return snapshot
        # A snapshot is merged from the import that was the last one then, and after which no other one came.
        merged_from = [key for key in keys if key.endswith(f"/{file_name(info.get('previous') or '')}")]
        keys = merged_from or keys
    option = "" if dataset == DEFAULT_DATASET else f" --dataset {dataset}"
    advice = f"import images with `loupe import PATH{option}`"
    if others := sorted({name for item in stored if (name := dataset_of(item["Key"]))}):
        raise LabelledDataError(f"there is no data set {dataset}, only {', '.join(others)}: {advice}")
    raise LabelledDataError(f"there is no labelled data yet: {advice}")


def _reviewed(documents: Documents) -> list[Reviewed]:
    keys = sorted(item["Key"] for item in documents.listing(LABELS) if item["Key"].endswith(".json"))

    def load(key: str) -> Reviewed:
        try:
            stored = documents.find(key)
            return Reviewed.model_validate(stored[0] if stored else None)
        except (ValueError, ValidationError) as error:
            raise LabelledDataError(f"{documents.uri(key)} is not a reviewed image: {error}") from error

    with ThreadPoolExecutor(_READERS) as pool:
        # The same image may have come twice, as two objects. The last decision about it holds.
        return sorted(pool.map(load, keys), key=lambda review: review.at)


def ready_to_merge(
    base: dict[str, Any], reviewed: Sequence[Reviewed]
) -> tuple[list[Reviewed], dict[str, int]]:
    """Return the reviewed images that can be learned from, and how many images of each new class wait.

    A class that no test image shows yet needs an image in the training part and one in the test part. Which part an
    image is in follows from its hash, and a fifth of the images are test images.

    Args:
        base: The document of the snapshot.
        reviewed: The reviewed images. Of several reviews of an image the last one holds.
    """
    parts: dict[str, Part] = {image["sha256"]: image["split"] for image in base["images"]}
    tested = _labels_tested(base)
    last = {review.sha256: review for review in reviewed if parts.get(review.sha256) != "test"}
    ready = list(last.values())
    while True:
        places: dict[str, set[Part]] = defaultdict(set)
        for review in ready:
            for label in review.labels - tested:
                places[label].add(parts.get(review.sha256) or review.part(tested))
        lacking = {label for label, found in places.items() if not {"train", "test"} <= found}
        if not lacking:
            break
        # What waits may show other new classes, too, which then lack it.
        ready = [review for review in ready if not review.labels & lacking]
    left = {review.sha256 for review in ready}
    waiting = Counter(
        label
        for review in last.values()
        if review.sha256 not in left
        for label in sorted(review.labels - tested)
    )
    return ready, dict(waiting)


def _labels_tested(base: Mapping[str, Any]) -> set[str]:
    names = {category["id"]: str(category["name"]) for category in base["categories"]}
    test = {image["id"] for image in base["images"] if image["split"] == "test"}
    return {names[item["category_id"]] for item in base["annotations"] if item["image_id"] in test}


def merged(base: dict[str, Any], reviewed: Iterable[Reviewed]) -> dict[str, Any]:
    """Return a snapshot's document with the labels of the reviewed images.

    Args:
        base: The document of the snapshot.
        reviewed: The reviewed images. Of several reviews of an image the last one holds.

    Returns:
        The merged document, or `base` itself if the reviews change nothing.
    """
    images: dict[int, dict[str, Any]] = {image["id"]: image for image in base["images"]}
    objects, tested = _objects_by_image(base), _labels_tested(base)
    # SHA-256 → ids. An image may be listed twice, under two names.
    ids: dict[str, list[int]] = defaultdict(list)
    for image_id, image in images.items():
        ids[image["sha256"]].append(image_id)
    free_ids, changed = count(max(images, default=0) + 1), False
    for review in {review.sha256: review for review in reviewed}.values():
        known = ids[review.sha256]
        if any(images[image_id]["split"] == "test" for image_id in known):
            continue
        reviewed_objects: _Objects = [(item.label, item.coco_box) for item in review.objects]
        if not known:
            known.append(next(free_ids))
            images[known[0]] = review.entry(review.part(tested))
        elif all(_agrees(images[image_id], objects[image_id], reviewed_objects) for image_id in known):
            continue
        changed = True
        images |= {image_id: _without_labels(images[image_id]) for image_id in known}
        objects |= dict.fromkeys(known, reviewed_objects)
    return _document(base, images, objects) if changed else base


def _objects_by_image(document: Mapping[str, Any]) -> dict[int, _Objects]:
    labels = {category["id"]: str(category["name"]) for category in document["categories"]}
    objects: dict[int, _Objects] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        objects[annotation["image_id"]].append((labels[annotation["category_id"]], annotation["bbox"]))
    return objects


def _agrees(image: Mapping[str, Any], known: _Objects, reviewed: _Objects) -> bool:
    """Return whether a review says of an image what the snapshot says: by its objects, and by its own labels."""
    says_defective = not all(map(is_good, image.get("tags", ())))
    return _same(known, reviewed) and (bool(reviewed) or not says_defective)


def _without_labels(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of an image without its own labels and masks: what a person has said takes their place."""
    return {name: value for name, value in image.items() if name not in ("tags", "masks")}


def _same(one: _Objects, other: _Objects) -> bool:
    rounded = [
        sorted((label, [round(edge, _PIXEL_DIGITS) for edge in box]) for label, box in objects)
        for objects in (one, other)
    ]
    return rounded[0] == rounded[1]


def _document(
    base: dict[str, Any], images: dict[int, dict[str, Any]], objects: dict[int, _Objects]
) -> dict[str, Any]:
    """Return the document of a merged snapshot, with new ids in the order of the images' hashes."""
    known = [str(category["name"]) for category in base["categories"]]
    used = {label for image_objects in objects.values() for label, _ in image_objects}
    categories = {label: n for n, label in enumerate([*known, *sorted(used - set(known))], start=1)}
    order = sorted(images, key=lambda image_id: (images[image_id]["sha256"], images[image_id]["file_name"]))
    annotations: list[dict[str, Any]] = []
    for new_id, image_id in enumerate(order, start=1):
        for label, box in objects[image_id]:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": new_id,
                    "category_id": categories[label],
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    content = {
        "loupe_snapshot": base["loupe_snapshot"],
        "info": {
            "dataset": base["info"].get("dataset", DEFAULT_DATASET),
            "format": "merged",
            "previous": base["id"],
            "split": "test part of the previous snapshot",
        },
        "categories": [{"id": number, "name": label} for label, number in categories.items()],
        "images": [{**images[image_id], "id": new_id} for new_id, image_id in enumerate(order, start=1)],
        "annotations": annotations,
        "left_out": base.get("left_out", []),
    }
    return {"loupe_snapshot": base["loupe_snapshot"], "id": identity(content), **content}
