"""Heat maps against masks: pixel AP and PRO as their definitions say, and masks that contradict their labels."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from training.datasets import Dataset, DatasetError, Sample
from training.datasets.dataset import Mask
from training.evaluation.anomalies import regions
from training.evaluation.anomalies.masks import masks_of
from training.evaluation.anomalies.regions import FIGURES, FPR_LIMIT, pixel_figures
from training.evaluation.bootstrap import resample

SIDE = 12
Pixels = NDArray[np.bool_]


class Memory:
    """Files of a data set, in memory."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents = contents

    def read(self, name: str) -> bytes:
        return self.contents[name]


def png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()


def data_set(*images: tuple[tuple[str, ...], Pixels | bytes | None]) -> Dataset:
    """A data set of images, each with its tags and its mask."""
    contents: dict[str, bytes] = {}
    samples = []
    for number, (tags, mask) in enumerate(images):
        name, masks = f"{number}.png", ()
        height, width = mask.shape if isinstance(mask, np.ndarray) else (SIDE, SIDE)
        if mask is not None:
            data = mask if isinstance(mask, bytes) else png(mask)
            contents[f"mask-{name}"] = data
            masks = (Mask(f"mask-{name}", hashlib.sha256(data).hexdigest()),)
        samples.append(Sample(name, f"{number:064x}", width, height, (), tags, masks=masks))
    files: Any = Memory(contents)
    return Dataset(files, (), tuple(samples))


def square(*corners: tuple[int, int], side: int = SIDE, size: int = 3) -> Pixels:
    mask = np.zeros((side, side), np.bool_)
    for row, column in corners:
        mask[row : row + size, column : column + size] = True
    return mask


def pixels_of(dataset: Dataset, maps: list[NDArray[np.float32]], resamples: int = 3) -> dict[str, Any]:
    return pixel_figures(dataset, maps, masks_of(dataset), resample(len(maps), resamples))


def reference(maps: list[NDArray[np.float32]], masks: list[Pixels]) -> tuple[float, float]:
    """Both figures by their definitions, threshold by threshold, with scipy's connected components."""
    values = np.concatenate([places.ravel() for places in maps])
    truth = np.concatenate([mask.ravel() for mask in masks])
    found = [
        (places, labels == number)
        for places, (labels, count) in zip(
            maps, (ndimage.label(mask, np.ones((3, 3))) for mask in masks), strict=True
        )
        for number in range(1, count + 1)
    ]
    average, recall_before, rates, overlaps = 0.0, 0.0, [0.0], [0.0]
    for threshold in sorted(set(values.tolist()), reverse=True):
        reached = values >= threshold
        recall, precision = (reached & truth).sum() / truth.sum(), truth[reached].mean()
        average += (recall - recall_before) * precision
        recall_before = recall
        rates.append((reached & ~truth).sum() / (~truth).sum())
        overlaps.append(float(np.mean([(places[region] >= threshold).mean() for places, region in found])))
    # Where the rate stays, the curve is a vertical line: interpolation would take its lower end.
    inside = [rate for rate in rates if rate < FPR_LIMIT]
    last = len(inside)
    slope = (overlaps[last] - overlaps[last - 1]) / (rates[last] - rates[last - 1])
    edge = overlaps[last - 1] + slope * (FPR_LIMIT - rates[last - 1])
    area = float(np.trapezoid([*overlaps[:last], edge], [*inside, FPR_LIMIT]))
    return average, area / FPR_LIMIT


@given(st.integers(0, 10_000))
@settings(max_examples=40)
def test_both_figures_are_as_defined(seed):
    rng = np.random.default_rng(seed)
    masks = [square((0, 0), (7, 6)), square((4, 4), size=2), square()]
    maps = [
        (np.round(rng.random((SIDE, SIDE)) * 9 + mask * rng.integers(0, 9)) / 2).astype(np.float32)
        for mask in masks
    ]
    dataset = data_set((("dent",), masks[0]), (("dent",), masks[1]), ((), None))
    found = pixels_of(dataset, maps)
    assert (found["pixel_ap"].value, found["pro"].value) == pytest.approx(reference(maps, masks))
    for figure in found.values():
        assert 0 <= figure.interval[0] <= figure.value <= figure.interval[1] <= 1


def test_a_map_that_shows_exactly_the_mask_is_perfect():
    mask = square((2, 2), (8, 8))
    dataset = data_set((("dent",), mask), ((), None))
    found = pixels_of(dataset, [mask.astype(np.float32), np.zeros((SIDE, SIDE), np.float32)])
    assert (found["pixel_ap"].value, found["pro"].value) == (1, 1)


def test_a_map_that_shows_everything_but_the_mask_is_the_worst():
    mask = square((2, 2))
    found = pixels_of(data_set((("dent",), mask)), [1 - mask.astype(np.float32)])
    assert found["pro"].value == 0
    assert found["pixel_ap"].value == pytest.approx(9 / SIDE**2)


