"""Amazon Lookout for Vision: a manifest with a verdict an image and, for some, a mask of the anomalies.

A line: {"source-ref", "anomaly-label", "anomaly-label-metadata": {"class-name"}, "anomaly-mask-ref",
"anomaly-mask-ref-metadata": {"internal-color-map": {"1": {"class-name", "hex-color"}}}}. Each connected area of
a colour becomes a box; the verdict becomes the image's tag.
Source: docs.aws.amazon.com/lookout-for-vision/latest/developer-guide/manifest-file-segmentation.html.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from training.datasets.dataset import Object
from training.datasets.entries import Entry, Source
from training.datasets.files import Files
from training.datasets.formats import manifest as manifests
from training.datasets.formats.masks import areas
from training.datasets.problems import Problems

_COLOURS_SHOWN = 3


def find(files: Files) -> list[str] | None:
    """The manifests, if their first line has an anomaly-label."""
    found = manifests.find(files)
    return found if found and "anomaly-label" in manifests.first(files, found) else None


def read(files: Files, found: list[str], problems: Problems) -> Source:
    """Every line of the manifests."""
    labels, masks = list[str](), set[str]()
    entries = _entries(files, found, labels, masks, problems)
    return Source(files, entries, manifests.count(files, found), labels, masks)


def _entries(
    files: Files, found: list[str], labels: list[str], masks: set[str], problems: Problems
) -> Iterator[Entry]:
    for manifest, place, image, line in manifests.lines(files, found, problems):
        metadata = line.get("anomaly-label-metadata")
        verdict = metadata.get("class-name") if isinstance(metadata, dict) else None
        if verdict is None:
            message = f"{image}: has no class-name in anomaly-label-metadata"
            problems.report("bad-annotation", manifest, message, place)
            continue
        entry = Entry(image, manifest, (), tags=(str(verdict),))
        if "anomaly-mask-ref" in line:
            colours = _colours(line)
            if colours is None:
                message = f"{image}: has no internal-color-map with class-name and hex-color"
                problems.report("bad-annotation", manifest, message, place)
                continue
            labels += [label for label in colours.values() if label and label not in labels]
            mask = manifests.resolve(files, str(line["anomaly-mask-ref"]), manifest, place, problems)
            if mask is None:
                continue
            masks.add(mask)
            masked = _masked(files, entry, mask, colours, problems)
            if masked is None:
                continue
            entry = masked
        yield entry


def _masked(
    files: Files, entry: Entry, name: str, colours: dict[int, str], problems: Problems
) -> Entry | None:
    """The entry with a box for each area of the mask `name`; None, and a problem, if it cannot be read."""
    try:
        with Image.open(io.BytesIO(files.read(name)), formats=("PNG", "BMP", "TIFF")) as image:
            mask = np.asarray(image.convert("RGB")).astype(np.uint32)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        problems.report("unreadable-image", name, f"is not a readable mask: {error}")
        return None
    codes = mask[:, :, 0] << 16 | mask[:, :, 1] << 8 | mask[:, :, 2]
    stray = [int(code) for code in np.unique(codes) if int(code) not in colours]
    if stray:
        shown = ", ".join(f"#{code:06x}" for code in stray[:_COLOURS_SHOWN])
        message = f"has {len(stray)} colours that the internal-color-map lacks, such as {shown}"
        problems.report("bad-annotation", name, message)
        return None
    height, width = codes.shape
    scale = np.array([width, height, width, height])  # a mask may be drawn on a smaller copy of its image
    objects = tuple(
        Object(label, tuple((box / scale).tolist()))
        for code, label in colours.items()
        if label
        for box in _boxes(codes == code)
    )
    return replace(entry, objects=objects, normalised=True, size=(width, height))


def _boxes(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    return [np.array(box, dtype=np.float64) for box in areas(mask)]


def _colours(line: dict[str, Any]) -> dict[int, str] | None:
    """Colour as 0xRRGGBB → label; "" for the background."""
    found: dict[int, str] = {}
    try:
        for entry in line["anomaly-mask-ref-metadata"]["internal-color-map"].values():
            label = str(entry["class-name"])
            found[int(entry["hex-color"].removeprefix("#"), 16)] = "" if label == "BACKGROUND" else label
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return found or None
