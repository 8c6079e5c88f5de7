"""The report of an import: one JSON document for programs, a table and a summary of 80 columns for people."""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from contract.keys import DEFAULT_DATASET
from contract.snapshots import PARTS
from contract.text import counted, plain
from training.datasets.checks.audit import images_per_label, images_with_masks, objects_per_class
from training.datasets.checks.repair import Repair
from training.datasets.dataset import Dataset
from training.datasets.problems import KINDS, Problem
from training.datasets.snapshots.classes import ClassChange
from training.datasets.snapshots.split import Division, LeftOut, Moved

T = TypeVar("T", Problem, Repair)
S = TypeVar("S", LeftOut, Moved)

_COLUMNS = ("all", *PARTS)
_ITEMS_SHOWN = 3
_IMAGES_SHOWN = 5
_NAMES_SHOWN = 8
_WIDTH = 80
_MOVED = {
    "copy": "to the part of most of their copies",
    "drawn": "of the train part, by image hash, into a part that the source lacks",
    "frozen": "because the test set of the previous snapshot stays as it is",
}
_LABEL_WIDTH = 36  # of a table of 80 columns


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
        name: The name of the data set.
        change: The classes before and after.
        division: How it was divided into parts.
        taken_over: The number of test images of the previous snapshot that the source lacks.
        not_in_source: The number of other images of the previous snapshot that the source lacks.
        snapshot: The snapshot's id; None if none was written.
        written_to: The snapshot's path or URI; None if none was written.
        is_unchanged: Whether `snapshot` is the previous one, because nothing is new.
    """

    format: str
    images: int
    dataset: Dataset
    problems: Sequence[Problem]
    repairs: Sequence[Repair]
    left_out: Sequence[LeftOut]
    name: str = DEFAULT_DATASET
    change: ClassChange = field(default_factory=ClassChange)
    division: Division = field(default_factory=Division)
    taken_over: int = 0
    not_in_source: int = 0
    snapshot: str | None = None
    written_to: str | None = None
    is_unchanged: bool = False

    @property
    def errors(self) -> list[Problem]:
        """The problems that stop the import of the data set."""
        return [problem for problem in self.problems if problem.severity == "error"]

    def document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "dataset": self.name,
            "format": self.format,
            "images": self.images,
            "labels": list(self.dataset.labels),
            "new_labels": self.change.added if self.change.before else [],
            "likely_typos": self.change.likely_typos,
            "counts": objects_per_class(self.dataset),
            "image_labels": images_per_label(self.dataset),
            "masks": images_with_masks(self.dataset),
            "parts": {name: len(self.dataset.part(name).samples) for name in PARTS},
            "previous": {
                "test_images": self.division.frozen,
                "test_images_taken_over": self.taken_over,
                "other_images_not_in_source": self.not_in_source,
            },
            "problems": [
                {
                    "kind": kind,
                    "severity": KINDS[kind].severity,
                    "count": sum(problem.count for problem in problems),
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
            "split": self._split_document(),
            "left_out": [
                {"file": item.sample.name, "instead": item.instead.name, "how": item.match}
                for item in self.left_out
            ],
            "snapshot": self.snapshot,
            "written_to": self.written_to,
            "unchanged": self.is_unchanged,
        }

    def text(self) -> str:
        """Return the report for a terminal: the findings, and a summary at the end."""
        sections = [
            [f"{counted(self.images, 'image')}, format {self.format}"],
            _table(self.dataset),
            *self._findings(),
            [*self._split(), *self._left_out(), *self._previous()],
            self._written(),
        ]
        return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"

    def _findings(self) -> Iterator[list[str]]:
        for kind, problems in _by_kind(self.problems).items():
            number = sum(problem.count for problem in problems)
            heading = f"{KINDS[kind].severity}: {kind} ({number})"
            lines = _first_lines(problems, lambda problem: str(problem.error()))
            yield [heading, *wrapped(KINDS[kind].advice, "  "), *lines]
        for kind, repairs in _by_kind(self.repairs).items():
            lines = _first_lines(repairs, lambda repair: f"{repair.file}: {repair.action}")
            yield [f"repaired: {kind} ({len(repairs)})", *lines]

    def _split_document(self) -> dict[str, Any]:
        division = self.division
        return {
            "by": "source" if division.is_own else "hash",
            "source": dict(division.own.stated),
            "refused": division.own.refused or None,
            "drawn": list(division.own.drawn),
            "moved": [
                {
                    "file": item.sample.name,
                    "from": item.sample.source_part,
                    "to": item.sample.belongs_to(),
                    "why": item.why,
                    "like": item.like.name if item.like else None,
                }
                for item in division.moved
            ],
        }

    def _split(self) -> list[str]:
        """Return what became of the parts that the source has itself."""
        own = self.division.own
        if own.refused:
            return wrapped(f"parts: by image hash, not those of the source: {own.refused}")
        if not own.stated:
            return []
        stated = ", ".join(f"{number} {part}" for part, number in own.stated.items())
        lines = wrapped(f"parts: those of the source ({stated})")
        for why, heading in _MOVED.items():
            moved = [item for item in self.division.moved if item.why == why]
            if moved:
                lines += wrapped(f"moved: {counted(len(moved), 'image')} {heading}")
                lines += _shown(moved, _moved_lines)
        return lines

    def _left_out(self) -> list[str]:
        lines = []
        if self.left_out:
            lines.append(f"left out: {counted(len(self.left_out), 'image')} like one of another part")
            lines += _shown(self.left_out, _left_out_lines)
        unlisted = Counter(problem.kind for problem in self.problems)["unlisted-image"]
        if unlisted:
            lines.append(f"left out: {counted(unlisted, 'image')} without labels")
        return lines

    def _previous(self) -> list[str]:
        """Return what happened to the data set that the previous snapshot has."""
        lines = []
        if self.division.frozen:
            stay = "stays" if self.division.frozen == 1 else "stay"
            images = counted(self.division.frozen, "test image")
            lines.append(f"{images} of the previous snapshot {stay} the test set")
        if self.division.joined:
            lines.append(f"{counted(self.division.joined, 'image')} of new classes joined the test set")
        if self.not_in_source:
            are = "is" if self.not_in_source == 1 else "are"
            images = counted(self.not_in_source, "other image")
            lines.append(f"{images} of the previous snapshot {are} not in this source, and left out")
        if self.change.before and self.change.added:
            lines += wrapped(f"new classes: {shown_names(self.change.added)}")
        for label, known in self.change.likely_typos.items():
            lines += wrapped(f"{plain(label)!r} is probably {plain(known)!r}: --repair renames it", indent="")
        return lines

    def _written(self) -> list[str]:
        lines = []
        if self.written_to:
            labels = len(self.dataset.labels)
            classes = f"{labels} classes" if labels != 1 else "1 class"
            images = counted(len(self.dataset.samples), "image")
            parts = ", ".join(f"{len(self.dataset.part(part).samples)} {part}" for part in PARTS)
            lines += wrapped(f"data set {self.name}: {images} ({parts}), {classes}")
            state = "snapshot, unchanged" if self.is_unchanged else "snapshot"
            lines.append(f"{state}: {plain(self.written_to)}")
        return lines


def shown_names(names: Sequence[str]) -> str:
    """Return names for a message: not more than a few, and how many more there are."""
    shown = ", ".join(plain(name) for name in names[:_NAMES_SHOWN])
    return shown + (f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else "")


def _shown(items: Sequence[S], lines_of: Callable[[S], list[str]]) -> list[str]:
    """Return the lines of the first images, and how many more there are."""
    lines = [line for item in items[:_IMAGES_SHOWN] for line in lines_of(item)]
    return lines + ([f"  and {len(items) - _IMAGES_SHOWN} more"] if len(items) > _IMAGES_SHOWN else [])


def _left_out_lines(item: LeftOut) -> list[str]:
    return [
        f"  {_end_of(plain(item.sample.name))} ({item.match})",
        f"    as {_end_of(plain(item.instead.name))}",
    ]


def _moved_lines(item: Moved) -> list[str]:
    name = _end_of(plain(item.sample.name), 30)
    lines = [f"  {name} ({item.sample.source_part} to {item.sample.belongs_to()})"]
    return lines + ([f"    copy of {_end_of(plain(item.like.name))}"] if item.like else [])


def _table(dataset: Dataset) -> list[str]:
    """Return the number of images, and of objects of each label, in all parts and in each."""
    counts = objects_per_class(dataset)
    counts |= {f"images: {label}": row for label, row in images_per_label(dataset).items()}
    if (masks := images_with_masks(dataset))["all"]:
        counts["images with a mask"] = masks
    images: dict[str, int] = {name: len(dataset.part(name).samples) for name in _COLUMNS}
    names = {label: _shorten(plain(label), _LABEL_WIDTH) for label in counts}
    width = max(len(name) for name in ("images", *names.values()))
    lines = [" ".join([" " * width, *(f"{column:>10}" for column in _COLUMNS)])]
    rows: list[tuple[str, dict[str, int]]] = [("images", images)]
    rows += [(names[label], row) for label, row in counts.items()]
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
    """Return lines for each of the first items, and how many more there are."""
    lines = [line for item in items[:_ITEMS_SHOWN] for line in _item(plain(line_of(item)))]
    return lines + ([f"  and {len(items) - _ITEMS_SHOWN} more"] if len(items) > _ITEMS_SHOWN else [])


def _item(text: str) -> list[str]:
    return _wrap(text, initial_indent="  - ", subsequent_indent="    ", max_lines=3, placeholder=" …")


def wrapped(text: str, indent: str = "", width: int = _WIDTH) -> list[str]:
    """Return the lines of a text; the second and later ones are indented by two more."""
    return _wrap(text, width, initial_indent=indent, subsequent_indent=f"{indent}  ")


def _wrap(text: str, width: int = _WIDTH, **options: Any) -> list[str]:
    # A path is easier to read if it is not cut at its hyphens.
    return textwrap.wrap(text, width, break_on_hyphens=False, **options)


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _end_of(name: str, margin: int = 16) -> str:
    """Return the end of a path if it is too long for a line: it tells more than the beginning."""
    width = _WIDTH - margin
    return name if len(name) <= width else "…" + name[-(width - 1) :]
