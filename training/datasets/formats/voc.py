"""Pascal VOC: one XML file per image. Coordinates count from 1 and include the last pixel.

Source: the VOC2012 development kit, section 4 (host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element

from contract.snapshots import Part
from training.datasets.dataset import Box, Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim
from training.datasets.formats.contents import Contents, text_lines
from training.datasets.formats.parts import higher, part_of_folders, part_of_word
from training.datasets.formats.shapes import around
from training.datasets.formats.xml import read_xml
from training.datasets.problems import Problems
from training.datasets.storage.files import Files
from training.datasets.storage.names import is_mask

_ROOT = "annotation"


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the XML files with the root element of VOC, and with them those without any root, to report them."""
    roots = contents.xml_roots
    own = [name for name, root in roots.items() if root == _ROOT]
    broken = [name for name, root in roots.items() if not root]
    if not own and (set(roots) - set(broken) or not is_asked):
        # Files that are all damaged are still to be named one by one.
        own = broken if set(roots) == set(broken) else []
    return Claim(contents.like([*own, *broken], roots)) if own else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every XML file that has an image of its name."""
    masks = {name for name in files.images if is_mask(name)}
    images = _annotated_images(files, claim.files, problems)
    return Annotations(files, images, len(claim.files), other_images=masks)


def _annotated_images(
    files: Files, xml_files: tuple[str, ...], problems: Problems
) -> Iterator[AnnotatedImage]:
    parts = _listed_parts(files)
    for file in xml_files:
        root = read_xml(files, file, problems)
        if root is None:
            continue
        if root.tag != _ROOT:
            problems.report("bad-annotation", file, f"is not Pascal VOC: its root is <{root.tag}>")
            continue
        if image := _image(files, file, root, problems):
            # LabelMe's web tool keeps the objects that somebody deleted.
            elements = [element for element in root.iter("object") if element.findtext("deleted") != "1"]
            objects = [obj for element in elements if (obj := _object(element, file, problems))]
            part = parts.get(PurePosixPath(image).stem) or part_of_folders(image) or part_of_folders(file)
            lost = len(elements) - len(objects)
            yield AnnotatedImage(image, file, tuple(objects), size=_size(root), source_part=part, lost=lost)


def _listed_parts(files: Files) -> dict[str, Part | None]:
    """Return the part of each image that the lists in ImageSets give, by its name without suffix."""
    parts: dict[str, Part | None] = {}
    for name in files.names:
        path = PurePosixPath(name)
        part = part_of_word(path.stem)
        if part and path.suffix.lower() == ".txt" and "imagesets" in path.as_posix().lower():
            if path.stem.lower() == "trainval":
                continue
            for line in text_lines(files, name):
                if words := line.split():
                    stem = PurePosixPath(words[0]).stem
                    parts[stem] = higher(parts.get(stem), part)
    return parts


def _image(files: Files, file: str, root: Element, problems: Problems) -> str | None:
    """Return the image of an XML file: the one of its name, or else of the name inside it.

    If it is not exactly one, a problem is reported, and None is returned.
    """
    name_inside = (root.findtext("filename") or "").strip()
    hint = (root.findtext("folder") or "").strip()
    found = files.matching(PurePosixPath(file).stem, file, hint) or files.matching(name_inside, file, hint)
    if len(found) > 1:
        exact = [name for name in found if PurePosixPath(name).name == PurePosixPath(name_inside).name]
        found = exact if len(exact) == 1 else found
    if not found:
        problems.report("missing-image", file, "has no image of the same name")
    elif len(found) > 1:
        problems.report("ambiguous-image", file, f"has several images of the same name: {', '.join(found)}")
    return found[0] if len(found) == 1 else None


def _size(root: Element) -> tuple[int, int] | None:
    try:
        return int(root.findtext("size/width") or ""), int(root.findtext("size/height") or "")
    except ValueError:
        # Many tools leave it out, and it is only compared with the size of the image itself.
        return None


def _object(element: Element, file: str, problems: Problems) -> Object | None:
    label = (element.findtext("name") or "").strip()
    if not label:
        problems.report("bad-annotation", file, "has an object without a name")
        return None
    polygon = _polygon(element)
    if polygon:
        problems.tally("shape-box", file, "has polygons")
    if element.find("bndbox") is None and polygon:
        return Object(label, polygon)
    edges = []
    for edge in ("xmin", "ymin", "xmax", "ymax"):
        text = element.findtext(f"bndbox/{edge}")
        try:
            edges.append(float(text or ""))
        except ValueError:
            message = f"{edge} is {text!r}, not a number"
            problems.report("bad-annotation", file, message, f"object {label!r}")
            return None
    x1, y1, x2, y2 = edges
    # Some tools exchange the corners, and some count from 0.
    left, top = min(x1, x2), min(y1, y2)
    shifted = (left - (left != 0), top - (top != 0))
    box = (shifted[0], shifted[1], max(x1, x2), max(y1, y2))
    return Object(
        label, (box[2 * (x1 > x2)], box[1 + 2 * (y1 > y2)], box[2 * (x1 <= x2)], box[1 + 2 * (y1 <= y2)])
    )


def _polygon(element: Element) -> Box | None:
    """Return the box around the polygon of an object: LabelMe's points, or Roboflow's x1, y1, x2, …"""
    polygon = element.find("polygon")
    if polygon is None:
        return None
    points = polygon.findall("pt")
    try:
        if points:
            return around(
                [float(point.findtext("x") or "") for point in points],
                [float(point.findtext("y") or "") for point in points],
            )
        values = {child.tag: float(child.text or "") for child in polygon}
        return around(
            [value for tag, value in values.items() if tag.startswith("x")],
            [value for tag, value in values.items() if tag.startswith("y")],
        )
    except ValueError:
        return None
