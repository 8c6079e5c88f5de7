"""MXNet RecordIO with detection labels, as SageMaker's built-in object detection reads it.

The floats of a record (`storage.records`) are: header width A >= 2, object width B >= 5, the rest of the header, then
for each object class, xmin, ymin, xmax, ymax in 0..1, and whatever else B has room for.

Source: mxnet src/io/image_det_aug_default.cc (`ImageDetLabel::FromArray`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import BinaryIO

from training.datasets.dataset import Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim
from training.datasets.formats.contents import Contents
from training.datasets.formats.parts import part_of_file
from training.datasets.problems import DatasetError, Problems
from training.datasets.storage.files import Files, image_suffix
from training.datasets.storage.records import RecordError, Records, read_record, unpack

CLASS_NAMES_FILE = "classes.txt"


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the .rec files: the chosen one, or all of them."""
    names = contents.with_suffix(".rec")
    # Its index and its list say nothing that the records do not.
    return Claim((*names, *contents.with_suffix(".lst"))) if names else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every record of the .rec files; each record is an image."""
    record_files = [name for name in claim.files if name.lower().endswith(".rec")]
    labels = list(names) or class_names(files, record_files, problems)
    records = Records(files)
    return Annotations(records, _annotated_images(files, record_files, records, labels, problems), 0, labels)


def class_names(files: Files, record_files: Sequence[str], problems: Problems) -> list[str] | None:
    """Return the class names next to the first file; None, with a problem, if there are none."""
    name = (PurePosixPath(record_files[0]).parent / CLASS_NAMES_FILE).as_posix()
    try:
        lines = files.read(name).decode("utf-8-sig", "replace").splitlines()
    except DatasetError:
        message = f"has no {CLASS_NAMES_FILE} next to it: the class numbers are used as names"
        problems.report("no-class-names", record_files[0], message)
        return None
    return [line.strip() for line in lines if line.strip()]


def _annotated_images(
    files: Files, record_files: list[str], records: Records, labels: list[str] | None, problems: Problems
) -> Iterator[AnnotatedImage]:
    """Yield the image of every record, and add it to `records`."""
    for file in record_files:
        offsets: set[int] = set()
        part = part_of_file(file)
        with files.open(file) as stream:
            for number, (offset, record) in enumerate(_scan(stream, file, problems)):
                offsets.add(offset)
                place = f"record {number} at byte {offset}"
                try:
                    values, image = unpack(record)
                    objects, tags = parse_label(values, labels)
                except RecordError as error:
                    problems.report("broken-record", file, str(error), place)
                    continue
                except LookupError as error:
                    message = f"class {error} is not among the {len(labels or ())} names"
                    problems.report("unknown-class", file, message, place)
                    continue
                name = f"{file}/{number}{image_suffix(image)}"
                records.add(name, file, offset)
                yield AnnotatedImage(name, file, objects, normalised=True, tags=tags, source_part=part)
        _check_index(files, file, offsets, problems)


def _scan(stream: BinaryIO, file: str, problems: Problems) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and the data of each record, up to the first that is broken."""
    while True:
        offset = stream.tell()
        try:
            record = read_record(stream)
        except RecordError as error:
            # Without the length there is no way to tell where the next record begins.
            problems.report("broken-record", file, str(error), f"byte {offset}")
            return
        if record is None:
            return
        yield offset, record


def parse_label(values: list[float], labels: list[str] | None) -> tuple[tuple[Object, ...], tuple[str, ...]]:
    """Return the boxes in 0..1, or the tag of a record with one label for the whole image.

    Raises:
        RecordError: The values are not a label.
        LookupError: A class number has no name; the error's text is the number.
    """
    if not all(math.isfinite(value) for value in values):
        raise RecordError("a label value is not a finite number")
    if len(values) == 1:
        return (), (_class_name(values[0], labels),)
    header, width = int(values[0]), int(values[1])
    if header < 2 or width < 5 or header > len(values) or (len(values) - header) % width:
        raise RecordError(
            f"{len(values)} label values do not fit a header of {header} and objects of {width}"
        )
    objects = []
    for start in range(header, len(values), width):
        number, x1, y1, x2, y2 = values[start : start + 5]
        # A negative class is padding.
        if number >= 0:
            objects.append(Object(_class_name(number, labels), (x1, y1, x2, y2)))
    return tuple(objects), ()


def _class_name(number: float, labels: list[str] | None) -> str:
    if labels is None:
        return f"{number:g}"
    if not number.is_integer() or not 0 <= number < len(labels):
        raise LookupError(f"{number:g}")
    return labels[int(number)]


def _check_index(files: Files, file: str, offsets: set[int], problems: Problems) -> None:
    """Compare the optional .idx file with the offsets of the records."""
    index = PurePosixPath(file).with_suffix(".idx").as_posix()
    try:
        lines = files.read(index).decode("ascii", "replace").split("\n")
    except DatasetError:
        return
    try:
        listed = {int(line.split("\t")[1]) for line in lines if line.strip()}
    except (ValueError, IndexError):
        listed = set()
    if not listed <= offsets or not listed:
        problems.report("index-mismatch", index, f"does not give the offsets of the records of {file}")
