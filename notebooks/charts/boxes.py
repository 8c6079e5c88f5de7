"""Pictures with their boxes: the labelled ones, and what each model found."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import Stroke, withStroke
from PIL import Image, ImageOps

from charts.figure import INK, WIDTH, Chart, look, one_line, styled

Boxes = Sequence[Mapping[str, Any]]
AnyPicture = Image.Image | Path | str | bytes
# A picture is shown at some 200 pixels, and twice as sharp; more would only make the notebook large.
_EDGE = 480
_MOST_COLUMNS = 6
_COLUMNS_OF_PICTURES = 5


@dataclass(frozen=True, slots=True)
class _Cell:
    """One picture with boxes.

    Attributes:
        picture: The picture.
        boxes: The boxes, in pixels of the upright picture.
        title: Above it.
    """

    picture: AnyPicture
    boxes: Boxes
    title: str = ""


@styled
def pictures(items: Sequence[tuple[AnyPicture, Boxes]], *, title: str = "") -> Chart:
    """Draw pictures with their boxes.

    Args:
        items: Pictures, each with boxes as `same_pictures` takes them.
        title: Above all.
    """
    columns = _columns(len(items), _COLUMNS_OF_PICTURES)
    chart = _grid([[_Cell(picture, boxes)] for picture, boxes in items], columns, title, together=True)
    chart.alt = f"{one_line(title) or 'Pictures'}: {len(items)} pictures with {_counted(boxes for _, boxes in items)}."
    return chart


@styled
def same_pictures(
    rows: Sequence[tuple[AnyPicture, Boxes]],
    answers: Mapping[str, Sequence[Boxes]],
    *,
    least_score: float = 0.3,
) -> Chart:
    """Draw the same pictures with the labelled boxes, and with those that each model found.

    Args:
        rows: Pictures, each with its labelled boxes: `label` and `box` [x1, y1, x2, y2], in pixels of the upright
            picture.
        answers: By model, for each picture the boxes that it found, as the endpoint answers: also with `score`.
        least_score: Boxes with lower scores are not drawn.

    Raises:
        ValueError: A model has not answered for each picture.
    """
    found: dict[str, list[list[Mapping[str, Any]]]] = {}
    for model, given in answers.items():
        if len(given) != len(rows):
            raise ValueError(f"{one_line(model)} has {len(given)} answers for {len(rows)} pictures")
        found[model] = [[box for box in boxes if box["score"] >= least_score] for boxes in given]
    blocks = [
        [
            _Cell(picture, labelled, "labelled"),
            *(_Cell(picture, found[model][number], one_line(model)) for model in found),
        ]
        for number, (picture, labelled) in enumerate(rows)
    ]
    columns = _columns(1 + len(found), _MOST_COLUMNS)
    chart = _grid(blocks, columns, f"boxes with a score of {least_score:g} or more")
    said = "; ".join(f"{one_line(model)} found {_counted(boxes)}" for model, boxes in found.items())
    chart.alt = f"{len(rows)} pictures with {_counted(boxes for _, boxes in rows)} labelled. {said}."
    return chart


def _columns(count: int, most: int) -> int:
    """Return the number of columns, at most `most`, with which no line is much shorter than the others.

    >>> [_columns(count, 5) for count in (0, 1, 5, 6, 10)]
    [1, 1, 5, 3, 5]
    """
    return math.ceil(count / math.ceil(count / most)) if count else 1


def _counted(groups: Any) -> str:
    count = sum(len(boxes) for boxes in groups)
    return f"{count} box" if count == 1 else f"{count} boxes"


def _grid(blocks: Sequence[Sequence[_Cell]], columns: int, title: str, *, together: bool = False) -> Chart:
    """Draw cells in rows of `columns`. Each block begins a row, unless all stand together."""
    if together:
        blocks = [[cell for block in blocks for cell in block]]
    labels = sorted({str(box["label"]) for block in blocks for cell in block for box in cell.boxes})
    colours = {label: look(number)["color"] for number, label in enumerate(labels)}
    lines = [block[start : start + columns] for block in blocks for start in range(0, len(block), columns)]
    wrapped = any(len(block) > columns for block in blocks)
    side = WIDTH / columns
    chart = Chart(figsize=(WIDTH, side * max(len(lines), 1) + 0.4 + 0.22 * math.ceil(len(labels) / 4)))
    grid = chart.subplots(max(len(lines), 1), columns, squeeze=False)
    for number, line in enumerate(lines):
        for axes in grid[number]:
            axes.set_axis_off()
        for axes, cell in zip(grid[number], line, strict=False):
            _draw(axes, cell, labels, colours)
            if number == 0 or wrapped:
                axes.set_title(fill(cell.title, 72 // columns), loc="center", fontsize=8)
    handles = [
        Patch(facecolor=colours[label], label=f"{place} {one_line(label)}")
        for place, label in enumerate(labels, 1)
    ]
    chart.legend(handles=handles, loc="outside lower center", ncols=4, handlelength=1)
    if title:
        chart.suptitle(one_line(title), fontsize=9, color=INK)
    return chart


def _draw(axes: Axes, cell: _Cell, labels: Sequence[str], colours: Mapping[str, str]) -> None:
    picture, scale = _small(cell.picture)
    axes.imshow(np.asarray(picture), interpolation="antialiased")
    for box in cell.boxes:
        label, score = str(box["label"]), box.get("score")
        x1, y1, x2, y2 = (float(edge) * scale for edge in box["box"])
        # A dark edge keeps a colour apart from whatever is below it.
        edge = [Stroke(linewidth=3.4, foreground=INK), Stroke(linewidth=1.8, foreground=colours[label])]
        axes.add_patch(
            Rectangle(
                (x1 - 0.5, y1 - 0.5),
                x2 - x1,
                y2 - y1,
                fill=False,
                edgecolor=colours[label],
                path_effects=edge,
            )
        )
        text = str(labels.index(label) + 1) if score is None else f"{labels.index(label) + 1}  {score:.2f}"
        below, left = y1 < 0.09 * picture.height, x1 > 0.55 * picture.width
        axes.text(
            x2 if left else x1,
            y1 + (2 if below else -2),
            text,
            ha="right" if left else "left",
            color="white",
            fontsize=7,
            fontweight="bold",
            va="top" if below else "bottom",
            path_effects=[withStroke(linewidth=2.2, foreground=INK)],
            clip_on=True,
        )


def _small(given: AnyPicture) -> tuple[Image.Image, float]:
    """Return a picture upright, in 8 bits a channel and small, and its scale."""
    picture = (
        given
        if isinstance(given, Image.Image)
        else Image.open(io.BytesIO(given) if isinstance(given, bytes) else given)
    )
    upright = ImageOps.exif_transpose(picture)
    if upright.mode[0] in "IF":
        # 16 bits, or floating point: as bright as its brightest place.
        values = np.asarray(upright, dtype=np.float64)
        values = values / max(float(values.max()), 1e-12) * 255
        upright = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    small = upright.convert("RGB")
    before = small.width
    small.thumbnail((_EDGE, _EDGE))
    return small, small.width / before
