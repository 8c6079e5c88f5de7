"""COCO: one JSON file with images, annotations (bbox = x, y, width, height) and categories."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import PurePosixPath
from typing import Any

from training.datasets import Dataset, Object, Sample, clip, inspect
from training.datasets.files import DatasetError, Files

_USUAL_NAMES = ("annotations.json", "_annotations.coco.json")


def find(files: Files) -> str | None:
    """The name of the COCO file: a usual name, or the only JSON file there is."""
    candidates = [name for name in files.names if name.lower().endswith(".json")]
    usual = [name for name in candidates if PurePosixPath(name).name in _USUAL_NAMES]
    if len(usual) == 1:
        return usual[0]
    return candidates[0] if len(candidates) == 1 else None


def read(files: Files, annotations: str) -> Dataset:
    """Reads the COCO file `annotations` of `files`. Raises DatasetError."""
    try:
        document = json.loads(files.read(annotations))
        labels = {
            int(c["id"]): str(c["name"]) for c in sorted(document["categories"], key=lambda c: int(c["id"]))
        }
        images = {int(i["id"]): str(i["file_name"]) for i in document["images"]}
        wanted: dict[int, list[Any]] = defaultdict(list)
        for annotation in document["annotations"]:
            if not annotation.get("iscrowd"):
                wanted[int(annotation["image_id"])].append(annotation)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(annotations, f"is not a COCO file: {type(error).__name__} {error}") from error
    if stray := wanted.keys() - images.keys():
        raise DatasetError(
            annotations, f"has annotations of images that it does not list: {sorted(stray)[:5]}"
        )
    known = set(files.names)
    samples: list[Sample] = []
    dropped = 0
    for number, file_name in images.items():
        name = (PurePosixPath(annotations).parent / file_name).as_posix()
        if name not in known:
            raise DatasetError(name, f"is named by {annotations} but not there")

        def objects(
            width: int, height: int, number: int = number, name: str = name
        ) -> tuple[tuple[Object, ...], int]:
            kept: list[Object] = []
            for annotation in wanted[number]:
                try:
                    x, y, w, h = (float(value) for value in annotation["bbox"])
                    label = labels[int(annotation["category_id"])]
                except (ValueError, KeyError, TypeError) as error:
                    raise DatasetError(
                        name, f"has a bad annotation in {annotations}: {annotation}"
                    ) from error
                if box := clip((x, y, x + w, y + h), width, height):
                    kept.append(Object(label, box))
            return tuple(kept), len(wanted[number]) - len(kept)

        sample, lost = inspect(files, name, objects)
        samples.append(sample)
        dropped += lost
    return Dataset(files, tuple(labels.values()), tuple(samples), dropped)
