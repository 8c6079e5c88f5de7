"""Images that are there twice: the same bytes, the same pixels, or the same picture taken or saved again.

A hash of 255 bits finds the candidates. Textures such as steel agree by chance in hashes of the usual 64 bits
and look alike at low resolution, so a candidate counts only if its fine detail correlates. On NEU-DET (1,440
crops of steel, 1,036,080 pairs) 12 pairs are within 90 bits; the six that show the same spot correlate by 0.83
to 1.00, the others by 0.73 and less, and of 4,000 pairs at random none by 0.65.
"""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from contract.images import FORMATS
from training.datasets.dataset import Dataset, Sample
from training.model.pixels import decode

How = Literal["bytes", "pixels", "near"]
Floats = NDArray[np.float32]

CANDIDATE_BITS = 90  # of 255; two images at random differ in 127 and, on NEU-DET, one pair in 100,000 in 90
LIKENESS = 0.8
CROWD, CROWD_SHARE = (
    5,
    0.005,
)  # more candidates, or more of all images: what all show, as behind a fixed camera
_SMALL_LIKENESS = 0.5  # of thumbnails; on NEU-DET 0.60 and more for those pairs, and 0.37 for 1 in 100 others
_SAME_PIXELS_BITS = 4  # what a JPEG's faster, smaller decoding changes
_SMALL_SIZE, _HASH_SIZE, _DETAIL_SIZE = 32, 64, 128
_SHIFT = 12 / 128  # of the picture's edge
_ROWS = 256
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_WAVES = np.cos(np.pi * (np.arange(_HASH_SIZE) + 0.5) * np.arange(16)[:, None] / _HASH_SIZE).astype(
    np.float32
)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two samples, by their index, that show the same. likeness: 1 for the same pixels."""

    first: int
    second: int
    how: How
    likeness: float


class Fingerprints:
    """Perceptual hash and thumbnail of every image, by its SHA-256: about a kilobyte each."""

    def __init__(self) -> None:
        self._hashes: dict[str, NDArray[np.uint64]] = {}
        self._thumbnails: dict[str, NDArray[np.int8]] = {}

    def examine(self, sha256: str, data: bytes) -> None:
        """Takes an image in, from any thread. Raises UnreadableError if it cannot be decoded."""
        if sha256 not in self._hashes:
            grey = _grey(data, _HASH_SIZE)
            self._hashes[sha256] = perceptual_hash(grey)
            small = grey.reshape(_SMALL_SIZE, 2, _SMALL_SIZE, 2).mean(axis=(1, 3))
            self._thumbnails[sha256] = np.clip(_band(small, 0, 2), -128, 127).astype(np.int8)

    def of(self, samples: Sequence[Sample]) -> NDArray[np.uint64]:
        """The hashes of these samples, uint64 [N, 4]. Raises KeyError if one was not examined."""
        return np.array([self._hashes[sample.sha256] for sample in samples], np.uint64).reshape(-1, 4)

    def may_be_near(self, a: Sample, b: Sample) -> bool:
        """Whether two samples are worth being read again, going by their thumbnails."""
        return correlation(self._thumbnails[a.sha256], self._thumbnails[b.sha256]) >= _SMALL_LIKENESS


def perceptual_hash(grey: Floats) -> NDArray[np.uint64]:
    """255 bits, uint64 [4], of grey levels [64, 64].

    A bit tells whether one of the lowest 16 x 16 cosine waves, the mean left out, is above their median. This
    is pHash (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section
    3.2.1) with more waves.
    """
    waves = (_WAVES @ grey @ _WAVES.T).ravel()[1:]
    bits = np.append(waves > np.median(waves), False)
    return np.packbits(bits).view(np.uint64)


def find(dataset: Dataset, fingerprints: Fingerprints) -> tuple[list[Duplicate], list[int]]:
    """All pairs of samples that show the same, and the indices of those that look like many others.

    Of images that are the same bytes or pixels, only the first takes part in the search for near ones.
    Raises DatasetError if an image cannot be read again.
    """
    samples = dataset.samples
    by_hash: dict[str, int] = {}
    found: list[Duplicate] = []
    for index, sample in enumerate(samples):
        first = by_hash.setdefault(sample.sha256, index)
        if first != index:
            found.append(Duplicate(first, index, "bytes", 1.0))
    unique = list(by_hash.values())
    hashes = fingerprints.of([samples[index] for index in unique])
    pairs, crowded = _candidates(hashes)
    same, near = [], []
    for a, b, distance in pairs:
        one, other = unique[a], unique[b]
        size, other_size = ((s.width, s.height) for s in (samples[one], samples[other]))
        if distance <= _SAME_PIXELS_BITS and size == other_size:
            same.append((one, other))
        if a not in crowded and b not in crowded:
            near.append((one, other))
    again = _same_pixels(dataset, same)
    found += [Duplicate(first, second, "pixels", 1.0) for second, first in again.items()]

    @lru_cache(maxsize=64)
    def detail_of(index: int) -> Floats:
        return detail(dataset.read(samples[index]))

    for one, other in near:
        if one in again or other in again or not fingerprints.may_be_near(samples[one], samples[other]):
            continue
        likeness = correlation(detail_of(one), detail_of(other))
        if likeness >= LIKENESS:
            found.append(Duplicate(one, other, "near", round(likeness, 3)))
    found.sort(key=lambda each: (each.first, each.second))
    return found, [unique[index] for index in sorted(crowded)]


def _candidates(hashes: NDArray[np.uint64]) -> tuple[list[tuple[int, int, int]], set[int]]:
    """Pairs (a < b, bits that differ) within CANDIDATE_BITS, and the hashes that have too many of them.

    Of crowded ones only the pairs that may have the same pixels are listed, each with the first of them.
    """
    pairs: list[tuple[int, int, int]] = []
    crowded: set[int] = set()
    crowd = max(CROWD, CROWD_SHARE * len(hashes))
    for start in range(0, len(hashes), _ROWS):
        rows = hashes[start : start + _ROWS]
        distances = np.zeros((len(rows), len(hashes)), np.uint16)
        for word in range(4):
            distances += np.bitwise_count(rows[:, None, word] ^ hashes[None, :, word])
        many = (distances <= CANDIDATE_BITS).sum(axis=1) > crowd + 1  # each is near itself
        crowded.update((np.flatnonzero(many) + start).tolist())
        within = distances <= np.where(many, _SAME_PIXELS_BITS, CANDIDATE_BITS)[:, None]
        within &= np.arange(len(hashes))[None, :] < (np.arange(len(rows)) + start)[:, None]
        for row, first in zip(*(found.tolist() for found in np.nonzero(within)), strict=True):
            pairs.append((first, start + row, int(distances[row, first])))
    return pairs, crowded


def _same_pixels(dataset: Dataset, pairs: list[tuple[int, int]]) -> dict[int, int]:
    """Second → first sample of those pairs that are equal in every pixel; each image is decoded once."""
    digests: dict[int, str] = {}
    for index in sorted({index for pair in pairs for index in pair}):
        digests[index] = _pixel_digest(dataset.read(dataset.samples[index]))
    groups: dict[str, list[int]] = defaultdict(list)
    for index, digest in digests.items():
        groups[digest].append(index)
    return {second: first for first, *others in groups.values() for second in others}


def _pixel_digest(data: bytes) -> str:
    """The SHA-256 of the upright pixels, whatever file format and palette hold them."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        upright = ImageOps.exif_transpose(image)
        deep = upright.mode in ("I", "F") or upright.mode.startswith("I;")
        # Grey saved as RGB is the same picture, so all that has 8 bits is compared as RGBA.
        pixels = upright if deep else upright.convert("RGBA")
        return hashlib.sha256(f"{pixels.size} {deep}".encode() + pixels.tobytes()).hexdigest()


