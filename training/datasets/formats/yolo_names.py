"""The class names of a YOLO data set: `names` in a YAML file, or a list with a name in each line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml

from training.datasets.formats.contents import Contents, decode
from training.datasets.problems import Problems
from training.datasets.storage.files import Files

NAME_LISTS = ("classes.txt", "obj.names", "classes.names", "predefined_classes.txt", "_darknet.labels")
_YAML = (".yaml", ".yml")
_USUAL = ("data", "dataset")


@dataclass(frozen=True, slots=True)
class Names:
    """The class names of some text files.

    Attributes:
        labels: The names by number.
        has_keypoints: Whether lines have key points after their box.
    """

    labels: tuple[str, ...]
    has_keypoints: bool = False


def name_files(contents: Contents) -> list[str]:
    """Return the files with class names; of several YAML files in a folder, the one with a usual name."""
    yaml_files = [name for name in contents.with_suffix(*_YAML) if _has_names(contents.files, name)]
    by_folder: dict[str, str] = {}
    for name in sorted(yaml_files, key=lambda name: PurePosixPath(name).stem not in _USUAL):
        by_folder.setdefault(PurePosixPath(name).parent.as_posix(), name)
    lists = [name for name in contents.names if PurePosixPath(name).name.lower() in NAME_LISTS]
    lists = [name for name in lists if PurePosixPath(name).parent.as_posix() not in by_folder]
    if contents.files.chosen is not None and not (yaml_files or lists):
        return contents.with_suffix(*_YAML)
    return [*by_folder.values(), *lists]


def names_by_folder(files: Files, name_files: tuple[str, ...], problems: Problems) -> dict[str, Names]:
    """Return the class names by the folder of their file; "" is the root."""
    names: dict[str, Names] = {}
    for file in name_files:
        folder = PurePosixPath(file).parent.as_posix()
        names["" if folder == "." else folder] = _names(files, file, problems)
    return names


def document(files: Files, name: str) -> Any:
    """Return the document of a YAML file; None if it is not one."""
    try:
        return yaml.safe_load(decode(files.read(name)))
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _has_names(files: Files, name: str) -> bool:
    found = document(files, name)
    return isinstance(found, dict) and "names" in found


def _names(files: Files, file: str, problems: Problems) -> Names:
    if not file.lower().endswith(_YAML):
        lines = decode(files.read(file)).splitlines()
        # An empty line at the end is no class; one in between would move all that follow.
        return Names(tuple(line.strip() for line in lines if line.strip()))
    found = document(files, file)
    names = found.get("names") if isinstance(found, dict) else None
    if isinstance(names, dict):
        try:
            numbered = {int(key): value for key, value in names.items()}
        except (TypeError, ValueError):
            numbered = {}
        names = [numbered[number] for number in range(len(names)) if number in numbered]
        names = names if len(names) == len(numbered) > 0 else None
    if not isinstance(names, list):
        problems.report("no-categories", file, "has no `names`: a list, or numbers from 0 with names")
        return Names(())
    return Names(tuple(str(name) for name in names), "kpt_shape" in found)
