"""VGG Image Annotator (VIA) 1 and 2: one JSON file with the regions of every image.

Source: www.robots.ox.ac.uk/~vgg/software/via/.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from training.datasets.dataset import Box, Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim, image_of
from training.datasets.formats.contents import Contents, load_json
from training.datasets.formats.parts import part_of_file, part_of_folders
from training.datasets.formats.shapes import around, ellipse
from training.datasets.problems import Problems
from training.datasets.storage.files import Files

_IMAGES = "_via_img_metadata"
_WITHOUT_AREA = ("point", "polyline", "line")
# Of several attributes, the one that has the class.
_CLASS_ATTRIBUTES = ("class", "label", "defect", "type", "category", "name")


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the JSON files with VIA's keys."""
    own = [name for name, document in contents.jsons.items() if _is_via(document)]
    return Claim(tuple(own)) if own else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every image."""
    documents = {file: load_json(files, file) for file in claim.files}
    images = (
        image
        for file, document in documents.items()
        for image in _annotated_images(files, file, document, problems)
    )
    return Annotations(files, images, sum(len(_entries(document)) for document in documents.values()))


def _is_via(document: Any) -> bool:
    return isinstance(document, dict) and (
        _IMAGES in document
        or any(
            isinstance(entry, dict) and {"filename", "regions"} <= entry.keys() for entry in document.values()
        )
    )


def _entries(document: dict[str, Any]) -> list[Any]:
    entries = document.get(_IMAGES, document)
    return list(entries.values()) if isinstance(entries, dict) else []


def _annotated_images(
    files: Files, file: str, document: dict[str, Any], problems: Problems
) -> Iterator[AnnotatedImage]:
    attribute = _class_attribute(document)
    options = _options(document, attribute)
    for entry in _entries(document):
        if not isinstance(entry, dict) or "filename" not in entry:
            problems.report("bad-annotation", file, f"has an entry without a filename: {str(entry)[:80]}")
            continue
        name = image_of(files, str(entry["filename"]), file, problems)
        if name is None:
            continue
        regions = _regions(entry)
        objects = []
        for number, region in enumerate(regions, start=1):
            place = f"region {number} of {entry['filename']}"
            if obj := _object(region, attribute, options, file, place, problems):
                objects.append(obj)
        part = part_of_folders(name) or part_of_file(file)
        yield AnnotatedImage(name, file, tuple(objects), source_part=part, lost=len(regions) - len(objects))


def _regions(entry: dict[str, Any]) -> list[Any]:
    """Return the regions of an image: a list, or in VIA 1 numbered."""
    regions = entry.get("regions") or []
    if isinstance(regions, dict):
        return list(regions.values())
    # What is no list has no region that could be read, and its image is no good product.
    return regions if isinstance(regions, list) else [regions]


def _class_attribute(document: dict[str, Any]) -> str:
    """Return the attribute with the class of a region: one with a usual name, or the one that most regions have."""
    counts = Counter(
        name
        for entry in _entries(document)
        if isinstance(entry, dict)
        for region in _regions(entry)
        if isinstance(region, dict) and isinstance(region.get("region_attributes"), dict)
        for name in region["region_attributes"]
    )
    usual = [name for word in _CLASS_ATTRIBUTES for name in counts if name.casefold() == word]
    return max(usual or counts, key=lambda name: counts[name], default="")


def _options(document: dict[str, Any], attribute: str) -> dict[str, str]:
    """Return the names of the options of an attribute, by the id that the regions have."""
    try:
        options = document["_via_attributes"]["region"][attribute]["options"]
        return {str(key): str(value or key) for key, value in options.items()}
    except (KeyError, TypeError, AttributeError):
        return {}


def _object(
    region: Any, attribute: str, options: dict[str, str], file: str, place: str, problems: Problems
) -> Object | None:
    try:
        shape, attributes = region["shape_attributes"], region["region_attributes"]
        kind = str(shape["name"])
        if kind in _WITHOUT_AREA:
            problems.tally("lost-shape", file, f"has regions of the kind {kind}")
            return None
        box = _box(kind, shape)
        label = _label(attributes.get(attribute), options)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        problems.report("bad-annotation", file, f"is not a region with a class: {error}", place)
        return None
    if kind != "rect":
        problems.tally("shape-box", file, f"has regions of the kind {kind}")
    return Object(label, box)


def _label(value: Any, options: dict[str, str]) -> str:
    """Return the class that an attribute gives. Raises ValueError if it gives none, or several."""
    chosen = (
        [str(key) for key, is_set in value.items() if is_set]
        if isinstance(value, dict)
        else [str(value or "")]
    )
    if len(chosen) != 1 or not chosen[0].strip():
        raise ValueError(f"the attribute is {value!r}")
    return options.get(chosen[0], chosen[0]).strip()


def _box(kind: str, shape: dict[str, Any]) -> Box:
    """Return the box around a region. Raises KeyError or ValueError if it is none with an area."""
    if kind == "rect":
        x, y, width, height = (float(shape[name]) for name in ("x", "y", "width", "height"))
        return x, y, x + width, y + height
    if kind == "polygon":
        return around([float(x) for x in shape["all_points_x"]], [float(y) for y in shape["all_points_y"]])
    if kind == "circle":
        return ellipse(float(shape["cx"]), float(shape["cy"]), float(shape["r"]), float(shape["r"]))
    if kind == "ellipse":
        return ellipse(*(float(shape[name]) for name in ("cx", "cy", "rx", "ry")))
    raise ValueError(f"the shape {kind!r} is not known")
