"""The golden set: a few test images with their detections, to check a live endpoint with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.datasets import Dataset
from training.evaluation.operating_points import as_served
from training.model.artefact import ModelCard
from training.model.decoding import Detections, to_json

IMAGES = 12


def golden_set(card: ModelCard, dataset: Dataset, results: Sequence[Detections]) -> list[dict[str, Any]]:
    """Return at most IMAGES images with the detections that the endpoint must return.

    Half of them have labelled defects, if there are so many. Both halves are evenly spread over the data set.

    Args:
        card: Of the model.
        dataset: Images that have a URI.
        results: The detections of each sample as `detection.detect` returns them, the weak ones too.

    Returns:
        For each image its "uri", its "detections", and the "labels" of its defects.
    """
    documents = []
    for index in _chosen(dataset):
        sample, detections = dataset.samples[index], as_served(results[index], card.postprocess)
        documents.append(
            {
                "uri": dataset.files.uri(sample.name),
                "detections": to_json(detections, card.labels, sample.width, sample.height),
                "labels": sorted({labelled.label for labelled in sample.objects}),
            }
        )
    return documents


def _chosen(dataset: Dataset) -> list[int]:
    samples = dataset.samples
    defective = [index for index, sample in enumerate(samples) if sample.objects]
    others = [index for index, sample in enumerate(samples) if not sample.objects]
    wanted = IMAGES - min(IMAGES // 2, len(others))
    shown = _spread(defective, wanted)
    return sorted([*shown, *_spread(others, IMAGES - len(shown))])


def _spread(indices: list[int], most: int) -> list[int]:
    count = min(most, len(indices))
    return [indices[number * len(indices) // count] for number in range(count)]
