"""The report of an import: one JSON document for programs, a table for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from contract.snapshots import PARTS
from training.datasets.checks.audit import objects_per_class
from training.datasets.checks.repair import Repair
from training.datasets.dataset import Dataset
from training.datasets.problems import KINDS, Problem
from training.datasets.snapshots.split import LeftOut

T = TypeVar("T", Problem, Repair)

_COLUMNS = ("all", *PARTS)
_ITEMS_SHOWN = 3
_LEFT_OUT_SHOWN = 5
_WIDTH = 110


@dataclass(frozen=True)
class Report:
    """The outcome of an import or a check.

    Attributes:
        format: The format of the source.
        images: The number of images in the source.
        dataset: The content of the snapshot, written or not; without what was left out.
        problems: What is wrong with the source.
        repairs: What was repaired.
        left_out: The images that show the same as an image of a higher part.
        exported: The files that an export wrote.
        snapshot: The snapshot's id; None if none was written.
        written_to: The snapshot's path or URI; None if none was written.
    """

    format: str
    images: int
    dataset: Dataset
    problems: Sequence[Problem]
    repairs: Sequence[Repair]
    left_out: Sequence[LeftOut]
    exported: Sequence[str] = ()
    snapshot: str | None = None
    written_to: str | None = None

    @property
    def errors(self) -> list[Problem]:
        """The problems that stop the import of the data set."""
        return [problem for problem in self.problems if problem.severity == "error"]

    def document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "format": self.format,
            "images": self.images,
            "labels": list(self.dataset.labels),
            "counts": objects_per_class(self.dataset),
            "parts": {name: len(self.dataset.part(name).samples) for name in PARTS},
            "problems": [
                {
                    "kind": kind,
                    "severity": KINDS[kind].severity,
                    "count": len(problems),
                    "files": _files(problems),
                    "first": str(problems[0].error()),
                    "advice": KINDS[kind].advice,
                }
                for kind, problems in _by_kind(self.problems).items()
            ],
            "repairs": [
                {"kind": kind, "count": len(repairs), "files": _files(repairs)}
                for kind, repairs in _by_kind(self.repairs).items()
            ],
            "left_out": [
                {"file": item.sample.name, "instead": item.instead.name, "how": item.match}
                for item in self.left_out
            ],
            "exported": list(self.exported),
            "snapshot": self.snapshot,
            "written_to": self.written_to,
        }

    def text(self) -> str:
        """Return the report for a terminal."""
        lines = [f"{self.images} images, format {self.format}", "", *_table(self.dataset)]
        if self.left_out:
            lines += ["", "left out, because another part has an image that shows the same:"]
            lines += [
                f"  {item.sample.name} ({item.match}) as {item.instead.name}"
                for item in self.left_out[:_LEFT_OUT_SHOWN]
            ]
        for kind, problems in _by_kind(self.problems).items():
            lines += ["", f"{KINDS[kind].severity}: {kind} ({len(problems)})  {KINDS[kind].advice}"]
            lines += _first_lines(problems, lambda problem: str(problem.error()))
        for kind, repairs in _by_kind(self.repairs).items():
            lines += ["", f"repaired: {kind} ({len(repairs)})"]
            lines += _first_lines(repairs, lambda repair: f"{repair.file}: {repair.action}")
        lines += [""] if self.exported or self.written_to else []
        lines += [f"exported: {name}" for name in self.exported]
        lines += [f"snapshot: {self.written_to}"] if self.written_to else []
        return "\n".join(lines) + "\n"


def _table(dataset: Dataset) -> list[str]:
    """Return the number of images, and of objects of each label, in all parts and in each."""
    counts = objects_per_class(dataset)
    images: dict[str, int] = {name: len(dataset.part(name).samples) for name in _COLUMNS}
    width = max(len(name) for name in ("images", *counts))
    lines = [" ".join([" " * width, *(f"{column:>10}" for column in _COLUMNS)])]
    rows: list[tuple[str, dict[str, int]]] = [("images", images), *counts.items()]
    for name, row in rows:
        lines.append(" ".join([f"{name:{width}}", *(f"{row[column]:>10}" for column in _COLUMNS)]))
    return lines


def _by_kind(items: Sequence[T]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for item in items:
        groups[item.kind].append(item)
    return {kind: groups[kind] for kind in KINDS if kind in groups}


def _files(items: Sequence[T]) -> list[str]:
    return list(dict.fromkeys(item.file for item in items))


def _first_lines(items: Sequence[T], line_of: Callable[[T], str]) -> list[str]:
    """Return a line for each of the first items, and how many more there are."""
    lines = [f"  {_shorten(line_of(item))}" for item in items[:_ITEMS_SHOWN]]
    return lines + ([f"  and {len(items) - _ITEMS_SHOWN} more"] if len(items) > _ITEMS_SHOWN else [])


def _shorten(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