def test_each_region_counts_alike_however_small_it_is():
    mask = square((0, 0), size=6) | square((10, 10), size=1)
    large, small = (np.where(ndimage.label(mask)[0] == number, 1, 0).astype(np.float32) for number in (1, 2))
    scores = [pixels_of(data_set((("dent",), mask)), [heat])["pro"].value for heat in (large, small)]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)


@given(st.integers(0, 100))
@settings(max_examples=20)
def test_a_resample_gives_what_the_repeated_images_give(seed):
    rng = np.random.default_rng(seed)
    images = [(("dent",), square((1, 1))), (("dent",), square((5, 2), (0, 9))), ((), None), ((), None)]
    maps = [np.round(rng.random((SIDE, SIDE)) * 5).astype(np.float32) for _ in images]
    weights = resample(4, 1, seed)
    dataset = data_set(*images)
    sampled = pixel_figures(dataset, maps, masks_of(dataset), weights)
    chosen = [index for index, count in enumerate(weights[0]) for _ in range(count)]
    if all(images[index][1] is None for index in chosen):
        assert all(np.isnan(figure.samples[0]) for figure in sampled.values())
        return
    repeated = pixels_of(data_set(*(images[index] for index in chosen)), [maps[index] for index in chosen])
    for name in FIGURES:
        assert sampled[name].samples[0] == pytest.approx(repeated[name].value)


def test_many_distances_are_counted_in_steps_that_change_little(monkeypatch):
    rng = np.random.default_rng(3)
    mask = square((10, 10), (30, 40), side=64, size=12)
    maps = [
        (rng.normal(size=(64, 64)) + 1.5 * mask).astype(np.float32),
        rng.normal(size=(64, 64)).astype(np.float32),
    ]
    maps[1][0, 0] = 1e6  # a single one of another scale
    dataset = data_set((("dent",), mask), ((), square(side=64)))
    stepped = {name: figure.value for name, figure in pixels_of(dataset, maps).items()}
    monkeypatch.setattr(regions, "_BINS", 10_000)
    for name, figure in pixels_of(dataset, maps).items():
        assert figure.value == pytest.approx(stepped[name], abs=0.005)


def test_a_small_map_is_stretched_over_a_large_mask():
    mask = square((16, 16), side=32, size=16)
    heat = np.zeros((8, 8), np.float32)
    heat[4:, 4:] = 1
    found = pixels_of(data_set((("dent",), mask)), [heat])
    assert found["pro"].value > 0.97


def test_no_defect_is_too_small_for_a_large_picture():
    mask = np.zeros((3000, 2000), np.bool_)
    mask[2999, 1999] = True
    dataset = data_set((("dent",), mask))
    pixels = masks_of(dataset).pixels(dataset, 0)
    assert max(pixels.shape) <= 640
    assert pixels.sum() == 1
    assert pixels[-1, -1]


def test_masks_that_contradict_their_labels_are_named_and_left_out():
    heat = np.zeros((SIDE, SIDE), np.float32)
    dataset = data_set(
        (("dent",), square((2, 2))),
        (("dent",), square()),
        (("good",), square((4, 4))),
        (("dent",), b"no picture"),
        (("dent",), None),
        ((), None),
    )
    masks = masks_of(dataset)
    assert (masks.marked, masks.empty, masks.contradicting) == ((0,), (1,), (2,))
    assert (masks.unreadable, masks.missing, masks.normal) == ((3,), (4,), (5,))
    assert masks.warnings() == [
        f"1 image {text}. It counts by its label, and is left out of pixel AP and PRO."
        for text in (
            "labelled as defective, but its mask marks nothing: 1.png",
            "labelled as good, but its mask marks a defect: 2.png",
            "with a mask that cannot be read: 3.png",
        )
    ]
    assert masks.note() == "1 defective image without a mask, which pixel AP and PRO leave out; 1 have one."
    maps = [heat.copy() for _ in dataset.samples]
    maps[0][2:5, 2:5] = 1
    for contradicting in (1, 2, 3, 4):
        maps[contradicting][:] = 5
    assert pixels_of(dataset, maps)["pro"].value == 1


@pytest.mark.parametrize(
    "images",
    [
        [((), None), ((), None)],
        [(("dent",), None), ((), None)],
        [(("dent",), square()), ((), None)],
        [(("dent",), np.ones((SIDE, SIDE), np.bool_))],
    ],
    ids=["good only", "no mask", "an empty mask", "nothing normal"],
)
def test_without_a_marked_and_a_normal_pixel_there_is_no_figure(images):
    maps = [np.ones((SIDE, SIDE), np.float32)] * len(images)
    assert pixels_of(data_set(*images), maps) == dict.fromkeys(FIGURES)


def test_a_mask_that_changes_meanwhile_is_an_error():
    dataset = data_set((("dent",), square((1, 1))))
    masks = masks_of(dataset)
    files: Any = dataset.files
    files.contents["mask-0.png"] = png(square((5, 5)))
    with pytest.raises(DatasetError, match="altered"):
        pixel_figures(dataset, [np.ones((SIDE, SIDE), np.float32)], masks, resample(1, 2))
