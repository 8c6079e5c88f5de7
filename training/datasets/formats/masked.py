"""Puts the masks of an image onto it: each connected area of a label becomes a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from contract.tags import is_good
from training.datasets.dataset import Mask, Object
from training.datasets.formats.annotations import AnnotatedImage
from training.datasets.formats.masks import MaskPixels, areas
from training.datasets.problems import Problems


def with_masks(
    image: AnnotatedImage,
    masks: Sequence[tuple[MaskPixels, Mask]],
    problems: Problems,
    label: str | None = None,
) -> AnnotatedImage:
    """Return an image with its masks and the boxes of their areas.

    Args:
        image: The image with its labels of the whole image.
        masks: Its masks. Those without a defective pixel are left out.
        problems: Collects what contradicts the labels.
        label: The label of the boxes; None for the labels of the masks.
    """
    objects: list[Object] = []
    kept: list[Mask] = []
    for pixels, mask in masks:
        found = [replace(obj, label=label) if label else obj for obj in _objects(pixels)]
        objects += found
        kept += [mask] if found else []
    is_defective = any(not is_good(tag) for tag in image.tags)
    if masks and not kept and is_defective:
        message = f"is labelled {image.tags[0]!r}, but its mask {masks[0][1].name} has no defective pixel"
        problems.report("empty-mask", image.name, message)
    return replace(
        image,
        objects=(*image.objects, *objects),
        masks=tuple(kept),
        normalised=True,
        size=masks[0][0].size if masks else image.size,
    )


def _objects(pixels: MaskPixels) -> list[Object]:
    """Return the box of each area in 0..1: a mask may be drawn on a smaller copy of its image."""
    width, height = pixels.size
    scale = np.array([width, height, width, height])
    return [
        Object(label, tuple((np.array(box, np.float64) / scale).tolist()))
        for number, label in enumerate(pixels.labels, start=1)
        for box in areas(pixels.values == number)
    ]
