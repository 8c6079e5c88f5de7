"""The heat map of a picture: a small PNG with one grey pixel for each place."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.model.anomaly_scale import AnomalyScale

# A record keeps the map of every picture.
MAX_BYTES = 2000
# Coarser greys would show less than fewer places do.
_LEVELS = (256, 64, 32, 16, 8)


def heat_map(places: NDArray[np.float32], scale: AnomalyScale) -> bytes:
    """Return the heat map as a PNG of 8-bit grey.

    A map that is too large for MAX_BYTES gets fewer levels of grey, and if need be fewer places.

    Args:
        places: [h, w], the distance of each place.
        scale: Its map_range gives the distances that are black and white.
    """
    low, high = scale.map_range
    shares = np.clip((places.astype(np.float64) - low) / (high - low), 0, 1)
    while True:
        for levels in _LEVELS:
            steps = np.round(shares * (levels - 1)) / (levels - 1)
            data = _png(np.round(steps * 255).astype(np.uint8))
            if len(data) <= MAX_BYTES:
                return data
        shares = _halved(shares)


def _png(grey: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG", compress_level=9)
    return buffer.getvalue()


def _halved(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each 2 x 2 places become one: the farthest of them, so that no defect disappears."""
    height, width = shares.shape
    padded = np.pad(shares, ((0, height % 2), (0, width % 2)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2)
    result: NDArray[np.float64] = blocks.max(axis=(1, 3))
    return result
