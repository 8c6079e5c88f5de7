"""The golden set: a few test images with what was found in them, for trying a live endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.datasets import Dataset
from training.evaluation.operating_points import served
from training.model.artefact import ModelCard
from training.model.decoding import Detections, to_json

IMAGES = 12


def golden(card: ModelCard, dataset: Dataset, found: Sequence[Detections]) -> list[dict[str, Any]]:
    """For at most IMAGES images, spread over the data set: the URI, and the detections that the endpoint must return.

    found: as for the metrics, one per sample.
    """
    total = len(dataset.samples)
    count = min(IMAGES, total)
    documents = []
    for index in (number * total // count for number in range(count)):
        sample, seen = dataset.samples[index], served(found[index], card.postprocess)
        documents.append(
            {
                "uri": dataset.files.uri(sample.name),
                "detections": to_json(seen, card.labels, sample.width, sample.height),
            }
        )
    return documents
