"""Tables (CSV): a row per box, or per image, with the columns named in the first line.

TensorFlow's: filename,width,height,class,xmin,ymin,xmax,ymax. Others have x,y,w,h, or a label without a box. Without
a first line: path,x1,y1,x2,y2,class (Keras RetinaNet), or class,x,y,w,h,file,width,height (makesense.ai).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contract.images import SUFFIXES
from training.datasets import bounds
from training.datasets.dataset import Box, Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim, image_of
from training.datasets.formats.contents import Contents, text_lines
from training.datasets.formats.parts import part_of_file, part_of_folders, part_of_word
from training.datasets.problems import DatasetError, Problems
from training.datasets.storage.files import Files

_COLUMNS: dict[str, set[str]] = {
    "file": {"filename", "file", "file_name", "image", "imagename", "image_name", "image_path", "path", "img"}
    | {"imagefile", "image_file", "filepath", "file_path"},
    "class": {"class", "label", "classname", "class_name", "category", "defect", "label_name", "labels"}
    | {"category_name", "name", "defect_type"},
    "x1": {"xmin", "x1", "x_min", "left", "xtl", "bbox_xmin"},
    "y1": {"ymin", "y1", "y_min", "top", "ytl", "bbox_ymin"},
    "x2": {"xmax", "x2", "x_max", "right", "xbr", "bbox_xmax"},
    "y2": {"ymax", "y2", "y_max", "bottom", "ybr", "bbox_ymax"},
    "x": {"x", "bbox_x"},
    "y": {"y", "bbox_y"},
    "w": {"w", "bbox_width", "bbox_w", "box_width"},
    "h": {"h", "bbox_height", "bbox_h", "box_height"},
    "width": {"width", "image_width", "img_width"},
    "height": {"height", "image_height", "img_height"},
    "part": {"split", "set", "subset", "part", "partition"},
}
# Labels that a table of boxes has no place for; the formats that have them are known by name.
_MASK_COLUMNS = {"mask", "encodedpixels", "segmentation", "rle"}
_WITHOUT_HEADER = {
    "x1 y1 x2 y2": ("file", "x1", "y1", "x2", "y2", "class"),
    "x y w h": ("class", "x", "y", "w", "h", "file", "width", "height"),
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a table has what.

    Attributes:
        delimiter: What separates its columns.
        columns: The index of each column, by its meaning.
        others: The names of the columns that have no meaning here.
        has_header: Whether the first line names the columns.
    """

    delimiter: str
    columns: Mapping[str, int]
    others: tuple[str, ...]
    has_header: bool = True

    @property
    def edges(self) -> tuple[str, ...]:
        """The columns of a box: its corners, or its corner and size; empty if there are none."""
        for names in (("x1", "y1", "x2", "y2"), ("x", "y", "w", "h"), ("x1", "y1", "w", "h")):
            if all(name in self.columns for name in names):
                return names
        return ()


@dataclass(slots=True)
class _Rows:
    """What the rows of one image say."""

    place: str
    objects: list[Object] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    size: tuple[int, int] | None = None
    part: str = ""
    lost: int = 0


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the tables with a column of images and one of classes, or with boxes in a usual order."""
    layouts = {name: layout for name, lines in contents.tables.items() if (layout := _layout(lines))}
    return Claim(tuple(layouts), detail=layouts) if layouts else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every row."""
    layouts: dict[str, _Layout] = claim.detail
    images = (
        image
        for file, layout in layouts.items()
        for image in _annotated_images(files, file, layout, problems)
    )
    return Annotations(files, images, 0)


def _layout(lines: list[str]) -> _Layout | None:
    if not lines:
        return None
    if any("[{" in line for line in lines):
        # The labels are JSON inside a cell; the tools that write this are known by name.
        return None
    delimiter = max(",;\t", key=lines[0].count)
    first = [cell.strip() for cell in _first_row(lines[0], delimiter)]
    columns: dict[str, int] = {}
    others = []
    for index, cell in enumerate(first):
        meaning = next(
            (key for key, names in _COLUMNS.items() if cell.lower().replace(" ", "_") in names), None
        )
        if meaning is None or meaning in columns:
            others.append(cell)
        else:
            columns[meaning] = index
    _settle_sizes(columns)
    if any(name.lower() in _MASK_COLUMNS for name in others):
        return None
    if {"file", "class"} <= columns.keys():
        return _Layout(delimiter, columns, tuple(others))
    if "file" in columns and others and len(lines) > 1 and not columns.keys() - {"file", "part"}:
        return _one_hot(delimiter, first, columns, lines)
    return _without_header(delimiter, first)


