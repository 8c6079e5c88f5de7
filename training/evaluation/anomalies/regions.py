"""How well the heat maps of an anomaly model show where the defect is, for images with masks.

- Pixel AP: the average precision over all pixels, each a case of its own: mean precision over the recall that it adds.
- PRO, per-region overlap: the mean share of each defective region that reaches a threshold, over the share of the
  normal pixels that do, integrated up to 0.3 of these and divided by it (Bergmann et al., "Uninformed Students", CVPR
  2020, and "The MVTec Anomaly Detection Dataset", IJCV 129, 2021). Small regions count as much as large ones.

Maps are stretched to the size of the mask. Their values are counted in at most _BINS steps, so that the memory does
not grow with the pixels; each resample of the bootstrap is then a sum of these counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.datasets import Dataset
from training.evaluation.anomalies.masks import Masks
from training.evaluation.anomalies.scores import Figure
from training.evaluation.bootstrap import interval
from training.evaluation.metrics import Counts, Floats
from training.job import stopping
from training.model.anomaly import regions

FIGURES = ("pixel_ap", "pro")
FPR_LIMIT = 0.3
_BINS = 1000
_CHUNK = 2_000_000  # elements processed at once

Flags = NDArray[np.bool_]
Map = NDArray[np.float32]


@dataclass(frozen=True)
class PixelCounts:
    """The pixels of N images and R regions by the step of their distance, the farthest first.

    Attributes:
        normal: [N, B] pixels outside of every defect.
        defective: [N, B] pixels of defects.
        overlap: [R, B] the share of each region that reaches each step.
        images: [R] the image of each region.
    """

    normal: Floats
    defective: Floats
    overlap: Floats
    images: Counts


def pixel_figures(
    dataset: Dataset, maps: Sequence[Map], masks: Masks, weights: Counts
) -> dict[str, Figure | None]:
    """Return how well the maps show the defects.

    Args:
        dataset: The N images.
        maps: Of each image, [h, w].
        masks: Which masks count.
        weights: [resamples, N] how often each image was drawn.

    Returns:
        A figure for each name of FIGURES; None without a mask that marks a defect, or without any normal pixel.

    Raises:
        DatasetError: A mask was altered meanwhile.
    """
    if not masks.marked:
        return dict.fromkeys(FIGURES)
    counts = count_pixels(dataset, maps, masks)
    if not counts.normal.any():
        return dict.fromkeys(FIGURES)
    once = np.ones((1, len(maps)))
    points = figures_of(counts, once)
    step = max(1, _CHUNK // counts.normal.shape[1])
    chunks = [figures_of(counts, weights[start : start + step]) for start in range(0, len(weights), step)]
    result: dict[str, Figure | None] = {}
    for column, name in enumerate(FIGURES):
        point = float(points[column][0])
        samples = np.concatenate([chunk[column] for chunk in chunks])
        result[name] = Figure(point, interval(point, samples), samples)
    return result


def count_pixels(dataset: Dataset, maps: Sequence[Map], masks: Masks) -> PixelCounts:
    """Count the pixels of all images that count, by the distance of their place.

    Raises:
        DatasetError: A mask was altered meanwhile.
    """
    edges = _edges([maps[index] for index in masks.counted])
    steps = len(edges)
    normal, defective = np.zeros((len(maps), steps)), np.zeros((len(maps), steps))
    overlaps: list[Floats] = []
    images: list[int] = []
    for index in masks.counted:
        stopping.check()
        mask = masks.pixels(dataset, index)
        # The farthest step is the first.
        place = steps - np.searchsorted(edges, _stretched(maps[index], mask), side="right")
        place = np.minimum(place, steps - 1)
        normal[index] = np.bincount(place[~mask], minlength=steps)
        for rows, columns in regions(mask):
            found = np.bincount(place[rows, columns], minlength=steps)
            defective[index] += found
            overlaps.append(np.cumsum(found) / len(rows))
            images.append(index)
    return PixelCounts(normal, defective, np.array(overlaps).reshape(-1, steps), np.array(images, np.int64))


def figures_of(counts: PixelCounts, weights: NDArray[np.number]) -> tuple[Floats, Floats]:
    """Return the pixel AP and the PRO [resamples] each; NaN in a resample without a defect or a normal pixel.

    Args:
        counts: Of all images.
        weights: [resamples, N] how often each image was drawn.
    """
    # Floating point, because only these products use the machine's fast multiplication; the counts stay exact.
    drawn = weights.astype(np.float64)
    false = np.cumsum(drawn @ counts.normal, axis=1)
    true = np.cumsum(drawn @ counts.defective, axis=1)
    gained = np.diff(true, axis=1, prepend=0)
    precision = true / np.maximum(true + false, 1)
    share = drawn[:, counts.images]
    overlap = share @ counts.overlap / np.maximum(share.sum(axis=1), 1)[:, None]
    rate = false / np.maximum(false[:, -1:], 1)
    undefined = (true[:, -1] == 0) | (false[:, -1] == 0)
    average = (gained * precision).sum(axis=1) / np.maximum(true[:, -1], 1)
    return np.where(undefined, np.nan, average), np.where(undefined, np.nan, _area(rate, overlap))


def _area(rate: Floats, overlap: Floats) -> Floats:
    """The area under overlap by rate, both [R, B] and rising, up to FPR_LIMIT, as a share of that limit."""
    start = np.zeros((len(rate), 1))
    before, after = np.hstack([start, rate[:, :-1]]), rate
    low, high = np.hstack([start, overlap[:, :-1]]), overlap
    end = np.minimum(after, FPR_LIMIT)
    width = np.maximum(end - before, 0)
    slope = (high - low) / np.where(after > before, after - before, 1)
    result: Floats = (width * (low + slope * width / 2)).sum(axis=1) / FPR_LIMIT
    return result


def _edges(maps: Sequence[Map]) -> NDArray[np.float32]:
    """Return rising distances that divide those of all maps into steps: evenly, and so that each has its share.

    Evenly, because stretching a map gives distances in between; by share, because a few may be of another scale.
    """
    values = np.unique(np.concatenate([places.ravel() for places in maps]))
    even = np.linspace(values[0], values[-1], _BINS // 2, dtype=np.float32)
    shares = values
    if len(values) > _BINS // 2:
        shares = values[np.linspace(0, len(values) - 1, _BINS // 2).astype(np.int64)]
    return np.unique(np.concatenate([even, shares]))


def _stretched(places: Map, mask: Flags) -> NDArray[np.float32]:
    height, width = mask.shape
    image = Image.fromarray(places.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
