"""Snapshots: a data set written down once and for all, as a COCO document that copies no image.

The id is the SHA-256 of the document's canonical JSON, so a snapshot cannot change under its name. Each image
has its SHA-256, its size, the URI where it lies, and its part. The part comes from the image's hash alone,
except that the test images of a previous snapshot stay the test set, and that an image which shows the same as
one in a part further on (train, validation, test) is left out, so that no picture is on both sides.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from contract import snapshots
from contract.snapshots import PARTS, Part, learning_part_of
from training.datasets.dataset import Dataset, Object, Sample
from training.datasets.duplicates import Duplicate
from training.datasets.entries import Entry, Source
from training.datasets.files import Files
from training.datasets.formats import coco
from training.datasets.located import Located
from training.datasets.problems import DatasetError, Problems

_MARK = b'{"loupe_snapshot":'


@dataclass(frozen=True)
class LeftOut:
    """A sample that is not in the snapshot, and the sample that shows the same in a part further on."""

    sample: Sample
    instead: Sample
    how: str


@dataclass(frozen=True)
class Snapshot:
    """A snapshot's document, and its samples with their parts as they are in it."""

    document: dict[str, Any]
    samples: tuple[Sample, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @property
    def file_name(self) -> str:
        return snapshots.file_name(self.id)

    def content(self) -> bytes:
        """The file: a line an image and an annotation, for people who compare two."""
        head = {name: value for name, value in self.document.items() if not isinstance(value, list)}
        text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))[:-1]
        for name, value in self.document.items():
            if isinstance(value, list):
                rows = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in value)
                text += f',\n"{name}":[\n{rows}\n]' if rows else f',\n"{name}":[]'
        return (text + "}\n").encode()


def with_frozen_test(dataset: Dataset, previous: Dataset | None) -> tuple[Dataset, list[Sample]]:
    """The data set with every sample in its part, and the test samples taken over from `previous`.

    With a previous snapshot exactly its test images are the test part: those that the new source lacks are
    taken over with their labels, and what the hash would add to it goes to train or validation.
    """
    if previous is None:
        samples = (replace(sample, part=sample.belongs_to()) for sample in dataset.samples)
        return replace(dataset, samples=tuple(samples)), []
    frozen = {sample.sha256: sample for sample in previous.part("test").samples}
    parts: dict[str, Part] = {}
    for sample in dataset.samples:
        parts[sample.sha256] = "test" if sample.sha256 in frozen else learning_part_of(sample.sha256)
    uris = {
        previous.files.uri(sample.name): sample for digest, sample in frozen.items() if digest not in parts
    }
    taken = [replace(sample, name=uri, part="test") for uri, sample in uris.items()]
    here = [replace(sample, part=parts[sample.sha256]) for sample in dataset.samples]
    used = (each.label for sample in taken for each in sample.objects)
    labels = (*dataset.labels, *sorted(set(used) - set(dataset.labels)))
    files = Located({uri: uri for uri in uris}, dataset.files) if taken else dataset.files
    return replace(dataset, files=files, labels=labels, samples=(*here, *taken)), taken


def leave_out(samples: Sequence[Sample], duplicates: Sequence[Duplicate]) -> list[LeftOut]:
    """The samples that show the same as one that stays in a part further on; the test part loses none."""
    twins: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for each in duplicates:
        twins[each.first].append((each.second, each.how))
        twins[each.second].append((each.first, each.how))
    left: dict[int, LeftOut] = {}
    for part in reversed(PARTS):
        for index in sorted(twins):
            if samples[index].belongs_to() != part:
                continue
            for other, how in twins[index]:
                further = PARTS.index(samples[other].belongs_to()) > PARTS.index(part)
                if further and other not in left:
                    left[index] = LeftOut(samples[index], samples[other], how)
                    break
    return list(left.values())


