"""The scale at which a model has learned, and pictures that it would see at another one.

Every picture is stretched to the model's input. A scratch that filled twenty pixels of the input in training fills none
if the picture is a strip of 16,000 x 200 pixels, and the model finds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.job.errors import TrainingError

Range = tuple[float, float]
REVIEW, ACCEPT = "review", "accept"
# Augmentation shows a model its defects larger and smaller, too, but not by more than this.
_FACTOR = 2.0
_PERCENTILES = (5, 95)


class ScaleError(TrainingError):
    """A model's scale is not usable."""


@dataclass(frozen=True, slots=True)
class Scale:
    """At which scale a model has learned. model.json keeps it.

    The ranges are from the 5th to the 95th percentile of the training images.

    Attributes:
        across: Pixels of the original for one pixel of the model's input, from left to right.
        down: The same, from top to bottom.
        aspect: Width of an image for each pixel of its height.
        outside: What becomes of a picture at a scale far outside: `review` if no defect is found, or `accept`.
    """

    across: Range
    down: Range
    aspect: Range
    outside: str = REVIEW

    def __post_init__(self) -> None:
        """Raise ScaleError for ranges that are none."""
        for name in ("across", "down", "aspect"):
            try:
                low, high = map(float, getattr(self, name))
            except (TypeError, ValueError) as error:
                raise ScaleError(f"scale: {name} must be two numbers") from error
            if not 0 < low <= high < float("inf"):
                raise ScaleError(f"scale: {name} must be a range above 0, not {low:g} to {high:g}")
            object.__setattr__(self, name, (low, high))
        if self.outside not in (REVIEW, ACCEPT):
            raise ScaleError(f"scale: outside must be {REVIEW} or {ACCEPT}, not {self.outside!r}")

    def tile(self, size: int) -> int:
        """Return the edge in pixels of a tile that a model with an input of `size` sees as it has learned."""
        return max(1, round(size * sum((*self.across, *self.down)) / 4))

    def doubt(self, width: int, height: int, size: int, tile: int | None = None) -> str | None:
        """Return why the model may be blind on a picture; None if it is not far from what the model has learned.

        Args:
            width: Of the picture, in pixels.
            height: As width.
            size: Edge of the model's input.
            tile: Edge of the picture's tiles in its pixels, if it was cut.

        >>> learned = measure([(200, 200)], 256)
        >>> learned.doubt(220, 180, 256), learned.doubt(16000, 200, 256, tile=200)
        (None, None)
        >>> learned.doubt(16000, 200, 256)
        'the model sees one pixel for each 62.5 x 0.78 of these 16000 x 200, and learned with one for each 0.78 x 0.78'
        """
        if self.outside == ACCEPT:
            return None
        seen = (width, height) if tile is None else (tile, tile)
        across, down = (side / size for side in seen)
        if (
            _is_near(across, self.across)
            and _is_near(down, self.down)
            and _is_near(across / down, self.aspect)
        ):
            return None
        return (
            f"the model sees one pixel for each {_figure(across)} x {_figure(down)} of these {width} x {height}, "
            f"and learned with one for each {_shown(self.across)} x {_shown(self.down)}"
        )


def measure(sizes: Sequence[tuple[int, int]], size: int) -> Scale:
    """Return the scale of a model that learned from images of some sizes.

    Args:
        sizes: Width and height of each upright image, in pixels.
        size: Edge of the model's input.

    >>> measure([(200, 100)] * 3, 100)
    Scale(across=(2.0, 2.0), down=(1.0, 1.0), aspect=(2.0, 2.0), outside='review')
    """
    widths, heights = np.array(sizes, dtype=np.float64).T
    return Scale(_range(widths / size), _range(heights / size), _range(widths / heights))


def _range(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Range:
    low, high = np.percentile(values, _PERCENTILES).round(4).tolist()
    return low, high


def _is_near(value: float, learned: Range) -> bool:
    return learned[0] / _FACTOR <= value <= learned[1] * _FACTOR


def _shown(learned: Range) -> str:
    low, high = map(_figure, learned)
    return low if low == high else f"{low}-{high}"


def _figure(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"
