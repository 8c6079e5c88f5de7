"""Amazon Lookout for Vision: a manifest with a verdict per image and, for some, a mask of the anomalies.

A line: {"source-ref", "anomaly-label", "anomaly-label-metadata": {"class-name"}, "anomaly-mask-ref",
"anomaly-mask-ref-metadata": {"internal-color-map": {"1": {"class-name", "hex-color"}}}}. Each connected area of
a colour becomes a box. The verdict becomes the image's tag.

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
from training.datasets.formats import manifest
from training.datasets.formats.annotations import AnnotatedImage, Annotations
from training.datasets.formats.manifest import ManifestLine
from training.datasets.formats.masks import areas
from training.datasets.problems import Problems
from training.datasets.storage.files import Files

_COLOURS_SHOWN = 3


def find(files: Files) -> list[str] | None:
    """Return the manifests, if their first line has an anomaly-label."""
    manifests = manifest.find(files)
    return manifests if manifests and "anomaly-label" in manifest.first_line(files, manifests) else None


def read(files: Files, manifests: list[str], problems: Problems) -> Annotations:
    """Return the labels of every line of the manifests."""
    labels, masks = list[str](), set[str]()
    images = _annotated_images(files, manifests, labels, masks, problems)
    return Annotations(files, images, manifest.count_lines(files, manifests), labels, masks)


def _annotated_images(
    files: Files, manifests: list[str], labels: list[str], masks: set[str], problems: Problems
) -> Iterator[AnnotatedImage]:
    for line in manifest.read_lines(files, manifests, problems):
        metadata = line.fields.get("anomaly-label-metadata")
        verdict = metadata.get("class-name") if isinstance(metadata, dict) else None
        if verdict is None:
            message = f"{line.image}: has no class-name in anomaly-label-metadata"
            problems.report("bad-annotation", line.manifest, message, line.place)
            continue
        image = AnnotatedImage(line.image, line.manifest, (), tags=(str(verdict),))
        if "anomaly-mask-ref" not in line.fields:
            yield image
        elif with_boxes := _add_boxes(image, line, files, labels, masks, problems):
            yield with_boxes


def _add_boxes(
    image: AnnotatedImage,
    line: ManifestLine,
    files: Files,
    labels: list[str],
    masks: set[str],
    problems: Problems,
) -> AnnotatedImage | None:
    """Return the image with the boxes of its mask; None, with a problem, if there is no usable mask.

    Adds the mask's labels to `labels` and its name to `masks`.
    """
    colours = _colours(line.fields)
    if colours is None:
        message = f"{line.image}: has no internal-color-map with class-name and hex-color"
        problems.report("bad-annotation", line.manifest, message, line.place)
        return None
    labels += [label for label in colours.values() if label and label not in labels]
    reference = str(line.fields["anomaly-mask-ref"])
    mask = manifest.resolve(files, reference, line.manifest, line.place, problems)
    if mask is None:
        return None
    masks.add(mask)
    codes = _colour_codes(files, mask, colours, problems)
    if codes is None:
        return None
    height, width = codes.shape
    # A mask may be drawn on a smaller copy of its image.
    scale = np.array([width, height, width, height])
    objects = tuple(
        Object(label, tuple((np.array(box, np.float64) / scale).tolist()))
        for code, label in colours.items()
        if label
        for box in areas(codes == code)
    )
    return replace(image, objects=objects, normalised=True, size=(width, height))


def _colour_codes(
    files: Files, name: str, colours: dict[int, str], problems: Problems
) -> NDArray[np.integer[Any]] | None:
    """Return each pixel of a mask as 0xRRGGBB, [H, W]; None, with a problem, if it is not as `colours` says."""
    try:
        with Image.open(io.BytesIO(files.read(name)), formats=("PNG", "BMP", "TIFF")) as image:
            mask = np.asarray(image.convert("RGB")).astype(np.uint32)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        problems.report("unreadable-image", name, f"is not a readable mask: {error}")
        return None
    codes = mask[:, :, 0] << 16 | mask[:, :, 1] << 8 | mask[:, :, 2]
    unknown = [int(code) for code in np.unique(codes) if int(code) not in colours]
    if unknown:
        shown = ", ".join(f"#{code:06x}" for code in unknown[:_COLOURS_SHOWN])
        message = f"has {len(unknown)} colours that the internal-color-map lacks, such as {shown}"
        problems.report("bad-annotation", name, message)
        return None
    return codes


def _colours(fields: dict[str, Any]) -> dict[int, str] | None:
    """Return the label of each colour 0xRRGGBB, "" for the background; None if the map is not usable."""
    colours: dict[int, str] = {}
    try:
        for entry in fields["anomaly-mask-ref-metadata"]["internal-color-map"].values():
            label = str(entry["class-name"])
            colours[int(entry["hex-color"].removeprefix("#"), 16)] = "" if label == "BACKGROUND" else label
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return colours or None
