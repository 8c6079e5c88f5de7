"""What a person decides about an image, and what makes it valid."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from contract.scores import ANOMALY
from contract.text import counted, plain, plain_lines
from inspection.records import Record, classes_of
from review.errors import InvalidDecisionError
from tracking.counters import Decided

LONGEST_LABEL = 100  # characters
LONGEST_COMMENT = 2000
MOST_OBJECTS = 500
# Of one decision's objects as JSON. An item of DynamoDB holds 400 KB, and the last decisions are kept whole in one.
LARGEST_OBJECTS = 100_000  # bytes
_KEPT_WHOLE = 3  # decisions of an item; the history has the others whole
SMALLEST_SIDE = 1.0  # pixels
_ROUNDING = 1.0  # pixels by which a box that was drawn on a scaled picture may lie outside

Box = tuple[float, float, float, float]


class Choice(StrEnum):
    """What a person can decide."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """A defect in a picture. box: x1, y1, x2, y2 in pixels of the upright picture."""

    label: str
    box: Box

    def as_dict(self) -> dict[str, Any]:
        return {"label": self.label, "box": list(self.box)}


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decides about an image.

    Attributes:
        verdict: The choice.
        objects: The defects; only with `fail`.
        comment: What the person says about it; empty for nothing.
    """

    verdict: Choice
    objects: tuple[LabelledObject, ...] = ()
    comment: str = ""

    def fitted(self, width: int | None, height: int | None) -> Self:
        """Return the decision, checked, with its boxes inside the picture.

        Args:
            width: Pixels of the upright picture; None if they are not known.
            height: The same.

        Raises:
            InvalidDecisionError: It contradicts itself or the picture. The message names every place.
        """
        problems = list(self._problems(width, height))
        if problems:
            raise InvalidDecisionError(problems)
        objects = tuple(LabelledObject(item.label, _inside(item.box, width, height)) for item in self.objects)
        return type(self)(self.verdict, objects, self.comment.strip())

    def _problems(self, width: int | None, height: int | None) -> Sequence[str]:
        problems = []
        if self.objects and self.verdict is not Choice.FAIL:
            problems.append(f"objects: a picture that is {self.verdict.value} has none")
        if len(self.objects) > MOST_OBJECTS:
            problems.append(f"objects: {len(self.objects)}, at most {MOST_OBJECTS} are allowed")
        elif len(json.dumps([item.as_dict() for item in self.objects])) > LARGEST_OBJECTS:
            problems.append("objects: too much text; use shorter labels, or fewer boxes")
        if len(self.comment) > LONGEST_COMMENT:
            problems.append(f"comment: more than {counted(LONGEST_COMMENT, 'character')}")
        if plain_lines(self.comment) != self.comment:
            problems.append("comment: it contains control characters")
        for index, item in enumerate(self.objects[:MOST_OBJECTS]):
            place = f"objects.{index}"
            problems += [f"{place}.label: {problem}" for problem in _label_problems(item.label)]
            problems += [f"{place}.box: {problem}" for problem in _box_problems(item.box, width, height)]
        return problems

    def entry(self, by: str, at: str, version: int) -> dict[str, Any]:
        """Return the decision as the queue's item keeps it. version: of the item that it was made about."""
        return {"by": by, "at": at, "version": version, **self._content()}

    def repeats(self, entry: Mapping[str, Any], by: str, version: int) -> bool:
        """Return whether an entry is this decision, already written."""
        content = {name: entry.get(name) for name in ("verdict", "objects", "comment")}
        return (entry["by"], entry["version"]) == (by, version) and content == {
            "comment": None
        } | self._content()

    def _content(self) -> dict[str, Any]:
        objects = [item.as_dict() for item in self.objects]
        content: dict[str, Any] = {"verdict": self.verdict.value, "objects": objects}
        return content | ({"comment": self.comment} if self.comment else {})


def counted_as(record: Record, entry: Mapping[str, Any] | None) -> Decided | None:
    """Return what the statistics count for a decision.

    The classes of a defect are those that the person has drawn, or, if there are none, those that the model has named.
    The classes of a good part are those that the model has named wrongly.

    Args:
        record: The inspection record.
        entry: The decision, as the queue's item keeps it; None for none.
    """
    if entry is None:
        return None
    labels = {item["label"] for item in entry["objects"]}
    if not labels and entry["verdict"] != Choice.UNUSABLE:
        labels = classes_of(record)
    return Decided(entry["verdict"], frozenset(labels))


def tags_of(entry: Mapping[str, Any]) -> list[str]:
    """Return the labels of the whole image that a decision leaves.

    A bad part without a box is no good part, and nobody knows where its defect is. A detector learns nothing from it;
    an anomaly model places its threshold by it.

    Args:
        entry: The decision, as the queue's item keeps it.
    """
    return [ANOMALY] if entry["verdict"] == Choice.FAIL and not entry["objects"] else []


def with_entry(entries: Sequence[dict[str, Any]], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the decisions of an item with another one. Of old ones, only who decided what stays."""
    whole = [*entries, entry]
    return [
        {name: value for name, value in old.items() if name != "comment"} | {"objects": []}
        for old in whole[:-_KEPT_WHOLE]
    ] + whole[-_KEPT_WHOLE:]


def disagree(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether people disagree: the last decisions of two of them differ in the verdict."""
    last = {entry["by"]: entry["verdict"] for entry in entries}
    return len(set(last.values())) > 1


def _label_problems(label: str) -> list[str]:
    if not label.strip():
        return ["it is empty"]
    if len(label) > LONGEST_LABEL:
        return [f"more than {LONGEST_LABEL} characters"]
    if plain(label) != label or label.strip() != label:
        return ["it contains control characters, or spaces at an end"]
    return []


def _box_problems(box: Box, width: int | None, height: int | None) -> list[str]:
    x1, y1, x2, y2 = _inside(box, width, height)
    if not all(abs(edge) < 1e9 for edge in box):
        return ["an edge is no number"]
    if x2 - x1 < SMALLEST_SIDE or y2 - y1 < SMALLEST_SIDE:
        return ["x1, y1, x2, y2 in pixels of the picture, with x1 < x2 and y1 < y2"]
    right, bottom = width or x2, height or y2
    if min(box) < -_ROUNDING or box[2] > right + _ROUNDING or box[3] > bottom + _ROUNDING:
        return [
            f"it is outside the picture of {width} × {height} pixels"
            if width
            else "it is outside the picture"
        ]
    return []


def _inside(box: Box, width: int | None, height: int | None) -> Box:
    x1, y1, x2, y2 = (round(float(max(0.0, edge)), 2) for edge in box)
    return (x1, y1, min(x2, float(width)) if width else x2, min(y2, float(height)) if height else y2)
