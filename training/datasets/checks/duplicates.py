"""Finds images that are in a data set twice: the same bytes, the same pixels, or the same picture taken or saved again.

A hash of 255 bits finds the candidates. Textures such as steel can agree by chance in hashes of the usual 64 bits, and
they look alike at low resolution. So a candidate counts only if its fine detail correlates. On NEU-DET (1,440 crops of
steel, 1,036,080 pairs) 12 pairs are within 90 bits. The six pairs that show the same spot correlate by 0.83 to 1.00,
the others by 0.73 and less, and none of 4,000 random pairs by 0.65.
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
from PIL import Image, ImageOps

from contract.images import FORMATS
from training.datasets.checks.likeness import (
    HASH_SIZE,
    Floats,
    Thumbnail,
    correlation,
    detail,
    grey_levels,
    perceptual_hash,
    thumbnail,
)
from training.datasets.dataset import Dataset, Sample

Match = Literal["bytes", "pixels", "near"]

# Of 255. Two random images differ in 127 bits, and on NEU-DET one pair in 100,000 differs in 90.
CANDIDATE_BITS = 90
# Of the fine detail.
MIN_CORRELATION = 0.8
# With more candidates than this number, or than this share of all images, what matches is the scene that all images
# show, as behind a fixed camera.
CROWD, CROWD_SHARE = 5, 0.005
# Of thumbnails. On NEU-DET it is 0.60 and more for the pairs that show the same spot, and 0.37 for 1 in 100 others.
_MIN_THUMBNAIL_CORRELATION = 0.5
# A JPEG that is decoded faster and smaller differs by that much.
_SAME_PIXELS_BITS = 4
_ROWS = 256


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two samples that show the same.

    Attributes:
        first: The index of one sample.
        second: The index of the other.
        match: What is the same; `near` for the same picture taken or saved again.
        correlation: Of the fine detail, -1..1; 1 for the same pixels.
    """

    first: int
    second: int
    match: Match
    correlation: float


class Fingerprints:
    """The perceptual hash and the thumbnail of every image, by its SHA-256: about a kilobyte each."""

    def __init__(self) -> None:
        self._hashes: dict[str, NDArray[np.uint64]] = {}
        self._thumbnails: dict[str, Thumbnail] = {}

    def add(self, sha256: str, data: bytes) -> None:
        """Add an image, from any thread.

        Raises:
            UnreadableError: The image cannot be decoded.
        """
        if sha256 not in self._hashes:
            grey = grey_levels(data, HASH_SIZE)
            self._hashes[sha256] = perceptual_hash(grey)
            self._thumbnails[sha256] = thumbnail(grey)

    def hashes(self, samples: Sequence[Sample]) -> NDArray[np.uint64]:
        """Return the hashes of samples that were added, uint64 [N, 4]."""
        return np.array([self._hashes[sample.sha256] for sample in samples], np.uint64).reshape(-1, 4)

    def may_be_near(self, a: Sample, b: Sample) -> bool:
        """Return whether two samples are alike enough, by their thumbnails, to read them again."""
        likeness = correlation(self._thumbnails[a.sha256], self._thumbnails[b.sha256])
        return likeness >= _MIN_THUMBNAIL_CORRELATION


def find_duplicates(dataset: Dataset, fingerprints: Fingerprints) -> tuple[list[Duplicate], list[int]]:
    """Find all pairs of samples that show the same.

    If several images have the same bytes or pixels, only the first takes part in the search for near duplicates.

    Args:
        dataset: Where to search.
        fingerprints: Has every image of `dataset`.

    Returns:
        The pairs, sorted by index; and the indices of the samples that look like many others.

    Raises:
        DatasetError: An image cannot be read again.
    """
    samples = dataset.samples
    same_bytes = _same_bytes(samples)
    unique = [index for index in range(len(samples)) if index not in same_bytes]
    pairs, crowded = _candidates(fingerprints.hashes([samples[index] for index in unique]))
    alike = [(unique[a], unique[b]) for a, b, bits in pairs if bits <= _SAME_PIXELS_BITS]
    same_pixels = _same_pixels(dataset, alike)
    candidates = [
        (unique[a], unique[b])
        for a, b, _ in pairs
        if not {a, b} & crowded and not {unique[a], unique[b]} & same_pixels.keys()
    ]
    duplicates = [
        *(Duplicate(first, copy, "bytes", 1.0) for copy, first in same_bytes.items()),
        *(Duplicate(first, copy, "pixels", 1.0) for copy, first in same_pixels.items()),
        *_near_duplicates(dataset, candidates, fingerprints),
    ]
    duplicates.sort(key=lambda duplicate: (duplicate.first, duplicate.second))
    return duplicates, [unique[index] for index in sorted(crowded)]


