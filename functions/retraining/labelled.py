"""The labelled data of a run: the last import into a data set, merged with what people have labelled since.

Reviewed labels are objects under labels/, one for each image. The test part stays as it is: a reviewed image in it
keeps its old labels, and no image is added to it, unless it shows a class that no test image shows yet. Without test
images, no model could be judged on this class. Until a class has an image to learn from and one to test on, its images
wait.

A bad part whose defect nobody has framed has a label of the whole image. It waits for nothing, and it joins the test
part only if no test image shows a defect yet.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

from pydantic import ValidationError

from contract.keys import DEFAULT_DATASET, LABELS, SNAPSHOTS, dataset_of, snapshots_of
from contract.snapshots import Part, file_name, identity
from contract.tags import is_good
from retraining.documents import Documents
from retraining.errors import LabelledDataError
from retraining.reviewed import Reviewed
from retraining.snapshots import Snapshot, read

_READERS = 16  # threads that read labels
_PIXEL_DIGITS = 2  # decimal places to which two boxes must agree


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
    tested, has_bad = _labels_tested(base), _tests_defects(base)
    last = {review.sha256: review for review in reviewed if parts.get(review.sha256) != "test"}
    ready = list(last.values())
    while True:
        places: dict[str, set[Part]] = defaultdict(set)
        for review in ready:
            for label in review.labels - tested:
                places[label].add(parts.get(review.sha256) or review.part(tested, has_bad=has_bad))
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


def _tests_defects(base: Mapping[str, Any]) -> bool:
    """Return whether a test image shows a defect, with a box or without."""
    shown = {item["image_id"] for item in base["annotations"]}
    return any(
        image["id"] in shown or not all(map(is_good, image.get("tags", ())))
        for image in base["images"]
        if image["split"] == "test"
    )


def merged(base: dict[str, Any], reviewed: Iterable[Reviewed]) -> dict[str, Any]:
    """Return a snapshot's document with the labels of the reviewed images.

    Args:
        base: The document of the snapshot.
        reviewed: The reviewed images. Of several reviews of an image the last one holds.

    Returns:
        The merged document, or `base` itself if the reviews change nothing.
    """
    images: dict[int, dict[str, Any]] = {image["id"]: image for image in base["images"]}
    objects, tested, has_bad = _objects_by_image(base), _labels_tested(base), _tests_defects(base)
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
        if known:
            other = [n for n in known if not _agrees(images[n], objects[n], review, reviewed_objects)]
        else:
            other = [next(free_ids)]
            images[other[0]] = review.entry(review.part(tested, has_bad=has_bad))
        changed = changed or bool(other)
        images |= {image_id: _without_labels(images[image_id]) | review.own_labels for image_id in other}
        objects |= dict.fromkeys(other, reviewed_objects)
    return _document(base, images, objects) if changed else base


def _objects_by_image(document: Mapping[str, Any]) -> dict[int, _Objects]:
    labels = {category["id"]: str(category["name"]) for category in document["categories"]}
    objects: dict[int, _Objects] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        objects[annotation["image_id"]].append((labels[annotation["category_id"]], annotation["bbox"]))
    return objects


def _agrees(image: Mapping[str, Any], known: _Objects, review: Reviewed, reviewed: _Objects) -> bool:
    """Return whether a review says of an image what the snapshot says: by its objects, and by its own labels.

    Who calls a part bad without a box does not deny the boxes that are known.
    """
    says_defective = not all(map(is_good, image.get("tags", ())))
    if review.has_unplaced_defect:
        return bool(known) or says_defective
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