def _settle_sizes(columns: dict[str, int]) -> None:
    """Beside x and y, width and height are those of the box; beside corners, those of the image."""
    if {"x", "y", "width", "height"} <= columns.keys() and not {"w", "h"} & columns.keys():
        columns["w"], columns["h"] = columns.pop("width"), columns.pop("height")


def _one_hot(delimiter: str, first: list[str], columns: dict[str, int], lines: list[str]) -> _Layout | None:
    """Return the layout of a table with a column of 0 and 1 for each class; None if it is not one."""
    own = [name for index, name in enumerate(first) if index not in columns.values()]
    for line in lines[1:]:
        cells = _first_row(line, delimiter)
        values = [cell.strip() for index, cell in enumerate(cells) if index not in columns.values()]
        if len(cells) != len(first) or not set(values) <= {"0", "1", "0.0", "1.0"}:
            return None
    classes = {f"class {name}": first.index(name) for name in own}
    return _Layout(delimiter, columns | classes, ())


def _without_header(delimiter: str, first: list[str]) -> _Layout | None:
    for names in _WITHOUT_HEADER.values():
        if len(first) != len(names) or not first[names.index("file")].lower().endswith(SUFFIXES):
            continue
        numbers = [cell for name, cell in zip(names, first, strict=True) if name not in ("file", "class")]
        if all(_number(cell) is not None or not cell for cell in numbers):
            return _Layout(delimiter, {name: index for index, name in enumerate(names)}, (), has_header=False)
    return None


def _annotated_images(
    files: Files, file: str, layout: _Layout, problems: Problems
) -> Iterator[AnnotatedImage]:
    if layout.others:
        shown = ", ".join(layout.others[:5])
        problems.tally("extra-columns", file, f"has other columns: {shown}", len(layout.others))
    for reference, rows in _rows_by_image(files, file, layout, problems).items():
        image = image_of(files, reference, file, problems, rows.place)
        if image is None:
            continue
        part = part_of_word(rows.part) or part_of_file(file) or part_of_folders(image)
        yield AnnotatedImage(
            image,
            file,
            tuple(rows.objects),
            size=rows.size,
            tags=tuple(dict.fromkeys(rows.tags)),
            source_part=part,
            lost=rows.lost,
        )


def _rows_by_image(files: Files, file: str, layout: _Layout, problems: Problems) -> dict[str, _Rows]:
    images: dict[str, _Rows] = {}
    for number, row in enumerate(_rows(files, file, layout.delimiter, problems), start=1):
        if not any(cell.strip() for cell in row) or (number == 1 and layout.has_header):
            continue
        place = f"line {number}"
        cells = {name: row[index].strip() for name, index in layout.columns.items() if index < len(row)}
        reference = cells.get("file", "")
        if not reference:
            problems.report("bad-annotation", file, "has no name of an image", place)
            continue
        rows = images.setdefault(reference, _Rows(place))
        _add_row(rows, cells, layout, file, place, problems)
    return images


def _rows(files: Files, file: str, delimiter: str, problems: Problems) -> Iterator[list[str]]:
    """Yield the rows of a table; what is no table ends it, with a problem."""
    csv.field_size_limit(bounds.CELL_CHARACTERS)
    try:
        yield from csv.reader(text_lines(files, file), delimiter=delimiter)
    except (csv.Error, DatasetError) as error:
        message = f"is not readable as a table to its end: {str(error).removeprefix(f'{file}: ')}"
        problems.report("bad-annotation", file, message)


def _first_row(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _add_row(
    rows: _Rows, cells: dict[str, str], layout: _Layout, file: str, place: str, problems: Problems
) -> None:
    rows.part = cells.get("part", rows.part)
    rows.tags += [
        name[6:] for name, cell in cells.items() if name.startswith("class ") and _number(cell) == 1
    ]
    width, height = _number(cells.get("width", "")), _number(cells.get("height", ""))
    rows.size = (int(width), int(height)) if width and height else rows.size
    label = cells.get("class", "")
    values = [cells.get(name, "") for name in layout.edges]
    if not any(values):
        # A row without a box is a label of the whole image, or a good product.
        rows.tags += [label] if label else []
        return
    numbers = [_number(value) for value in values]
    if not label or None in numbers:
        problems.report(
            "bad-annotation", file, f"is not a box with a class: {', '.join(values)}, {label!r}", place
        )
        rows.lost += 1
        return
    x, y, third, fourth = (number or 0.0 for number in numbers)
    box: Box = (x, y, third, fourth) if "x2" in layout.edges else (x, y, x + third, y + fourth)
    rows.objects.append(Object(label, box))


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None
