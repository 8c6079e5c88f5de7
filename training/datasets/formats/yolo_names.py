"""The class names of a YOLO data set: `names` in a YAML file, or a list with a name in each line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import yaml

from training.datasets import bounds
from training.datasets.formats.contents import Contents, decode
from training.datasets.problems import Problems
from training.datasets.storage.files import Files

NAME_LISTS = ("classes.txt", "obj.names", "classes.names", "predefined_classes.txt", "_darknet.labels")
_YAML = (".yaml", ".yml")
_NAMES = re.compile(r"^[\"']?names[\"']?\s*:", re.MULTILINE)
_USUAL = ("data", "dataset")


@dataclass(frozen=True)
class Names:
    """The class names of some text files.

    Attributes:
        labels: The names by number.
        has_keypoints: Whether lines have key points after their box.
    """

    labels: tuple[str, ...]
    has_keypoints: bool = False

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each name; of one that is there twice, the first."""
        return {label: number for number, label in reversed(list(enumerate(self.labels)))}


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


class YamlError(ValueError):
    """A YAML file is not read; the message says why."""


class _Loader(yaml.SafeLoader):
    """Refuses what is nested deeply.

    PyYAML looks at all open brackets for each further one, and composes recursively: without a bound, time grows with
    the square of the depth, up to the limit of recursion that the process happens to have.
    """

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a value, and those in it."""
        if self._depth > bounds.YAML_DEPTH:
            raise YamlError(f"has values nested more than {bounds.YAML_DEPTH} deep")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def document(files: Files, name: str) -> Any:
    """Return the document of a YAML file; None if it is not one."""
    try:
        return _document(files, name)
    except YamlError:
        return None


def _document(files: Files, name: str) -> Any:
    """Return the document of a YAML file. Raises YamlError."""
    data = files.peek(name, bounds.YAML_BYTES + 1)
    if len(data) > bounds.YAML_BYTES:
        raise YamlError(f"has more than {bounds.YAML_BYTES >> 20} MiB, too much for a list of names")
    try:
        return _resolved(_Loader(decode(data)))
    # PyYAML's constructors of dates and numbers raise what they come upon.
    except (yaml.YAMLError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise YamlError(f"is not readable YAML: {error}") from error
    except YamlError:
        raise
    except ValueError as error:
        raise YamlError(f"is not readable YAML: {error}") from error


def _resolved(loader: _Loader) -> Any:
    """Return the document of a loader. Raises YamlError if its aliases stand for too much."""
    try:
        node = loader.get_single_node()
        # An alias stands for a value that is elsewhere, with its own aliases: nine lines can mean a billion values.
        if node is not None and _values(node, {}) > bounds.YAML_VALUES:
            raise YamlError(f"stands for more than {bounds.YAML_VALUES:,} values")
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node stands for. Raises YamlError if it contains itself."""
    if id(node) in known:
        if not known[id(node)]:
            raise YamlError("has a value that contains itself")
        return known[id(node)]
    known[id(node)] = 0
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        children = [child for pair in node.value for child in pair]
    known[id(node)] = 1 + sum(_values(child, known) for child in children)
    return known[id(node)]


def _has_names(files: Files, name: str) -> bool:
    try:
        found = _document(files, name)
    except YamlError:
        # Whoever reads it says what is wrong. Without its names, classes would be numbers.
        return _NAMES.search(decode(files.peek(name, bounds.YAML_BYTES))) is not None
    return isinstance(found, dict) and "names" in found


def _names(files: Files, file: str, problems: Problems) -> Names:
    if not file.lower().endswith(_YAML):
        lines = decode(files.read(file)).splitlines()
        # An empty line at the end is no class; one in between would move all that follow.
        return Names(tuple(line.strip() for line in lines if line.strip()))
    try:
        found = _document(files, file)
    except YamlError as error:
        problems.report("bad-annotation", file, str(error))
        return Names(())
    names = found.get("names") if isinstance(found, dict) else None
    if isinstance(names, dict):
        try:
            numbered = {int(key): value for key, value in names.items()}
        except (TypeError, ValueError, OverflowError):
            numbered = {}
        names = [numbered[number] for number in range(len(names)) if number in numbered]
        names = names if len(names) == len(numbered) > 0 else None
    if not isinstance(names, list) or any(isinstance(name, list | dict) for name in names):
        problems.report("no-categories", file, "has no `names`: a list, or numbers from 0 with names")
        return Names(())
    return Names(tuple(str(name) for name in names), isinstance(found, dict) and "kpt_shape" in found)
