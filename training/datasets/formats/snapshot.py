"""Snapshots of Loupe, read: COCO documents that give the URI, the SHA-256 and the part of each image.

`training.datasets.snapshots` writes them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from contract import snapshots
from training.datasets.dataset import Mask, Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim
from training.datasets.formats.contents import Contents
from training.datasets.problems import DatasetError, Problems
from training.datasets.storage.files import Files
from training.datasets.storage.uris import ImagesByUri

_BEGINNING = '{"loupe_snapshot":'


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the snapshot's name.

    Raises:
        DatasetError: There are several snapshots.
    """
    # A snapshot begins with it. One that is cut short is no JSON, and still a snapshot.
    names = [name for name in contents.looked_at_jsons if contents.text(name).lstrip().startswith(_BEGINNING)]
    if len(names) > 1:
        raise DatasetError(names[0], f"is one of {len(names)} snapshots here: name the one to read")
    return Claim(tuple(names)) if names else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of a snapshot.

    Raises:
        DatasetError: It is not a snapshot of this version, or its content does not match its id.
    """
    file = claim.files[0]
    try:
        document = json.loads(files.read(file))
        _check_identity(document, file)
        images = _named_images(document)
        objects = _objects_by_image(document)
        labels = [str(category["name"]) for category in document["categories"]]
        annotated = [_annotated_image(name, image, file, objects[image["id"]]) for name, image in images]
        uris = {name: str(image["uri"]) for name, image in images}
        uris |= {mask.name: mask.name for image in annotated for mask in image.masks}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(file, f"is not a snapshot: {type(error).__name__} {error}") from error
    return Annotations(
        ImagesByUri(uris), iter(annotated), len(annotated), labels, snapshot_id=str(document["id"])
    )


def _check_identity(document: Any, file: str) -> None:
    version = document["loupe_snapshot"]
    if version != snapshots.VERSION:
        raise DatasetError(file, f"is a snapshot of version {version}, not {snapshots.VERSION}")
    identity = snapshots.identity(document)
    if identity != document["id"]:
        raise DatasetError(
            file, f"was altered: the id of its content is {identity}, but it states {document['id']}"
        )


def _named_images(document: Any) -> list[tuple[str, Any]]:
    """Return each image with its name: its file name, or its URI if another image has that file name already."""
    images: list[tuple[str, Any]] = []
    used: set[str] = set()
    for image in document["images"]:
        name = str(image["uri"] if image["file_name"] in used else image["file_name"])
        used.add(name)
        images.append((name, image))
    return images


def _objects_by_image(document: Any) -> dict[int, list[Object]]:
    labels = {category["id"]: str(category["name"]) for category in document["categories"]}
    objects: dict[int, list[Object]] = defaultdict(list)
    for annotation in document["annotations"]:
        x, y, w, h = annotation["bbox"]
        label = labels[annotation["category_id"]]
        objects[annotation["image_id"]].append(Object(label, (x, y, x + w, y + h)))
    return objects


def _annotated_image(name: str, image: Any, file: str, objects: list[Object]) -> AnnotatedImage:
    return AnnotatedImage(
        name,
        file,
        tuple(objects),
        size=(int(image["width"]), int(image["height"])),
        tags=tuple(image.get("tags", ())),
        part=image["split"],
        sha256=str(image["sha256"]),
        masks=tuple(_mask(mask) for mask in image.get("masks", ())),
    )


def _mask(entry: Any) -> Mask:
    """Return a mask. Its URI is its name."""
    colours = entry.get("colours", {})
    named = tuple((int(code.removeprefix("#"), 16), str(label)) for code, label in colours.items())
    return Mask(str(entry["uri"]), str(entry["sha256"]), named)