def take(
    dataset: Dataset,
    duplicates: Sequence[Duplicate],
    *,
    format: str,
    previous: Dataset | None = None,
    uris: dict[str, str] | None = None,
) -> Snapshot:
    """The snapshot of a data set whose samples are in their parts (`with_frozen_test`).

    duplicates: of `dataset`, by `duplicates.find`.
    uris: SHA-256 → where a copy of the image lies, for those that were copied.
    """
    left = leave_out(dataset.samples, duplicates)
    gone = {id(each.sample) for each in left}
    kept = sorted(
        (sample for sample in dataset.samples if id(sample) not in gone), key=lambda s: (s.sha256, s.name)
    )
    content: dict[str, Any] = {
        "loupe_snapshot": snapshots.VERSION,
        "info": {
            "format": format,
            "previous": previous.snapshot_id if previous else None,
            "split": "by image hash, 70/10/20" if previous is None else "test part of the previous snapshot",
        },
        "categories": coco.categories_of(dataset.labels),
        "images": [_image(number, s, dataset.files, uris or {}) for number, s in enumerate(kept, start=1)],
        "annotations": coco.annotations_of((sample.objects for sample in kept), dataset.labels),
        "left_out": [
            {
                "file_name": each.sample.name,
                "sha256": each.sample.sha256,
                "split": each.sample.belongs_to(),
                "reason": f"same {each.how} as an image in {each.instead.belongs_to()}"
                if each.how != "near"
                else f"nearly the same picture as an image in {each.instead.belongs_to()}",
                "instead": each.instead.name,
            }
            for each in sorted(left, key=lambda each: (each.sample.sha256, each.sample.name))
        ],
    }
    head = {"loupe_snapshot": snapshots.VERSION, "id": snapshots.identity(content)}
    return Snapshot(head | content, tuple(kept), tuple(left))


def _image(number: int, sample: Sample, files: Files, uris: dict[str, str]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": number,
        "file_name": sample.name,
        "uri": uris.get(sample.sha256) or files.uri(sample.name),
        "sha256": sample.sha256,
        "width": sample.width,
        "height": sample.height,
        "split": sample.belongs_to(),
    }
    return entry | ({"tags": list(sample.tags)} if sample.tags else {})


def find(files: Files) -> str | None:
    """The snapshot's name: the file chosen, or the only JSON file there is, if it begins as one."""
    name = coco.find(files)
    if name is None:
        return None
    with files.open(name) as stream:
        return name if stream.read(len(_MARK)) == _MARK else None


def read(files: Files, name: str, problems: Problems) -> Source:
    """The samples of a snapshot. Raises DatasetError if it is not what its id says."""
    try:
        document = json.loads(files.read(name))
        if document["loupe_snapshot"] != snapshots.VERSION:
            raise DatasetError(
                name, f"is a snapshot of version {document['loupe_snapshot']}, not {snapshots.VERSION}"
            )
        identity = snapshots.identity(document)
        if identity != document["id"]:
            raise DatasetError(
                name, f"was altered: its content has the id {identity}, it says {document['id']}"
            )
        labels = {category["id"]: str(category["name"]) for category in document["categories"]}
        objects: dict[int, list[Object]] = defaultdict(list)
        for each in document["annotations"]:
            x, y, w, h = each["bbox"]
            objects[each["image_id"]].append(Object(labels[each["category_id"]], (x, y, x + w, y + h)))
        entries: list[Entry] = []
        uris: dict[str, str] = {}
        for image in document["images"]:
            # Two sources may have used one name; a URI is never shared.
            key = str(image["file_name"] if image["file_name"] not in uris else image["uri"])
            uris[key] = str(image["uri"])
            entries.append(
                Entry(
                    key,
                    name,
                    tuple(objects[image["id"]]),
                    size=(int(image["width"]), int(image["height"])),
                    tags=tuple(image.get("tags", ())),
                    part=image["split"],
                    sha256=str(image["sha256"]),
                )
            )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(name, f"is not a snapshot: {type(error).__name__} {error}") from error
    return Source(
        Located(uris), iter(entries), len(entries), list(labels.values()), snapshot_id=str(document["id"])
    )
