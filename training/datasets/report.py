"""What an import tells: one JSON document for programs, a table for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from contract.snapshots import PARTS
from training.datasets.audit import objects_per_class
from training.datasets.dataset import Dataset
from training.datasets.problems import KINDS, Problem
from training.datasets.repair import Repair
from training.datasets.snapshot import LeftOut

T = TypeVar("T", Problem, Repair)

_FILES_SHOWN = 3
_WIDTH = 110


@dataclass(frozen=True)
class Report:
    """The outcome of an import or a check.

    dataset: what the snapshot holds, or would hold; without what was left out.
    images: how many the source holds.
    snapshot, written_to: the id and the place; None where nothing was written.
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
        """The problems that keep the data set from being imported."""
        return [problem for problem in self.problems if problem.severity == "error"]

    def document(self) -> dict[str, Any]:
        """The report as JSON values."""
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
                    "files": list(dict.fromkeys(problem.file for problem in problems)),
                    "first": str(problems[0].error()),
                    "advice": KINDS[kind].advice,
                }
                for kind, problems in _by_kind(self.problems).items()
            ],
            "repairs": [
                {
                    "kind": kind,
                    "count": len(repairs),
                    "files": list(dict.fromkeys(repair.file for repair in repairs)),
                }
                for kind, repairs in _by_kind(self.repairs).items()
            ],
            "left_out": [
                {"file": each.sample.name, "instead": each.instead.name, "how": each.how}
                for each in self.left_out
            ],
            "exported": list(self.exported),
            "snapshot": self.snapshot,
            "written_to": self.written_to,
        }

    def text(self) -> str:
        """The report for a terminal."""
        counts = objects_per_class(self.dataset)
        lines = [f"{self.images} images, format {self.format}", ""]
        wide = max((len(label) for label in counts), default=0)
        wide = max(wide, len("images"))
        lines.append(" ".join([" " * wide, *(f"{column:>10}" for column in ("all", *PARTS))]))
        images = [len(self.dataset.samples), *(len(self.dataset.part(name).samples) for name in PARTS)]
        lines.append(" ".join([f"{'images':{wide}}", *(f"{count:>10}" for count in images)]))
        for label, columns in counts.items():
            lines.append(" ".join([f"{label:{wide}}", *(f"{columns[name]:>10}" for name in ("all", *PARTS))]))
        if self.left_out:
            lines += [
                "",
                "left out, since another part has an image that shows the same:",
            ]
            lines += [
                f"  {each.sample.name} ({each.how}) as {each.instead.name}" for each in self.left_out[:5]
            ]
        for kind, problems in _by_kind(self.problems).items():
            lines += ["", f"{KINDS[kind].severity}: {kind} ({len(problems)})  {KINDS[kind].advice}"]
            lines += [f"  {_shorten(str(problem.error()))}" for problem in problems[:_FILES_SHOWN]]
            lines += [f"  and {len(problems) - _FILES_SHOWN} more"] if len(problems) > _FILES_SHOWN else []
        for kind, repairs in _by_kind(self.repairs).items():
            lines += ["", f"repaired: {kind} ({len(repairs)})"]
            lines += [f"  {_shorten(f'{repair.file}: {repair.done}')}" for repair in repairs[:_FILES_SHOWN]]
            lines += [f"  and {len(repairs) - _FILES_SHOWN} more"] if len(repairs) > _FILES_SHOWN else []
        lines += [""] if self.exported or self.written_to else []
        lines += [f"exported: {name}" for name in self.exported]
        lines += [f"snapshot: {self.written_to}"] if self.written_to else []
        return "\n".join(lines) + "\n"


def _by_kind(items: Sequence[T]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for item in items:
        groups[item.kind].append(item)
    return {kind: groups[kind] for kind in KINDS if kind in groups}


def _shorten(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
