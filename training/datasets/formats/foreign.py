"""Formats that are recognised but not read, each with what to export instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from training.datasets.formats.contents import Contents
from training.datasets.storage.files import Files


@dataclass(frozen=True, slots=True)
class Foreign:
    """A format that is not read.

    Attributes:
        name: Its name.
        advice: What to do instead.
        is_there: Tells whether a source has it.
    """

    name: str
    advice: str
    is_there: Callable[[Contents], bool]


def recognise(contents: Contents) -> Foreign | None:
    """Return the format that a source has, if it is one of these."""
    return next((foreign for foreign in _FORMATS if foreign.is_there(contents)), None)


def _has_columns(*columns: str) -> Callable[[Contents], bool]:
    def is_there(contents: Contents) -> bool:
        heads = [lines[0].lower() for lines in contents.tables.values() if lines]
        return any(set(columns) <= set(re.split(r"[,;\t]", head.replace('"', ""))) for head in heads)

    return is_there


def _has_document(test: Callable[[Any], bool]) -> Callable[[Contents], bool]:
    return lambda contents: any(test(document) for document in contents.jsons.values())


def _has_keys(*keys: str) -> Callable[[Contents], bool]:
    return _has_document(lambda document: isinstance(document, dict) and set(keys) <= document.keys())


def _has_first_item(*keys: str) -> Callable[[Contents], bool]:
    def test(document: Any) -> bool:
        first = document[0] if isinstance(document, list) and document else None
        return isinstance(first, dict) and set(keys) <= first.keys()

    return _has_document(test)


def _has_names(pattern: str) -> Callable[[Contents], bool]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda contents: any(compiled.search(name) for name in contents.names)


def _has_line_keys(*keys: str) -> Callable[[Contents], bool]:
    return lambda contents: any(
        set(keys) <= line.keys() for lines in contents.lines.values() for line in lines[:1]
    )


def _is_kolektor(contents: Contents) -> bool:
    """Return whether images have a mask beside them: Part0.jpg and Part0_label.bmp, or 10000.png and 10000_GT.png."""
    stems = _stems(contents.files)
    return any(
        stem.endswith(end) and stem.removesuffix(end) in stems for end in ("_label", "_GT") for stem in stems
    )


def _is_deep_pcb(contents: Contents) -> bool:
    stems = _stems(contents.files)
    return any(stem.endswith("_test") and f"{stem.removesuffix('_test')}_temp" in stems for stem in stems)


def _stems(files: Files) -> set[str]:
    return {PurePosixPath(name).with_suffix("").as_posix() for name in files.images}


def _has_text_lines(pattern: str) -> Callable[[Contents], bool]:
    compiled = re.compile(pattern)

    def is_there(contents: Contents) -> bool:
        for name in contents.with_suffix(".txt")[:20]:
            lines = [line for line in contents.text(name).splitlines() if line.strip()]
            if lines and all(compiled.fullmatch(line.strip()) for line in lines[-1:]):
                return True
        return False

    return is_there


_NUMBER = r"-?\d+(?:\.\d+)?"
_AS_COCO = "Export it as COCO, YOLO or Pascal VOC."
_CONVERT = "Convert its labels to COCO (images, annotations with bbox, categories)."

_FORMATS = (
    Foreign(
        "VisA",
        "Convert it to the layout of MVTec AD with its prepare_data.py, and import that folder.",
        _has_columns("object", "split", "label", "image", "mask"),
    ),
    Foreign("Severstal steel defects", _CONVERT, _has_columns("imageid", "classid", "encodedpixels")),
    Foreign("Severstal steel defects", _CONVERT, _has_columns("imageid_classid", "encodedpixels")),
    Foreign("Open Images", _CONVERT, _has_columns("imageid", "labelname", "xmin", "xmax", "ymin", "ymax")),
    Foreign("Supervisely", "Export it as COCO, or with its app for YOLO.", _has_keys("classes", "tags")),
    Foreign("Supervisely", "Export it as COCO, or with its app for YOLO.", _has_keys("size", "objects")),
    Foreign("CreateML", _AS_COCO, _has_first_item("image", "annotations")),
    Foreign("Datumaro", _AS_COCO, _has_keys("categories", "items")),
    Foreign("FiftyOneDataset", "Export it as COCODetectionDataset.", _has_keys("samples")),
    Foreign("VIA 3", "Export it as COCO.", _has_keys("project", "file", "view")),
    Foreign("Darwin (V7)", _AS_COCO, _has_keys("item", "annotations")),
    Foreign("Labelbox", _AS_COCO, _has_line_keys("data_row")),
    Foreign("Labelbox", _AS_COCO, _has_first_item("data_row")),
    Foreign("SuperAnnotate", _AS_COCO, _has_keys("metadata", "instances")),
    Foreign(
        "Label Studio's JSON-MIN",
        "Export it as JSON, COCO or YOLO.",
        _has_first_item("image", "id", "annotator"),
    ),
    Foreign(
        "Label Studio's CSV", "Export it as JSON, COCO or YOLO.", _has_columns("image", "label", "annotator")
    ),
    Foreign("VIA's CSV", "Export it as JSON or COCO.", _has_columns("filename", "region_shape_attributes")),
    Foreign("YOLO for Keras", _AS_COCO, _has_text_lines(r"\S+\.\w{3,4}(?: \d+,\d+,\d+,\d+,\d+)+")),
    Foreign("PaliGemma's JSON Lines", _AS_COCO, _has_line_keys("image", "prefix", "suffix")),
    Foreign("TFRecord", _AS_COCO, _has_names(r"\.tfrecords?(-\d+-of-\d+)?$")),
    Foreign("DOTA", "Export its boxes as COCO or YOLO.", _has_text_lines(rf"(?:{_NUMBER} ){{8}}[\w-]+ \d")),
    Foreign("KITTI", "Export it as COCO or YOLO.", _has_text_lines(rf"[\w-]+(?: {_NUMBER}){{14,15}}")),
    Foreign("DAGM 2007", _CONVERT, _has_names(r"(^|/)Label/\w+_label\.png$")),
    Foreign("Magnetic Tile", _CONVERT, _has_names(r"(^|/)MT_\w+/Imgs/")),
    Foreign("DeepPCB", f"{_CONVERT} Its images are those that end in _test.", _is_deep_pcb),
    Foreign("KolektorSDD", f"{_CONVERT} Its masks are the images that end in _label or _GT.", _is_kolektor),
)
