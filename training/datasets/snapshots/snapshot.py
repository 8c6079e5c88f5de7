"""Takes a snapshot: a data set written once, as a COCO document that copies no image.

The id is the SHA-256 of the document's canonical JSON, so the content of a snapshot cannot change under its name. Each
image has its SHA-256, its size, its URI and its part, and for each of its masks the SHA-256, the URI and the colours.
`training.datasets.formats.snapshot` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract import snapshots
from contract.keys import DEFAULT_DATASET
from training.datasets.checks.duplicates import Duplicate, Match
from training.datasets.dataset import Dataset, Mask, Sample
from training.datasets.formats.coco import annotations_of, categories_of
from training.datasets.snapshots.split import LeftOut, leave_out
from training.datasets.storage.files import Files

_HOW: dict[Match, str] = {
    "near": "nearly the same picture as",
    "turned": "mirrored or turned copy of",
    "original": "made of the same original as",
}


@dataclass(frozen=True)
class Snapshot:
    """A snapshot before it is written.

    Attributes:
        document: The JSON document.
        samples: The samples in it, in its order, each with its part.
        left_out: The samples that are not in it.
    """

    document: dict[str, Any]
    samples: tuple[Sample, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @property
    def dataset(self) -> str:
        """The name of the data set that it belongs to."""
        return str(self.document["info"]["dataset"])

    @property
    def file_name(self) -> str:
        return snapshots.file_name(self.id)

    def content(self) -> bytes:
        """Return the bytes of the file: one line for each image and annotation, so that people can compare two."""
        head = {name: value for name, value in self.document.items() if not isinstance(value, list)}
        text = _compact(head)[:-1]
        for name, value in self.document.items():
            if isinstance(value, list):
                rows = ",\n".join(_compact(row) for row in value)
                text += f',\n"{name}":[\n{rows}\n]' if rows else f',\n"{name}":[]'
        return (text + "}\n").encode()


def take(
    dataset: Dataset,
    duplicates: Sequence[Duplicate],
    *,
    format: str,
    name: str = DEFAULT_DATASET,
    previous: Dataset | None = None,
    has_own_parts: bool = False,
    uris: Mapping[str, str] | None = None,
) -> Snapshot:
    """Take the snapshot of a data set whose samples are in their parts (`split.divide`).

    Args:
        dataset: What to freeze.
        duplicates: The duplicates in `dataset`, from `find_duplicates`.
        format: The format of the source, for the record.
        name: The name of the data set.
        previous: The snapshot whose test images are the test part.
        has_own_parts: Whether the parts are those of the source.
        uris: For images and masks that were copied: the URI of the copy, by SHA-256.
    """
    left_out = leave_out(dataset.samples, duplicates)
    kept = _kept_samples(dataset, left_out)
    content = {
        "loupe_snapshot": snapshots.VERSION,
        "info": _info(format, name, previous, has_own_parts),
        "categories": categories_of(dataset.labels),
        "images": [_image(n, sample, dataset.files, uris or {}) for n, sample in enumerate(kept, start=1)],
        "annotations": annotations_of((sample.objects for sample in kept), dataset.labels),
        "left_out": _left_out(left_out),
    }
    head = {"loupe_snapshot": snapshots.VERSION, "id": snapshots.identity(content)}
    return Snapshot(head | content, tuple(kept), tuple(left_out))


def _kept_samples(dataset: Dataset, left_out: Sequence[LeftOut]) -> list[Sample]:
    """Return the samples of the snapshot, sorted by hash: the id does not depend on the order of the source."""
    # By object identity: a copy of the same image with the same name is another sample.
    dropped = {id(item.sample) for item in left_out}
    kept = (sample for sample in dataset.samples if id(sample) not in dropped)
    return sorted(kept, key=lambda sample: (sample.sha256, sample.name))


def is_unchanged(snapshot: Snapshot, previous: Dataset) -> bool:
    """Return whether a snapshot has the classes, images, objects and parts of the previous one."""
    uris = [str(image["uri"]) for image in snapshot.document["images"]]
    labels = [category["name"] for category in snapshot.document["categories"]]
    return labels == list(previous.labels) and sorted(map(_content, snapshot.samples, uris)) == sorted(
        _content(sample, previous.files.uri(sample.name)) for sample in previous.samples
    )


def _content(sample: Sample, uri: str) -> tuple[Any, ...]:
    """Return what a model can learn from a sample. COCO's boxes have a width, whose rounding must not count."""
    objects = sorted((obj.label, *(round(edge, 3) for edge in obj.box)) for obj in sample.objects)
    masks = [(mask.sha256, mask.colours) for mask in sample.masks]
    return uri, sample.sha256, sample.belongs_to(), sample.tags, objects, masks


def _info(format: str, name: str, previous: Dataset | None, has_own_parts: bool) -> dict[str, Any]:
    split = "parts of the source" if has_own_parts else "by image hash, 70/10/20"
    return {
        "dataset": name,
        "format": format,
        "previous": previous.snapshot_id if previous else None,
        "split": split if previous is None else "test part of the previous snapshot",
    }


def _image(number: int, sample: Sample, files: Files, uris: Mapping[str, str]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": number,
        "file_name": sample.name,
        "uri": uris.get(sample.sha256) or files.uri(sample.name),
        "sha256": sample.sha256,
        "width": sample.width,
        "height": sample.height,
        "split": sample.belongs_to(),
    }
    if sample.tags:
        entry["tags"] = list(sample.tags)
    if sample.masks:
        entry["masks"] = [_mask(mask, files, uris) for mask in sample.masks]
    return entry


def _mask(mask: Mask, files: Files, uris: Mapping[str, str]) -> dict[str, Any]:
    entry: dict[str, Any] = {"uri": uris.get(mask.sha256) or files.uri(mask.name), "sha256": mask.sha256}
    colours = {f"#{code:06x}": label for code, label in mask.colours}
    return entry | ({"colours": colours} if colours else {})


def _left_out(left_out: Sequence[LeftOut]) -> list[dict[str, Any]]:
    return [
        {
            "file_name": item.sample.name,
            "sha256": item.sample.sha256,
            "split": item.sample.belongs_to(),
            "reason": _reason(item),
            "instead": item.instead.name,
        }
        for item in sorted(left_out, key=lambda item: (item.sample.sha256, item.sample.name))
    ]


def _reason(item: LeftOut) -> str:
    part = item.instead.belongs_to()
    if item.match in ("bytes", "pixels"):
        return f"same {item.match} as an image in {part}"
    return f"{_HOW[item.match]} an image in {part}"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
