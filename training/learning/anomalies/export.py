"""The export of an anomaly model, and the proof that it measures what it should."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from training.detectors.base import AnomalyNetwork
from training.learning.anomalies.features import Pixels
from training.learning.anomalies.leave_one_out import FARTHEST
from training.learning.export import ParityError
from training.model.anomaly import AnomalyModel

# Of the median distance of the places of all compared pictures. Summed in another order, 152 products differ by less.
_TOLERANCE = 5e-3
_SCORE_TOLERANCE = 0.01
# Of the spread of what is remembered: the graph cannot tell smaller distances from rounding.
_RESOLVED = 0.1

Exact = NDArray[np.float64]


def check_parity(network: AnomalyNetwork, exported: AnomalyModel, pictures: Sequence[Pixels]) -> float:
    """Compare the exported graph with features from torch and distances in double precision, one by one.

    Args:
        network: With its memory.
        exported: Its export.
        pictures: uint8 [size, size, 3] each.

    Returns:
        The largest difference of a picture's score.

    Raises:
        ParityError: A distance differs by more than 0.5 % of a usual one, or a score by more than 0.01.
    """
    worst = 0.0
    memory = network.memory.double()
    spread = float((memory - memory.mean(0)).norm(dim=1).mean())
    for number, pixels in enumerate(pictures):
        expected = _places(network, pixels)
        found = exported.raw(pixels[None])
        far = farthest_off(found[1][0].ravel(), expected, spread)
        picture = float(np.sort(expected)[-FARTHEST:].mean())
        gap = abs(exported.scale.score(picture) - exported.scale.score(float(found[0][0])))
        if far > _TOLERANCE or gap > _SCORE_TOLERANCE:
            raise ParityError(
                f"the exported model measures something else than the network: on picture {number} a distance is off "
                f"by {far:.2%}, and the score by {gap:.4f}"
            )
        worst = max(worst, gap)
    return worst


def farthest_off(found: NDArray[np.floating], expected: Exact, spread: float) -> float:
    """Return by how much the worst of the distances differs, as a share of a usual distance.

    The graph takes the root of a difference of squares. Of a place that is in memory this is nearly 0, and the root
    enlarges its rounding. So distances below a usual one are compared by their squares. If few pictures are learned,
    most places of each are in memory, and the median says nothing.

    Args:
        found: Of places, by the graph.
        expected: Of the same places, exact.
        spread: The mean distance of what is remembered from its centre.
    """
    usual = max(float(np.median(expected)), _RESOLVED * spread, 1e-3)
    squares = np.abs(np.square(found.astype(np.float64)) - np.square(expected))
    return float((squares / (2 * np.maximum(expected, usual) * usual)).max())


def _places(network: AnomalyNetwork, pixels: Pixels) -> Exact:
    """Return the distance of each place from the nearest feature in memory: the definition, without any shortcut."""
    with torch.no_grad():
        seen = network.features(torch.from_numpy(pixels.copy())[None])[0].double()
        return (
            torch.cdist(seen, network.memory.double(), compute_mode="donot_use_mm_for_euclid_dist")
            .amin(1)
            .numpy()
        )
