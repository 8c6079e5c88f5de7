"""What an empty place looks like, so that a picture of it does not pass for a good product.

A memory of places knows the background of the good pictures, too, and to it a picture of nothing but background is
good everywhere. As a whole, such a picture is unlike those of products: the mean of its features is nearer to that of
an empty picture than to that of any product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from training.learning.anomalies.coreset import Floats, coreset
from training.learning.anomalies.features import Pixels

# How much nearer each good picture must be to another product than to an empty picture, for that one to be used: a
# product may fill the picture with one colour. Of a bad picture, much of the product may be missing.
_NEARER = 2.0
_PRODUCTS = 200
# An empty picture of each shade that a belt or a light box may have.
_SHADES = (0, 128, 255)
# The side of a corner, of the picture's. The product is seldom there.
_CORNER = 1 / 8


def empty_pictures(pictures: Sequence[Pixels]) -> Iterator[Pixels]:
    """Yield what the camera may see without a product: one shade, and what is at the border of pictures.

    Args:
        pictures: uint8 [size, size, 3], of products.
    """
    side = len(pictures[0])
    for shade in _SHADES:
        yield np.full((side, side, 3), shade, np.uint8)
    corner = max(int(side * _CORNER), 1)
    for pixels in pictures:
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        yield np.broadcast_to(np.median(border, axis=0).astype(np.uint8), pixels.shape)
        for rows in (slice(None, corner), slice(-corner, None)):
            for columns in (slice(None, corner), slice(-corner, None)):
                # A corner has no detail that the enlargement could lose.
                cut = Image.fromarray(pixels[rows, columns]).resize((side, side), Image.Resampling.BILINEAR)
                yield np.asarray(cut)


def tell_apart(good: Floats, empty: Floats, seed: int) -> tuple[Floats, Floats]:
    """Return what a graph needs to tell empty pictures from products.

    Args:
        good: [N, C], the mean features of the good pictures.
        empty: [B, C], the mean features of empty pictures.
        seed: Of the choice among many good pictures.

    Returns:
        The mean features [K, C] of products, and those [E, C] of the empty pictures that no good picture is like.
        E is 0 if the products themselves are like empty pictures.
    """
    between = _apart(good, good)
    np.fill_diagonal(between, np.inf)
    unlike = (_apart(good, empty) > _NEARER * between.min(1)[:, None]).all(0)
    return good[coreset(good, _PRODUCTS, seed)], empty[unlike]


def _apart(left: Floats, right: Floats) -> Floats:
    distances: Floats = np.linalg.norm(left[:, None] - right[None], axis=2)
    return distances
