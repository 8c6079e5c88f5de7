"""Pascal VOC: one XML file an image; coordinates count from 1 and include the last pixel."""

from __future__ import annotations

from pathlib import PurePosixPath
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from training.datasets import Dataset, Object, Sample, clip, inspect
from training.datasets.files import DatasetError, Files

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def read(files: Files) -> Dataset:
    """Reads every *.xml of `files` with the image of the same name. Raises DatasetError."""
    images = files.by_stem(_SUFFIXES)
    samples: list[Sample] = []
    dropped = 0
    for annotation in files.names:
        if not annotation.lower().endswith(".xml"):
            continue
        try:
            root = fromstring(files.read(annotation))
        except (ParseError, DefusedXmlException, ValueError) as error:
            raise DatasetError(annotation, f"is not readable XML: {error}") from error
        named = PurePosixPath(root.findtext("filename") or "").stem
        image = images.get(PurePosixPath(annotation).stem) or images.get(named)
        if image is None:
            raise DatasetError(annotation, "has no image of its name beside it")

        def objects(
            width: int, height: int, root: Element = root, annotation: str = annotation
        ) -> tuple[tuple[Object, ...], int]:
            found = [_object(element, annotation) for element in root.iter("object")]
            clipped = [(each.label, clip(each.box, width, height)) for each in found]
            kept = tuple(Object(label, box) for label, box in clipped if box)
            return kept, len(found) - len(kept)

        sample, lost = inspect(files, image, objects)
        samples.append(sample)
        dropped += lost
    labels = sorted({each.label for sample in samples for each in sample.objects})
    return Dataset(files, tuple(labels), tuple(samples), dropped)


def _object(element: Element, annotation: str) -> Object:
    label = (element.findtext("name") or "").strip()
    if not label:
        raise DatasetError(annotation, "has an object without a name")
    edges = []
    for edge in ("xmin", "ymin", "xmax", "ymax"):
        text = element.findtext(f"bndbox/{edge}")
        try:
            edges.append(float(text or ""))
        except ValueError as error:
            raise DatasetError(annotation, f"object {label!r}: {edge} is {text!r}, not a number") from error
    x1, y1, x2, y2 = edges
    return Object(label, (x1 - 1, y1 - 1, x2, y2))
