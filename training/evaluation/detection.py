"""Run a model over a data set as the endpoint does, but keep the weak detections that the metrics need."""

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
from training.job import stopping
from training.job.container import cores
from training.job.stopping import Stopped
from training.model import tiling
from training.model.decoding import Detections, Postprocess, shift_boxes
from training.model.onnx_model import OnnxModel
from training.model.pixels import Picture, decode

_BATCH_SIZE = 16


def for_metrics(postprocess: Postprocess) -> Postprocess:
    """Return settings that keep weak detections: the metrics need the whole precision-recall curve."""
    return replace(postprocess, score_threshold=min(postprocess.score_threshold, 0.001), detections=100)


def detect(model: OnnxModel, dataset: Dataset) -> list[Detections]:
    """Return the detections in each sample, the weak ones too. Tiles and box offset apply as in the endpoint.

    Raises:
        DatasetError: An image cannot be read.
        Stopped: A signal ended it; it says after how many images.
    """
    card = model.card
    tiles, postprocess = card.tiles, for_metrics(card.postprocess)
    # Pictures for tiles keep their full resolution: only a few at a time, to limit memory.
    batch_size = _BATCH_SIZE if tiles is None else cores()

    def load(sample: Sample) -> Picture:
        try:
            return decode(
                dataset.read(sample), card.input_size, full_above=card.full_above, bit_depth=card.bit_depth
            )
        except UnreadableError as error:
            raise DatasetError(sample.name, str(error)) from error

    def infer(pixels: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        return model.detect(pixels, postprocess)

    def detect_batch(samples: Sequence[Sample]) -> list[Detections]:
        pictures = list(pool.map(load, samples))
        if tiles is None:
            detected = infer([picture.pixels for picture in pictures])
        else:
            detected = [
                tiling.detect_in_tiles(infer, picture, tiles, postprocess.detections) for picture in pictures
            ]
        return [
            shift_boxes(detections, card.box_offset, picture.width, picture.height)
            for detections, picture in zip(detected, pictures, strict=True)
        ]

    results: list[Detections] = []
    total = len(dataset.samples)
    with (
        ThreadPoolExecutor(cores()) as pool,
        tqdm(total=total, unit="image", disable=not sys.stderr.isatty(), leave=False) as bar,
    ):
        try:
            for start in range(0, total, batch_size):
                stopping.check()
                results += detect_batch(dataset.samples[start : start + batch_size])
                bar.update(len(results) - start)
        except Stopped as stop:
            stop.done = f"after {len(results)} of {total} images"
            raise
    return results


def evaluate(model: OnnxModel, dataset: Dataset) -> Scores:
    """Run the model over a data set, and score its detections.

    Raises:
        DatasetError: An image cannot be read.
    """
    return score(dataset, detect(model, dataset), model.card.labels)
