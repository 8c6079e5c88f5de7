"""Runs a model over a data set as it will be served, keeping the weak detections that the metrics need."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from contract.images import UnreadableError
from training.datasets import Dataset, DatasetError, Sample
from training.evaluation.metrics import Scores, score
from training.job.container import cores
from training.model import tiling
from training.model.decoding import Detections, Postprocess, shift_boxes
from training.model.onnx_model import OnnxModel
from training.model.pixels import Picture, decode

_BATCH = 16


def for_metrics(how: Postprocess) -> Postprocess:
    """The whole precision-recall curve counts, so weak detections must not be cut off."""
    return replace(how, score_threshold=min(how.score_threshold, 0.001), detections=100)


def detect(model: OnnxModel, dataset: Dataset) -> list[Detections]:
    """Judges every sample as it is served, in tiles if the model has them, but keeping the weak detections.

    Raises DatasetError for an unreadable image.
    """
    size, how, tiles = model.card.input_size, for_metrics(model.card.postprocess), model.card.tiles
    # Pictures for tiles are kept in full: a few at a time, or they would fill the memory.
    batch = _BATCH if tiles is None else cores()

    def load(sample: Sample) -> Picture:
        try:
            return decode(dataset.read(sample), size, full_above=model.card.full_above)
        except UnreadableError as error:
            raise DatasetError(sample.name, str(error)) from error

    def seek(pixels: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        return model.detect(pixels, how)

    found: list[Detections] = []
    with (
        ThreadPoolExecutor(cores()) as pool,
        tqdm(total=len(dataset.samples), unit="image", disable=not sys.stderr.isatty(), leave=False) as bar,
    ):
        for start in range(0, len(dataset.samples), batch):
            pictures = list(pool.map(load, dataset.samples[start : start + batch]))
            if tiles is None:
                seen = seek([picture.pixels for picture in pictures])
            else:
                seen = [tiling.detect_in_tiles(seek, picture, tiles, how.detections) for picture in pictures]
            found += [
                shift_boxes(each, model.card.box_offset, picture.width, picture.height)
                for each, picture in zip(seen, pictures, strict=True)
            ]
            bar.update(len(pictures))
    return found


def evaluate(model: OnnxModel, dataset: Dataset) -> Scores:
    """Judges every sample and scores the result. Raises DatasetError for an unreadable image."""
    return score(dataset, detect(model, dataset), model.card.labels)
