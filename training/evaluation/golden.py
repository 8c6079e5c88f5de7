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
    """Return at most IMAGES images, evenly spread over the data set, with the detections that the endpoint must return.

    Args:
        card: Of the model.
        dataset: Images that have a URI.
        results: The detections of each sample as `detection.detect` returns them, the weak ones too.

    Returns:
        For each image its "uri" and its "detections".
    """
    total = len(dataset.samples)
    count = min(IMAGES, total)
    documents = []
    for index in (number * total // count for number in range(count)):
        sample, detections = dataset.samples[index], as_served(results[index], card.postprocess)
        documents.append(
            {
                "uri": dataset.files.uri(sample.name),
                "detections": to_json(detections, card.labels, sample.width, sample.height),
            }
        )
    return documents