def detail(data: bytes) -> Floats:
    """The fine structure of an image, float32 [128, 128]: neither its lighting nor its noise.

    Raises UnreadableError.
    """
    return _band(_grey(data, _DETAIL_SIZE), 1, 6)


def correlation(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    """How well the middle of `a` is found in `b`, both [S, S] of one size: -1..1, 0 where there is no detail.

    Normalised cross-correlation (J. P. Lewis, "Fast Normalized Cross-Correlation", 1995) over shifts of up to a
    tenth of the edge, since a product photographed twice has moved a little.
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
    # Below a hundredth of a grey level there is nothing but rounding to compare.
    enough = energy > (core.size * 1e-4) ** 2
    return float(np.max(np.where(enough, shared / np.sqrt(np.maximum(energy, 1e-12)), 0.0)))


def _window_sums(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    table = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    sums: NDArray[np.float64] = (
        table[size:, size:] - table[:-size, size:] - table[size:, :-size] + table[:-size, :-size]
    )
    return sums


def _band(grey: Floats, fine: float, coarse: float) -> Floats:
    """What is coarser than `fine` and finer than `coarse`, standard deviations in pixels of grey [S, S]."""
    picture = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    blurred = (picture.filter(ImageFilter.GaussianBlur(radius)) for radius in (fine, coarse))
    first, second = (np.asarray(each, np.float32) for each in blurred)
    return first - second


def _grey(data: bytes, size: int) -> Floats:
    grey: Floats = decode(data, size).pixels.astype(np.float32) @ _GREY
    return grey


def crossing(samples: Sequence[Sample], duplicates: Sequence[Duplicate]) -> Iterator[Duplicate]:
    """Those duplicates whose two samples are in different parts."""
    for each in duplicates:
        if samples[each.first].belongs_to() != samples[each.second].belongs_to():
            yield each
