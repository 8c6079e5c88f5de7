"""Pascal VOC: one XML file per image. Coordinates count from 1 and include the last pixel.

Source: the VOC2012 development kit, section 4 (host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from training.datasets.dataset import Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations
from training.datasets.problems import Problems
from training.datasets.storage.files import Files, common_length


def find(files: Files) -> list[str] | None:
    """Return the names of the XML files; None if there are none."""
    return [name for name in files.names if name.lower().endswith(".xml")] or None


def read(files: Files, xml_files: list[str], problems: Problems) -> Annotations:
    """Return the labels of every XML file that has an image of its name."""
    return Annotations(files, _annotated_images(files, xml_files, problems), len(xml_files))


def _annotated_images(files: Files, xml_files: list[str], problems: Problems) -> Iterator[AnnotatedImage]:
    for file in xml_files:
        try:
            root = fromstring(files.read(file))
        except (ParseError, DefusedXmlException, ValueError) as error:
            problems.report("bad-annotation", file, f"is not readable XML: {error}")
            continue
        if image := _image(files, file, root.findtext("filename") or "", problems):
            objects = (_object(element, file, problems) for element in root.iter("object"))
            yield AnnotatedImage(image, file, tuple(obj for obj in objects if obj), size=_size(root))


def _image(files: Files, file: str, name_inside: str, problems: Problems) -> str | None:
    """Return the image of an XML file: the one of its name, or else of the name inside it.

    Of several images the nearest one counts: the one that shares the most folders with the XML file. If it is not
    exactly one, a problem is reported, and None is returned.
    """
    stems = PurePosixPath(file).stem, PurePosixPath(name_inside.replace("\\", "/")).stem
    images = next((names for stem in stems if (names := files.images_by_stem.get(stem))), [])
    nearest = max((_shared_folders(file, name) for name in images), default=0)
    images = [name for name in images if _shared_folders(file, name) == nearest]
    exact = [name for name in images if PurePosixPath(name).name == name_inside]
    chosen = exact if len(exact) == 1 else images
    if not chosen:
        problems.report("missing-image", file, "has no image of the same name")
    elif len(chosen) > 1:
        problems.report("ambiguous-image", file, f"has several images of the same name: {', '.join(chosen)}")
    return chosen[0] if len(chosen) == 1 else None


def _shared_folders(a: str, b: str) -> int:
    return common_length(PurePosixPath(a).parts[:-1], PurePosixPath(b).parts[:-1])


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
    return Object(label, (x1 - 1, y1 - 1, x2, y2))
