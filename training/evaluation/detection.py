"""Run a model over a data set as the endpoint does, but keep the weak detections that the metrics need."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from contract.images import UnreadableError
from training.datasets import Dataset, DatasetError, Sample
from training.evaluation.metrics import USUAL_DETECTIONS, Scores, most_detections, score
from training.job import stopping
from training.job.container import cores
from training.job.stopping import Stopped
from training.model import tiling
from training.model.anomaly import AnomalyModel, Judgement
from training.model.artefact import ModelCard
from training.model.decoding import Detections, Postprocess, shift_boxes
from training.model.onnx_model import OnnxModel
from training.model.pixels import Picture, decode

_BATCH_SIZE = 16
Result = TypeVar("Result")


def for_metrics(postprocess: Postprocess, most: int = USUAL_DETECTIONS) -> Postprocess:
    """Return settings that keep weak detections: the metrics need the whole precision-recall curve.

    Args:
        postprocess: The model's settings.
        most: The most detections in an image that count.
    """
    return replace(postprocess, score_threshold=min(postprocess.score_threshold, 0.001), detections=most)


def detect(model: OnnxModel, dataset: Dataset, unreadable: list[str] | None = None) -> list[Detections]:
    """Return the detections in each sample, the weak ones too. Tiles and box offset apply as in the endpoint.

    Args:
        model: The model.
        dataset: The images.
        unreadable: Gets the names of the images that cannot be decoded, which then have no result; None to raise.

    Raises:
        DatasetError: An image cannot be read.
        Stopped: A signal ended it; it says after how many images.
    """
    card = model.card
    tiles, postprocess = card.tiles, for_metrics(card.postprocess, most_detections(dataset))

    def infer(pixels: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        return model.detect(pixels, postprocess)

    def detect_pictures(pictures: Sequence[Picture]) -> list[Detections]:
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

    return _each(card, dataset, detect_pictures, unreadable)


def judge(model: AnomalyModel, dataset: Dataset, unreadable: list[str] | None = None) -> list[Judgement]:
    """Return what an anomaly model says about each sample. Arguments and errors are those of `detect`."""

    def judge_pictures(pictures: Sequence[Picture]) -> list[Judgement]:
        # One at a time: 16 at once take 0.8 GB for the distances to the memory, and are no faster on a CPU.
        return [found for picture in pictures for found in model.judge([picture.pixels])]

    return _each(model.card, dataset, judge_pictures, unreadable)


def _each(
    card: ModelCard,
    dataset: Dataset,
    infer: Callable[[Sequence[Picture]], list[Result]],
    unreadable: list[str] | None,
) -> list[Result]:
    """Decode all samples as the card says, and return what `infer` gives for each of them."""
    # Pictures for tiles keep their full resolution: only a few at a time, to limit memory.
    batch_size = _BATCH_SIZE if card.tiles is None else cores()

    def load(sample: Sample) -> Picture | None:
        try:
            return decode(
                dataset.read(sample), card.input_size, full_above=card.full_above, bit_depth=card.bit_depth
            )
        except UnreadableError as error:
            if unreadable is None:
                raise DatasetError(sample.name, str(error)) from error
            return None

    def infer_batch(samples: Sequence[Sample]) -> list[Result]:
        loaded = list(pool.map(load, samples))
        if unreadable is not None:
            pairs = zip(samples, loaded, strict=True)
            unreadable.extend(sample.name for sample, picture in pairs if picture is None)
        pictures = [picture for picture in loaded if picture is not None]
        return infer(pictures) if pictures else []

    results: list[Result] = []
    total, done = len(dataset.samples), 0
    with (
        ThreadPoolExecutor(cores()) as pool,
        tqdm(total=total, unit="image", disable=not sys.stderr.isatty(), leave=False) as bar,
    ):
        try:
            for start in range(0, total, batch_size):
                stopping.check()
                samples = dataset.samples[start : start + batch_size]
                results += infer_batch(samples)
                done = start + len(samples)
                bar.update(len(samples))
        except Stopped as stop:
            stop.done = f"after {done} of {total} images"
            raise
    return results


def evaluate(model: OnnxModel, dataset: Dataset) -> Scores:
    """Run the model over a data set, and score its detections.

    Raises:
        DatasetError: An image cannot be read.
    """
    return score(dataset, detect(model, dataset), model.card.labels)
