"""CVAT for images: one XML file with every image and its shapes.

Source: docs.cvat.ai/docs/dataset_management/formats/format-cvat/.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from training.datasets.dataset import Box, Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim, image_of
from training.datasets.formats.contents import Contents
from training.datasets.formats.parts import part_of_folders, part_of_word
from training.datasets.formats.shapes import around, ellipse, rotated
from training.datasets.formats.xml import read_xml
from training.datasets.problems import DatasetError, Problems
from training.datasets.storage.files import Files

_ROOT = "annotations"
_WITHOUT_AREA = ("polyline", "points", "skeleton", "cuboid")


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the XML files with CVAT's root element."""
    own = [name for name, root in contents.xml_roots.items() if root == _ROOT]
    return Claim(contents.like(own, contents.xml_roots)) if own else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every image.

    Raises:
        DatasetError: It is the export of a video.
    """
    roots = [(file, root) for file in claim.files if (root := read_xml(files, file, problems)) is not None]
    labels: dict[str, None] = {}
    for file, root in roots:
        if root.find("track") is not None:
            raise DatasetError(
                file, "is CVAT's format for videos: export the task as CVAT for images, or COCO"
            )
        labels |= dict.fromkeys(
            (element.findtext("name") or "").strip() for element in root.iter("label") if len(element)
        )
    known = [label for label in labels if label]
    images = (
        image for file, root in roots for image in _annotated_images(files, file, root, known, problems)
    )
    count = sum(len(root.findall("image")) for _, root in roots)
    return Annotations(files, images, count, known or None)


def _annotated_images(
    files: Files, file: str, root: Element, known: Sequence[str], problems: Problems
) -> Iterator[AnnotatedImage]:
    for number, element in enumerate(root.findall("image"), start=1):
        subset = element.get("subset", "")
        place = f"image {element.get('id', number)}"
        name = image_of(files, element.get("name", ""), file, problems, place, hint=subset)
        if name is None:
            continue
        shapes = [child for child in element if child.tag not in ("tag", "attribute")]
        objects = [obj for shape in shapes if (obj := _object(shape, name, file, known, problems))]
        tags = tuple(tag.get("label", "") for tag in element.findall("tag"))
        yield AnnotatedImage(
            name,
            file,
            tuple(objects),
            size=_size(element),
            tags=tuple(tag for tag in tags if tag),
            source_part=part_of_word(subset) or part_of_folders(name),
            lost=len(shapes) - len(objects),
        )


def _object(shape: Element, name: str, file: str, known: Sequence[str], problems: Problems) -> Object | None:
    label = (shape.get("label") or "").strip()
    if shape.tag in _WITHOUT_AREA:
        problems.tally("lost-shape", file, f"has shapes of the kind {shape.tag}")
        return None
    try:
        box = _box(shape)
        if not label:
            raise ValueError("it has no label")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        message = f"<{shape.tag}> is not a box or shape with a label: {error}"
        problems.report("bad-annotation", file, message, f"image {name}")
        return None
    if known and label not in known:
        message = f"<{shape.tag}> has the label {label!r}, which is not among the task's labels"
        problems.report("unknown-class", file, message, f"image {name}")
        return None
    if shape.tag != "box" or float(shape.get("rotation") or 0):
        problems.tally("shape-box", file, "has turned boxes" if shape.tag == "box" else f"has {shape.tag}s")
    return Object(label, box)


def _box(shape: Element) -> Box:
    """Return the box around a shape. Raises KeyError or ValueError if it is not one that has an area."""
    if shape.tag == "box":
        x1, y1, x2, y2 = (float(shape.attrib[edge]) for edge in ("xtl", "ytl", "xbr", "ybr"))
        degrees = float(shape.get("rotation") or 0)
        # CVAT turns a box about its centre.
        centre = ((x1 + x2) / 2, (y1 + y2) / 2)
        return rotated((x1, y1, x2, y2), degrees, centre) if degrees else (x1, y1, x2, y2)
    if shape.tag == "polygon":
        points = [point.split(",") for point in shape.attrib["points"].split(";")]
        return around([float(x) for x, _ in points], [float(y) for _, y in points])
    if shape.tag == "ellipse":
        cx, cy, rx, ry = (float(shape.attrib[name]) for name in ("cx", "cy", "rx", "ry"))
        degrees = float(shape.get("rotation") or 0)
        return rotated(ellipse(cx, cy, rx, ry), degrees, (cx, cy)) if degrees else ellipse(cx, cy, rx, ry)
    if shape.tag == "mask":
        left, top, width, height = (float(shape.attrib[name]) for name in ("left", "top", "width", "height"))
        return left, top, left + width, top + height
    raise ValueError("this kind of shape is not known")


def _size(element: Element) -> tuple[int, int] | None:
    try:
        return int(element.get("width") or ""), int(element.get("height") or "")
    except ValueError:
        return None
