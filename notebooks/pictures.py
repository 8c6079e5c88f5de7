"""The notebook's pictures: steel surfaces drawn on this machine, and labelled pictures to look at."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from place import NotebookError, Place

PARTS = ("train", "validation", "test")
_CLASSES = "classes.txt"

Labelled = tuple[Image.Image, list[dict[str, Any]]]
"""A picture, and its boxes: `label`, and `box` as x1, y1, x2, y2 in pixels."""


def draw(place: Place, count: int, size: int = 200) -> Path:
    """Draw steel surfaces with defects, and return their folder in the VOC format, as data sets are downloaded.

    Args:
        place: Where the command `loupe` is, and the folder to draw into.
        count: The number of pictures.
        size: The edge of a picture in pixels.
    """
    folder = place.folder / "generated"
    if (folder / "Annotations").is_dir() and len(list((folder / "Annotations").iterdir())) == count:
        return folder
    place.folder.mkdir(parents=True, exist_ok=True)
    drawn, snapshot = place.folder / "drawn", place.folder / "drawn-snapshot"
    for left in (folder, drawn, snapshot):
        shutil.rmtree(left, ignore_errors=True)
    program = shutil.which("loupe")
    # The Python of the command has what draws; this one has the SDK.
    python = Path(program or "loupe").resolve().parent / "python"
    command = [python, "-m", "training.generate", "surfaces", "--out", drawn, "--seed", "7"]
    options = ["--count", str(count), "--size", str(size)]
    done = subprocess.run([*map(str, command), *options], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise NotebookError(
            done.stderr.strip() or "nothing was drawn", "Give a data set of your own: data_set = …"
        )
    place.loupe("import", drawn, "--by-hash", "--out", snapshot)
    place.loupe("export", "--format", "voc", snapshot, folder)
    # Data sets as downloaded leave the division to who learns from them.
    shutil.rmtree(folder / "ImageSets")
    for done_with in (drawn, snapshot):
        shutil.rmtree(done_with)
    return folder


def forget(place: Place) -> None:
    """Delete what an earlier run has made of its data set on this machine; it may have been another one."""
    for made in ("snapshot", "recordio", "jumpstart"):
        shutil.rmtree(place.folder / made, ignore_errors=True)
    place.folder.mkdir(parents=True, exist_ok=True)


def divide(folder: Path) -> None:
    """Give each part of an export a folder of its own, with the names of the classes, as a channel needs them.

    `loupe export --format recordio` writes train.rec, validation.rec and test.rec side by side. The folders of
    annotations.json are there, but the names of the classes are beside them.
    """
    for part in PARTS:
        own = folder / part
        for file in folder.glob(f"{part}.*"):
            own.mkdir(exist_ok=True)
            file.rename(own / file.name)
        if own.is_dir():
            shutil.copy(folder / _CLASSES, own / _CLASSES)


def read(folder: Path, count: int) -> list[Labelled]:
    """Return the first pictures of a folder with annotations.json, those with boxes before those without.

    Args:
        folder: A part that `loupe export --format jumpstart` wrote.
        count: At most so many.
    """
    document = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    names = (folder / _CLASSES).read_text(encoding="utf-8").split("\n")
    boxes: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        label = names[annotation["category_id"]]
        boxes[annotation["image_id"]].append({"label": label, "box": annotation["bbox"]})
    chosen = _varied(document["images"], boxes, count)
    return [(Image.open(folder / "images" / image["file_name"]), boxes[image["id"]]) for image in chosen]


def _varied(
    images: Sequence[dict[str, Any]], boxes: dict[int, list[dict[str, Any]]], count: int
) -> list[dict[str, Any]]:
    """Return images of as many classes as there are, one of each class after the other."""
    shown: dict[str, int] = {}
    chosen: list[dict[str, Any]] = []
    left = list(images)
    while left and len(chosen) < count:
        labels = {image["id"]: {box["label"] for box in boxes[image["id"]]} for image in left}
        # Without a box last; of the others, whose classes have been shown the least.
        best = min(
            left,
            key=lambda image: (not labels[image["id"]], sum(shown.get(x, 0) for x in labels[image["id"]])),
        )
        for label in labels[best["id"]]:
            shown[label] = shown.get(label, 0) + 1
        chosen.append(best)
        left.remove(best)
    return chosen
