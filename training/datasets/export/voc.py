"""Writes Pascal VOC: JPEGImages/, Annotations/*.xml, and the parts in ImageSets/Main/*.txt.

Coordinates count from 1 and include the last pixel.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from contract.snapshots import PARTS, Part
from training.datasets.dataset import Dataset, Object, Sample
from training.datasets.export.pictures import OnImage, Pictures

_LISTS: dict[Part, str] = {"train": "train", "validation": "val", "test": "test"}
_IMAGES = "JPEGImages"


def write_voc(dataset: Dataset, folder: Path, on_image: OnImage = lambda: None) -> list[Path]:
    """Write a data set, and return the lists of its parts.

    Raises:
        DatasetError: An image cannot be read.
    """
    annotations, lists = folder / "Annotations", folder / "ImageSets" / "Main"
    annotations.mkdir(parents=True)
    lists.mkdir(parents=True)
    pictures = Pictures(dataset, on_image)
    files = []
    for part in PARTS:
        stems = []
        for sample in dataset.part(part).samples:
            name = pictures.copy(sample, folder / _IMAGES)
            stems.append(Path(name).stem)
            tree = ElementTree.ElementTree(_annotation(sample, name))
            ElementTree.indent(tree)
            tree.write(annotations / f"{stems[-1]}.xml", encoding="utf-8")
        files.append(lists / f"{_LISTS[part]}.txt")
        files[-1].write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8")
    return files


def _annotation(sample: Sample, name: str) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    _add(root, "folder", _IMAGES)
    _add(root, "filename", name)
    size = ElementTree.SubElement(root, "size")
    for tag, value in (("width", sample.width), ("height", sample.height), ("depth", 3)):
        _add(size, tag, value)
    for obj in sample.objects:
        root.append(_object(obj))
    return root


def _object(obj: Object) -> ElementTree.Element:
    element = ElementTree.Element("object")
    _add(element, "name", obj.label)
    _add(element, "difficult", 0)
    box = ElementTree.SubElement(element, "bndbox")
    x1, y1, x2, y2 = obj.box
    for tag, value in (("xmin", x1 + 1), ("ymin", y1 + 1), ("xmax", x2), ("ymax", y2)):
        # Most readers take whole numbers only, so these have no fraction.
        _add(box, tag, int(value) if value == int(value) else value)
    return element


def _add(parent: ElementTree.Element, tag: str, value: object) -> None:
    ElementTree.SubElement(parent, tag).text = str(value)
