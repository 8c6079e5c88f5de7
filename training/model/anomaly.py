"""An anomaly model, loaded into ONNX Runtime: how far each place of a picture is from everything good. No torch.

The graph contains the memory of good patches and finds the nearest one for each place of the picture, as PatchCore does
(Roth et al. 2022, https://arxiv.org/abs/2106.08265).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.model.anomaly_scale import AnomalyScale, Floats
from training.model.artefact import (
    ANOMALY_MODEL,
    MODEL,
    ArtefactError,
    read_anomaly_card,
    read_card,
)
from training.model.decoding import Detections
from training.model.graph import AnswerError, Graph

__all__ = ["AnomalyModel", "AnomalyScale", "AnswerError", "Judgement", "anomalies"]
# As the graph does for the whole picture: a region's distance is the mean of this many places, the farthest.
_FARTHEST = 5
_EMPTINESS = "emptiness"
# Nothing below it is a detection, as the detectors' score_threshold.
_LEAST_SCORE = 0.05
_MOST_REGIONS = 100


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an anomaly model says about one picture.

    Attributes:
        distance: Of the picture, as the graph gives it.
        score: 0..1. It says nothing of a foreign picture.
        map: [h, w], the distance of each place of the picture.
        foreign: Why the picture shows another product than the model has learned, or none; None if it does not.
    """

    distance: float
    score: float
    map: Floats
    foreign: str | None = None


class AnomalyModel(Graph):
    """An anomaly model that is ready to run. Safe to share between threads.

    Attributes:
        card: Its own card, also where it is beside a detector.
        any_batch: Whether its graph takes several images at once.
    """

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Load the anomaly model of an artefact: the artefact itself, or what is beside its detector.

        Args:
            folder: An unpacked artefact.
            threads: Of one inference; 0 lets ONNX Runtime use every core.

        Raises:
            ArtefactError: The artefact is damaged, contains no anomaly model, or its graph does not fit.
        """
        card = read_anomaly_card(folder)
        assert card.anomaly is not None  # noqa: S101 - `read_anomaly_card` gives no other
        self.scale: AnomalyScale = card.anomaly
        file = folder / (ANOMALY_MODEL if read_card(folder).anomaly_model else MODEL)
        super().__init__(file, card, ("distance", "map"), threads)
        for name, rank in (("distance", 1), ("map", 3)):
            output = self._outputs()[name]
            if output.type != "tensor(float)" or len(output.shape) != rank:
                raise ArtefactError(
                    f"{file.name} gives {name} as {output.type} of {output.shape}, "
                    f"not as float32 with {rank} {'axis' if rank == 1 else 'axes'}"
                )
        # A graph may also say how much a picture is like an empty place, which a memory of places cannot know.
        self._asked = ["distance", "map", *([_EMPTINESS] if _EMPTINESS in self._outputs() else [])]

    def raw(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Run the graph.

        Args:
            pixels: uint8 [N, size, size, 3]. N must be 1 if the graph takes one image at a time.

        Returns:
            The distance of each picture [N], and of each place [N, h, w].

        Raises:
            AnswerError: These are no distances.
        """
        distances, maps, _ = self._run(pixels)
        return distances, maps

    def _run(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats, list[float | None]]:
        distances, maps, *emptiness = self.run(self._asked, pixels)
        if distances.shape != (len(pixels),) or maps.ndim != 3 or len(maps) != len(pixels) or not maps.size:
            raise AnswerError(f"distances of {distances.shape} and {maps.shape} for {len(pixels)} pictures")
        # NaN is above no threshold: without this check, the model would find nothing.
        for values in (distances, maps, *emptiness):
            if not (np.isfinite(values).all() and values.min() >= 0):
                raise AnswerError("a distance is no number from 0 on")
        return (
            distances,
            maps,
            [float(value) for value in emptiness[0]] if emptiness else [None] * len(pixels),
        )

    def judge(self, pixels: Sequence[NDArray[np.uint8]]) -> list[Judgement]:
        """Judge pictures, one after the other: each is compared with the whole memory, so that memory is flat.

        Args:
            pixels: Any number of uint8 [size, size, 3].

        Raises:
            AnswerError: The model's answer is no judgement.
        """
        found = (self._run(image[None]) for image in pixels)
        return [
            self._judgement(float(distances[0]), maps[0], emptiness[0])
            for distances, maps, emptiness in found
        ]

    def _judgement(self, distance: float, places: Floats, emptiness: float | None) -> Judgement:
        # As exact as the scores of detections, so that the best one is equal to the picture's also once rounded.
        score = float(np.float32(self.scale.score(distance)))
        return Judgement(distance, score, places, self.scale.foreign(distance, places, emptiness))


def anomalies(judgement: Judgement, scale: AnomalyScale) -> Detections:
    """Return the regions of a picture that are far from everything good, as detections of class 0.

    The best one has the score of the picture, so that a rule about scores means both alike. A picture with a score of
    0.05 or more has at least one: if no place is in a region, its farthest place. A foreign picture has none.

    Args:
        judgement: Of the picture.
        scale: Of the model.
    """
    if judgement.foreign is not None or judgement.score < _LEAST_SCORE:
        return _as_detections([])
    height, width = judgement.map.shape
    found = []
    for rows, columns in regions(judgement.map >= scale.region_threshold):
        farthest = np.sort(judgement.map[rows, columns])[-_FARTHEST:]
        score = min(scale.score(float(farthest.mean())), judgement.score)
        found.append((score, float(farthest[-1]), _box(rows, columns, height, width)))
    if not found:
        row, column = divmod(int(judgement.map.argmax()), width)
        found = [(judgement.score, 0.0, _box(np.array([row]), np.array([column]), height, width))]
    found.sort(key=lambda region: region[:2], reverse=True)
    found[0] = (judgement.score, *found[0][1:])
    return _as_detections([(score, box) for score, _, box in found if score >= _LEAST_SCORE][:_MOST_REGIONS])


def regions(inside: NDArray[np.bool_]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the rows and columns of each group of True that touch, also at their corners.

    >>> [rows.tolist() for rows, _ in regions(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]], bool))]
    [[0, 1], [3]]
    """
    left = set(zip(*(axis.tolist() for axis in np.nonzero(inside)), strict=True))
    found = []
    for start in sorted(left):
        if start not in left:
            continue
        left.remove(start)
        members, waiting = [], [start]
        while waiting:
            row, column = waiting.pop()
            members.append((row, column))
            around = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= around
            waiting += around
        rows, columns = np.array(sorted(members), np.int64).T
        found.append((rows, columns))
    return found


def _box(
    rows: NDArray[np.int64], columns: NDArray[np.int64], height: int, width: int
) -> tuple[float, float, float, float]:
    return (
        columns.min() / width,
        rows.min() / height,
        (columns.max() + 1) / width,
        (rows.max() + 1) / height,
    )


def _as_detections(found: Sequence[tuple[float, tuple[float, float, float, float]]]) -> Detections:
    return Detections(
        np.array([box for _, box in found], np.float32).reshape(-1, 4),
        np.array([score for score, _ in found], np.float32),
        np.zeros(len(found), np.int64),
    )
