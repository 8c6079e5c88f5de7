"""Finds out which format a source has, by asking every format what it recognises."""

from __future__ import annotations

from pathlib import Path

from training.datasets.formats import (
    classes,
    coco,
    cvat,
    foreign,
    good,
    ground_truth,
    image_folder,
    jumpstart,
    label_studio,
    labelme,
    list_file,
    lookout,
    mvtec,
    object_detection,
    recordio,
    snapshot,
    table,
    via,
    voc,
    yolo,
)
from training.datasets.formats.annotations import Claim, Format
from training.datasets.formats.contents import JSON_SUFFIXES, LINES_SUFFIXES, TABLE_SUFFIXES, Contents
from training.datasets.problems import DatasetError, Problems
from training.datasets.storage.files import Files
from training.datasets.storage.opening import ARCHIVE_SUFFIXES

FORMATS: dict[str, Format] = {
    "snapshot": snapshot,
    "ground-truth": ground_truth,
    "lookout": lookout,
    "recordio": recordio,
    "jumpstart": jumpstart,
    "coco": coco,
    "object-detection": object_detection,
    "list": list_file,
    "cvat": cvat,
    "voc": voc,
    "labelme": labelme,
    "via": via,
    "label-studio": label_studio,
    "table": table,
    "imagefolder": image_folder,
    "mvtec": mvtec,
    "folders": classes,
    "yolo": yolo,
    "good": good,
}
_KNOWN = (
    "COCO, JumpStart, Pascal VOC, CVAT, YOLO, Ground Truth, Lookout for Vision, LabelMe, VIA, Label Studio, tables"
    " (*.csv), RecordIO, MVTec AD, folders of classes (good/, dent/) and snapshots"
)
_LABEL_SUFFIXES = (*JSON_SUFFIXES, *LINES_SUFFIXES, *TABLE_SUFFIXES, ".xml", ".rec", ".lst")
_SHOWN = 3


def detect(source: Path | str, files: Files, format: str | None, problems: Problems) -> tuple[str, Claim]:
    """Return the format of a source, and what belongs to it.

    Args:
        source: What the user named, for messages.
        files: The files of the source.
        format: A key of FORMATS that the user named, if any.
        problems: Collects label files that are not read.

    Raises:
        DatasetError: There is no known format, or more than one.
    """
    contents = Contents(files)
    if format is not None:
        return format, _asked(source, contents, format)
    claims = {name: claim for name, module in FORMATS.items() if (claim := module.find(contents, False))}
    sure = {name: claim for name, claim in claims.items() if claim.is_sure}
    if len(sure) > 1:
        found = "; ".join(
            f"{name} ({_listed(claim.files)})" if claim.files else name for name, claim in sure.items()
        )
        raise DatasetError(source, f"contains several formats: {found}. Choose one with --format")
    if not sure and (other := foreign.recognise(contents)):
        raise DatasetError(source, f"is in the format {other.name}, which is not read. {other.advice}")
    chosen = next(iter((sure or claims).items()), None)
    if chosen is None:
        raise DatasetError(
            source, f"contains no data set of a known format{_hints(contents)}. Known are {_KNOWN}"
        )
    _report_others(contents, chosen[1], problems)
    return chosen


def _asked(source: Path | str, contents: Contents, format: str) -> Claim:
    """Return what belongs to the format that the user named. Raises DatasetError if nothing does."""
    if format not in FORMATS:
        raise DatasetError(source, f"{format!r} is not a known format; known are {', '.join(FORMATS)}")
    claim = FORMATS[format].find(contents, True)
    if claim is None:
        raise DatasetError(source, f"contains no data set in the format {format}")
    return claim


def _report_others(contents: Contents, claim: Claim, problems: Problems) -> None:
    """Report the label files that do not belong to the chosen format, and those that cannot be read."""
    if contents.files.chosen is not None:
        return
    used = set(claim.files)
    unreadable = [name for name in _unreadable(contents) if name not in used]
    for name in unreadable:
        problems.report("bad-annotation", name, "is not readable JSON")
    others = [name for name in contents.with_suffix(*_LABEL_SUFFIXES) if name not in used.union(unreadable)]
    if others:
        problems.tally(
            "other-files", others[0], "may contain labels, and does not belong to them", len(others)
        )


def _unreadable(contents: Contents) -> list[str]:
    """Return the files with the suffix of JSON that are none."""
    known = {*contents.jsons, *contents.lines}
    return [name for name in contents.looked_at_jsons if name not in known]


def _hints(contents: Contents) -> str:
    """Return what is there instead, for the message."""
    if unreadable := _unreadable(contents):
        return f": {_listed(tuple(unreadable))} is not readable JSON"
    if found := contents.with_suffix(*_LABEL_SUFFIXES):
        return f": {_listed(tuple(found))} is none"
    if archives := [name for name in contents.names if name.lower().endswith(ARCHIVE_SUFFIXES)]:
        return f": {_listed(tuple(archives))} is an archive inside it, which is not read"
    if images := len(contents.files.images):
        return f": {images} images have no labels. If their folders are their labels: --format folders"
    return ""


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
