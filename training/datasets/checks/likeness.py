"""How alike two pictures are: a perceptual hash finds candidates, and the correlation of their detail decides.

A picture has eight views: itself, mirrored and turned by quarters. Each bit of a view's number is one step:
transpose (4), then turn upside down (2), then mirror (1). The hashes of all views come from the waves of one.
"""

from __future__ import annotations

from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from training.model.pixels import decode

Floats = NDArray[np.float32]
Thumbnail = NDArray[np.int8]
Picture = TypeVar("Picture", bound=NDArray[np.generic])

HASH_SIZE = 64
VIEWS = 8
_THUMBNAIL_SIZE, _DETAIL_SIZE = 32, 128
# As a share of the picture's edge.
_SHIFT = 12 / 128
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_ANGLES = np.pi * (np.arange(HASH_SIZE) + 0.5) * np.arange(16)[:, None] / HASH_SIZE
_WAVES = np.cos(_ANGLES).astype(np.float32)
# What a mirror does to each wave.
_MIRRORED = np.where(np.arange(len(_WAVES)) % 2, -1, 1).astype(np.float32)


def grey_levels(data: bytes, size: int) -> Floats:
    """Return the grey levels of an image file, 0..255, float32 [size, size].

    Raises:
        UnreadableError: The image cannot be decoded.
    """
    grey: Floats = decode(data, size).pixels.astype(np.float32) @ _GREY
    return grey


def view(picture: Picture, number: int) -> Picture:
    """Return one of the VIEWS of a square picture [S, S]."""
    rows, columns = (slice(None, None, -1 if number & bit else 1) for bit in (2, 1))
    return cast(Picture, (picture.T if number & 4 else picture)[rows, columns])


def perceptual_hashes(grey: Floats) -> NDArray[np.uint64]:
    """Return for each view 255 bits that are similar for similar pictures, as uint64 [8, 4].

    A bit says whether one of the lowest 16 x 16 cosine waves, without the mean, is above their median. This is pHash
    (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1) with more
    waves.

    Args:
        grey: Grey levels [64, 64].
    """
    upright = _WAVES @ grey @ _WAVES.T
    waves = np.empty((VIEWS, *upright.shape), np.float32)
    for number in range(VIEWS):
        waves[number] = upright.T if number & 4 else upright
        if number & 2:
            waves[number] *= _MIRRORED[:, None]
        if number & 1:
            waves[number] *= _MIRRORED
    compared = waves.reshape(VIEWS, -1)[:, 1:]
    # The middle one of 255 waves: a partition is faster than np.median.
    middle = compared.shape[1] // 2
    bits = np.zeros((VIEWS, upright.size), np.bool_)
    bits[:, :-1] = compared > np.partition(compared, middle, axis=1)[:, middle, None]
    return np.packbits(bits, axis=1).view(np.uint64)


def thumbnail(grey: Floats) -> Thumbnail:
    """Return a small copy without its lighting, int8 [32, 32], of grey levels [64, 64]."""
    small = grey.reshape(_THUMBNAIL_SIZE, 2, _THUMBNAIL_SIZE, 2).mean(axis=(1, 3))
    return np.clip(_band(small, 0, 2), -128, 127).astype(np.int8)


def detail(data: bytes) -> Floats:
    """Return the fine structure of an image file without its lighting and its noise, float32 [128, 128].

    Raises:
        UnreadableError: The image cannot be decoded.
    """
    return _band(grey_levels(data, _DETAIL_SIZE), 1, 6)


def correlation(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    """Return how well the middle of one picture is found in another.

    This is the normalised cross-correlation (J. P. Lewis, "Fast Normalized Cross-Correlation", 1995) over shifts of up
    to a tenth of the edge, because a product that is photographed twice has moved a little.

    Args:
        a: A picture [S, S].
        b: Another picture of the same size.

    Returns:
        -1..1; 0 if there is no detail.
    """
    margin = int(_SHIFT * len(a))
    core = a[margin:-margin, margin:-margin].astype(np.float64)
    core -= core.mean()
    whole = b.astype(np.float64)
    shape, size, shifts = whole.shape, core.shape[0], 2 * margin + 1
    product = np.fft.rfft2(whole) * np.conj(np.fft.rfft2(core, s=shape))
    shared = np.fft.irfft2(product, s=shape)[:shifts, :shifts]
    sums, squares = (_window_sums(values, size) for values in (whole, whole**2))
    energy = np.maximum(squares - sums**2 / core.size, 0) * (core**2).sum()
    # Below a hundredth of a grey level there is only rounding to compare.
    enough = energy > (core.size * 1e-4) ** 2
    return float(np.max(np.where(enough, shared / np.sqrt(np.maximum(energy, 1e-12)), 0.0)))


def _window_sums(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    table = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    sums: NDArray[np.float64] = (
        table[size:, size:] - table[:-size, size:] - table[size:, :-size] + table[:-size, :-size]
    )
    return sums


def _band(grey: Floats, fine: float, coarse: float) -> Floats:
    """Return what is coarser than `fine` and finer than `coarse`: standard deviations in pixels of grey [S, S]."""
    picture = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    blurred = (picture.filter(ImageFilter.GaussianBlur(radius)) for radius in (fine, coarse))
    first, second = (np.asarray(picture, np.float32) for picture in blurred)
    return first - second
