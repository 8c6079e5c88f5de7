"""The golden set: a few test images with their detections, to check a live endpoint with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from contract.scores import ANOMALY
from training.datasets import Dataset, Sample

IMAGES = 12


def golden_set(
    dataset: Dataset, answer: Callable[[int], list[dict[str, Any]]], *, anomalies: bool
) -> list[dict[str, Any]]:
    """Return at most IMAGES images with the detections that the endpoint must return.

    Half of them have labelled defects, if there are so many. Both halves are evenly spread over the data set.

    Args:
        dataset: Images that have a URI.
        answer: Gives the detections of the image of an index.
        anomalies: Whether the model also finds defects that have no box.

    Returns:
        For each image its "uri", its "detections", and the "labels" of its defects.
    """
    labels = [_labels(sample, anomalies) for sample in dataset.samples]
    return [
        {
            "uri": dataset.files.uri(dataset.samples[index].name),
            "detections": answer(index),
            "labels": labels[index],
        }
        for index in _chosen([bool(found) for found in labels])
    ]


def _labels(sample: Sample, anomalies: bool) -> list[str]:
    labels = sorted({labelled.label for labelled in sample.objects})
    return labels or ([ANOMALY] if anomalies and sample.is_defective else [])


def _chosen(is_defective: Sequence[bool]) -> list[int]:
    defective = [index for index, flag in enumerate(is_defective) if flag]
    others = [index for index, flag in enumerate(is_defective) if not flag]
    wanted = IMAGES - min(IMAGES // 2, len(others))
    shown = _spread(defective, wanted)
    return sorted([*shown, *_spread(others, IMAGES - len(shown))])


def _spread(indices: list[int], most: int) -> list[int]:
    count = min(most, len(indices))
    return [indices[number * len(indices) // count] for number in range(count)]
