"""Which images belong to a YOLO data set: those that it lists, and those that have a text file.

Training leaves plots of its runs among the images, and a plot without labels must not become a good product.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from contract.snapshots import Part
from training.datasets.formats.annotations import image_of
from training.datasets.formats.contents import numbered_lines, text_lines
from training.datasets.formats.parts import higher, part_of_folders, part_of_word
from training.datasets.formats.yolo_names import document
from training.datasets.problems import Problems
from training.datasets.storage.files import Files
from training.datasets.storage.names import Names, fold, parts_of

_SETS = ("train", "val", "valid", "validation", "test")
_DARKNET = "obj.data"
_IMAGES, _RUNS = "images", "runs"

Parts = dict[str, Part | None]


def members(
    files: Files, name_files: tuple[str, ...], paired: dict[str, str | None], problems: Problems
) -> Parts:
    """Return the images of the data set with their parts.

    Args:
        files: The files of the source.
        name_files: The files with class names; YAML files list the images, too.
        paired: The text file of each image.
        problems: Collects what is wrong.
    """
    listed: Parts = {}
    for file in (*name_files, *(name for name in files.names if PurePosixPath(name).name == _DARKNET)):
        for part, entry in _entries(files, file):
            for image in _listed_images(files, file, entry, problems):
                listed[image] = higher(listed.get(image), part)
    images = listed or dict.fromkeys(_likely(paired))
    found: Parts = {}
    for image, text in paired.items():
        if image in images or text is not None:
            found[image] = images.get(image) or part_of_folders(image)
    return found


def _likely(paired: dict[str, str | None]) -> list[str]:
    """Return the images in folders named `images`; without labels in any of them, all but those of runs."""
    inside = [image for image in paired if _IMAGES in fold(PurePosixPath(image).parts[:-1])]
    if any(paired[image] for image in inside):
        return inside
    return [image for image in paired if _RUNS not in fold(PurePosixPath(image).parts[:-1])]


def _entries(files: Files, file: str) -> Iterator[tuple[Part | None, str]]:
    """Yield the part and the path of each list or folder of images that a data set's file names."""
    if PurePosixPath(file).name == _DARKNET:
        for line in text_lines(files, file):
            key, _, value = (text.strip() for text in line.partition("="))
            if key in _SETS and value:
                yield part_of_word(key), value
        return
    found: Any = document(files, file) if file.lower().endswith((".yaml", ".yml")) else None
    if not isinstance(found, dict):
        return
    for key in _SETS:
        listed: Any = found.get(key)
        for path in listed if isinstance(listed, list) else [listed]:
            if isinstance(path, str) and path.strip():
                yield part_of_word(key), path.strip()


def _listed_images(files: Files, file: str, entry: str, problems: Problems) -> list[str]:
    """Return the images of a folder or of a list of images, wherever the path was on another machine."""
    if entry.lower().endswith(".txt"):
        lists = Names(name for name in files.names if name.lower().endswith(".txt")).find(entry, file)
        return [image for name in lists[:1] for image in _images_in_list(files, name, problems)]
    here = PurePosixPath(file).parent.parts
    wanted = parts_of(entry)
    by_folders = {name: fold(PurePosixPath(name).parts[:-1]) for name in files.images}
    for start in range(len(wanted) + 1):
        # The longest end of the path that is a folder beside the file, then anywhere.
        for folder in (fold((*here, *wanted[start:])), fold(wanted[start:])):
            if start == len(wanted) > 0 or (not folder and wanted):
                continue
            found = [name for name, folders in by_folders.items() if folders[: len(folder)] == folder]
            if found:
                return found
    return []


def _images_in_list(files: Files, file: str, problems: Problems) -> Iterator[str]:
    for place, line in numbered_lines(files, file):
        if image := image_of(files, line.strip(), file, problems, place):
            yield image