def across_parts(samples: Sequence[Sample], duplicates: Sequence[Duplicate]) -> Iterator[Duplicate]:
    """Yield the duplicates whose two samples are in different parts."""
    for duplicate in duplicates:
        if samples[duplicate.first].belongs_to() != samples[duplicate.second].belongs_to():
            yield duplicate


def _same_bytes(samples: Sequence[Sample]) -> dict[int, int]:
    """Return the first sample for each of its copies."""
    first_by_hash: dict[str, int] = {}
    firsts = {index: first_by_hash.setdefault(sample.sha256, index) for index, sample in enumerate(samples)}
    return {copy: first for copy, first in firsts.items() if copy != first}


def _candidates(hashes: NDArray[np.uint64]) -> tuple[list[tuple[int, int, int]], set[int]]:
    """Find the pairs of hashes within CANDIDATE_BITS.

    Args:
        hashes: uint64 [N, 4].

    Returns:
        The pairs (a, b, number of different bits) with a < b; and the hashes with too many such pairs. Of those, only
        the pairs that may have the same pixels are listed.
    """
    pairs: list[tuple[int, int, int]] = []
    crowded: set[int] = set()
    crowd = max(CROWD, CROWD_SHARE * len(hashes))
    for start in range(0, len(hashes), _ROWS):
        rows = hashes[start : start + _ROWS]
        distances = np.zeros((len(rows), len(hashes)), np.uint16)
        for word in range(4):
            distances += np.bitwise_count(rows[:, None, word] ^ hashes[None, :, word])
        # Each hash is within the limit of itself, too.
        many = (distances <= CANDIDATE_BITS).sum(axis=1) > crowd + 1
        crowded.update((np.flatnonzero(many) + start).tolist())
        within = distances <= np.where(many, _SAME_PIXELS_BITS, CANDIDATE_BITS)[:, None]
        within &= np.arange(len(hashes))[None, :] < (np.arange(len(rows)) + start)[:, None]
        for row, first in zip(*(indices.tolist() for indices in np.nonzero(within)), strict=True):
            pairs.append((first, start + row, int(distances[row, first])))
    return pairs, crowded


def _same_pixels(dataset: Dataset, pairs: list[tuple[int, int]]) -> dict[int, int]:
    """Return the first sample for each of its copies, among pairs that may be equal; decodes each image once."""
    samples = dataset.samples
    digests: dict[int, str] = {}
    same_size = [
        (a, b)
        for a, b in pairs
        if (samples[a].width, samples[a].height) == (samples[b].width, samples[b].height)
    ]
    for index in sorted({index for pair in same_size for index in pair}):
        digests[index] = _pixel_digest(dataset.read(samples[index]))
    groups: dict[str, list[int]] = defaultdict(list)
    for index, digest in digests.items():
        groups[digest].append(index)
    return {copy: first for first, *copies in groups.values() for copy in copies}


def _pixel_digest(data: bytes) -> str:
    """Return the SHA-256 of the upright pixels; it does not depend on the file format and the palette."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        upright = ImageOps.exif_transpose(image)
        deep = upright.mode in ("I", "F") or upright.mode.startswith("I;")
        # Grey saved as RGB is the same picture, so every image with 8 bits is compared as RGBA.
        pixels = upright if deep else upright.convert("RGBA")
        return hashlib.sha256(f"{pixels.size} {deep}".encode() + pixels.tobytes()).hexdigest()


def _near_duplicates(
    dataset: Dataset, pairs: list[tuple[int, int]], fingerprints: Fingerprints
) -> Iterator[Duplicate]:
    """Yield the pairs whose fine detail correlates; reads the images again if their thumbnails are alike."""
    samples = dataset.samples

    @lru_cache(maxsize=64)
    def detail_of(index: int) -> Floats:
        return detail(dataset.read(samples[index]))

    for first, second in pairs:
        if fingerprints.may_be_near(samples[first], samples[second]):
            likeness = correlation(detail_of(first), detail_of(second))
            if likeness >= MIN_CORRELATION:
                yield Duplicate(first, second, "near", round(likeness, 3))
