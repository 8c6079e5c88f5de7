"""Snapshots as `training` takes them, without image files."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retraining.reviewed import Reviewed
from training.datasets import Dataset, Object, Sample, open_dataset
from training.datasets.snapshots.snapshot import take
from training.datasets.snapshots.split import divide
from training.datasets.storage.uris import ImagesByUri

LABELS = ("dent", "scratch")
BOX = (10.0, 20.0, 40.0, 60.0)


def sha(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def sample(name: str, *labels: str, sha256: str = "") -> Sample:
    objects = tuple(Object(label, BOX) for label in labels)
    return Sample(name, sha256 or sha(name), 200, 100, objects)


def taken(samples: Sequence[Sample], labels: Sequence[str] = LABELS) -> dict[str, Any]:
    """Return the document of a snapshot of these samples."""
    uris = {item.name: f"s3://artefacts/labelled/images/{item.name}" for item in samples}
    dataset, _ = divide(Dataset(ImagesByUri(uris), tuple(labels), tuple(samples)))
    document: dict[str, Any] = json.loads(take(dataset, [], format="coco").content())
    return document


def snapshot(images: int = 60) -> dict[str, Any]:
    """Return a snapshot. Every third image is good, the others show a dent and a scratch."""
    return taken([sample(f"{n}.png", *(LABELS if n % 3 else ())) for n in range(images)])


def reviewed(sha256: str, *objects: tuple[str, tuple[float, float, float, float]]) -> Reviewed:
    return Reviewed.model_validate(label(sha256, *objects))


def reviewed_as_bad(sha256: str) -> Reviewed:
    """Return a review of a bad part whose defect nobody has framed."""
    return Reviewed.model_validate({**label(sha256), "tags": ["anomaly"]})


def label(sha256: str, *objects: tuple[str, tuple[float, float, float, float]]) -> dict[str, Any]:
    """Return a document labels/<sha256>.json."""
    return {
        "image": {"bucket": "images", "key": f"incoming/line-1/{sha256[:8]}.jpg", "version_id": "v1"},
        "sha256": sha256,
        "width": 200,
        "height": 100,
        "objects": [{"label": name, "box": list(box)} for name, box in objects],
        "by": "arn:aws:iam::123456789012:user/anna",
        "at": "2026-03-02T08:00:00Z",
    }


def as_training_reads(document: dict[str, Any], folder: Path) -> Dataset:
    """Open a snapshot as training does.

    Raises:
        DatasetError: Training refuses it.
    """
    path = folder / f"{document['id'][:16]}.json"
    path.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")))
    return open_dataset(path)


def of_part(document: dict[str, Any], part: str) -> bytes:
    """Return the images of a part with their objects as bytes, without the ids."""
    names = {category["id"]: category["name"] for category in document["categories"]}
    rows = []
    for image in document["images"]:
        if image["split"] == part:
            objects = [
                (names[annotation["category_id"]], annotation["bbox"], annotation["area"])
                for annotation in document["annotations"]
                if annotation["image_id"] == image["id"]
            ]
            rows.append([{name: value for name, value in image.items() if name != "id"}, objects])
    return json.dumps(rows, sort_keys=True).encode()
