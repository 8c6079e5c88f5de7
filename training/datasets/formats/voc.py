"""Pascal VOC: one XML file an image; coordinates count from 1 and include the last pixel.

Source: the VOC2012 development kit, section 4 (host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from training.datasets.dataset import Object
from training.datasets.entries import Entry, Source
from training.datasets.files import Files
from training.datasets.problems import Problems


def find(files: Files) -> list[str] | None:
    """The names of the XML files, if there are any."""
    return [name for name in files.names if name.lower().endswith(".xml")] or None


def read(files: Files, annotations: list[str], problems: Problems) -> Source:
    """Every XML file with the image of the same name."""
    return Source(files, _entries(files, annotations, problems), len(annotations))


def _entries(files: Files, annotations: list[str], problems: Problems) -> Iterator[Entry]:
    for annotation in annotations:
        try:
            root = fromstring(files.read(annotation))
        except (ParseError, DefusedXmlException, ValueError) as error:
            problems.report("bad-annotation", annotation, f"is not readable XML: {error}")
            continue
        if image := _image(files, annotation, root.findtext("filename") or "", problems):
            objects = (_object(element, annotation, problems) for element in root.iter("object"))
            yield Entry(image, annotation, tuple(each for each in objects if each), size=_size(root))


def _image(files: Files, annotation: str, named: str, problems: Problems) -> str | None:
    """The image of an annotation: of the same name, else of the name inside; the nearest one, if several."""
    stems = PurePosixPath(annotation).stem, PurePosixPath(named.replace("\\", "/")).stem
    images = next((found for stem in stems if (found := files.images_by_stem.get(stem))), [])
    nearest = max((_shared_folders(annotation, name) for name in images), default=0)
    images = [name for name in images if _shared_folders(annotation, name) == nearest]
    exact = [name for name in images if PurePosixPath(name).name == named]
    chosen = exact if len(exact) == 1 else images
    if not chosen:
        problems.report("missing-image", annotation, "has no image of its name beside it")
    elif len(chosen) > 1:
        problems.report("ambiguous-image", annotation, f"has several images of its name: {', '.join(chosen)}")
    return chosen[0] if len(chosen) == 1 else None


def _shared_folders(a: str, b: str) -> int:
    shared = 0
    for one, other in zip(PurePosixPath(a).parts[:-1], PurePosixPath(b).parts[:-1], strict=False):
        if one != other:
            break
        shared += 1
    return shared


def _size(root: Element) -> tuple[int, int] | None:
    try:
        return int(root.findtext("size/width") or ""), int(root.findtext("size/height") or "")
    except ValueError:
        return None  # many tools leave it out, and it is only ever compared


def _object(element: Element, annotation: str, problems: Problems) -> Object | None:
    label = (element.findtext("name") or "").strip()
    if not label:
        problems.report("bad-annotation", annotation, "has an object without a name")
        return None
    edges = []
    for edge in ("xmin", "ymin", "xmax", "ymax"):
        text = element.findtext(f"bndbox/{edge}")
        try:
            edges.append(float(text or ""))
        except ValueError:
            message = f"{edge} is {text!r}, not a number"
            problems.report("bad-annotation", annotation, message, f"object {label!r}")
            return None
    x1, y1, x2, y2 = edges
    return Object(label, (x1 - 1, y1 - 1, x2, y2))
