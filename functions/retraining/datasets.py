"""The data sets for people: their snapshots, parts, labels, and what an import has left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

from contract.keys import SNAPSHOTS, dataset_of
from contract.snapshots import PARTS
from retraining import snapshots
from retraining.documents import Documents
from retraining.snapshots import Snapshot

_SHOWN_LEFT_OUT = 200


def names(documents: Documents) -> list[dict[str, Any]]:
    """Return the data sets: name, number of snapshots, when the newest was stored."""
    stored: dict[str, list[datetime]] = defaultdict(list)
    for item in documents.listing(SNAPSHOTS):
        if name := dataset_of(item["Key"]):
            stored[name].append(item["LastModified"])
    return [
        {"name": name, "snapshots": len(times), "updated_at": max(times)}
        for name, times in sorted(stored.items())
    ]


def describe(documents: Documents, name: str, limit: int = 20) -> list[dict[str, Any]]:
    """Return the newest snapshots of a data set, newest first.

    Args:
        documents: The artefacts bucket.
        name: The data set's name.
        limit: The most that are returned.

    Raises:
        LabelledDataError: A snapshot is damaged.
    """
    stored = [item for item in documents.listing(SNAPSHOTS) if dataset_of(item["Key"]) == name]
    newest = sorted(stored, key=lambda item: (item["LastModified"], item["Key"]), reverse=True)[:limit]
    return [
        {**summary(snapshots.read(documents, item["Key"])), "stored_at": item["LastModified"]}
        for item in newest
    ]


def summary(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot for people.

    Returns:
        `id`, `format`, `previous`, `images`, `parts` (images by part), `labels` (for each class its objects, and the
        images of each part that show it), `good` (images without an object), `left_out` and `left_out_count`.
    """
    document = snapshot.document
    labels = {category["id"]: str(category["name"]) for category in document["categories"]}
    parts = {image["id"]: str(image["split"]) for image in document["images"]}
    objects: Counter[str] = Counter()
    shown_in: dict[str, dict[str, set[int]]] = {
        label: {part: set() for part in PARTS} for label in labels.values()
    }
    for annotation in document["annotations"]:
        label, image = labels[annotation["category_id"]], annotation["image_id"]
        objects[label] += 1
        shown_in[label][parts[image]].add(image)
    with_objects = {annotation["image_id"] for annotation in document["annotations"]}
    left_out = document.get("left_out") or []
    return {
        "id": snapshot.id,
        "format": document["info"].get("format"),
        "previous": document["info"].get("previous"),
        "images": len(parts),
        "parts": {part: snapshot.parts[part] for part in PARTS},
        "labels": {
            label: {
                "objects": objects[label],
                "images": {part: len(images) for part, images in by_part.items()},
            }
            for label, by_part in shown_in.items()
        },
        "good": len(parts) - len(with_objects),
        "left_out": left_out[:_SHOWN_LEFT_OUT],
        "left_out_count": len(left_out),
    }
