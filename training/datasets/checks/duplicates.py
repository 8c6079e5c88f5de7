"""Finds images that are in a data set more than once.

That is: the same bytes, the same pixels, the same picture taken or saved again, its mirrored or turned copies, and the
copies that Roboflow made of one original, whose names tell.

A hash of 255 bits finds the candidates. Textures such as steel can agree by chance in hashes of the usual 64 bits, and
they look alike at low resolution. So a candidate counts only if its fine detail correlates. On NEU-DET (1,440 crops of
steel, 1,036,080 pairs) 16 pairs are within 90 bits. The six pairs that show the same spot correlate by 0.83 to 1.00,
the others by 0.73 and less, and none of 4,000 random pairs by 0.65.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contract.images import open_image, transposition
from training.datasets.checks.candidates import CROWD_SHARE, MANY, Candidate, find_candidates
from training.datasets.checks.groups import Groups
from training.datasets.checks.likeness import (
    HASH_SIZE,
    VIEWS,
    Floats,
    Thumbnail,
    correlation,
    detail,
    grey_levels,
    perceptual_hashes,
    thumbnail,
    view,
)
from training.datasets.checks.origins import original_of
from training.datasets.dataset import Dataset, Sample

Match = Literal["bytes", "pixels", "near", "turned", "original"]

# Of the fine detail.
MIN_CORRELATION = 0.8
# Of thumbnails. On NEU-DET it is 0.60 and more for the pairs that show the same spot, and 0.37 for 1 in 100 others.
_MIN_THUMBNAIL_CORRELATION = 0.5
# From this correlation on, thumbnails alone tell a turned copy: it has not moved. Copies of 60 images of NEU-DET reach
# 0.93 at quality 60, and other images 0.60.
_SURE_THUMBNAIL_CORRELATION = 0.9


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two samples that show the same.

    Attributes:
        first: The index of one sample.
        second: The index of the other.
        match: What is the same; `near` for the same picture taken or saved again, `turned` for a mirrored or turned
            copy, `original` if their names tell that both were made of one original.
        correlation: Of the fine detail, -1..1; 1 for the same pixels, and where only the names were compared.
    """

    first: int
    second: int
    match: Match
    correlation: float


class Fingerprints:
    """The perceptual hashes and the thumbnail of every image, by its SHA-256: 1.3 KB each."""

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
            self._hashes[sha256] = perceptual_hashes(grey)
            self._thumbnails[sha256] = thumbnail(grey)

    def hashes(self, samples: Sequence[Sample]) -> NDArray[np.uint64]:
        """Return the hashes of samples that were added, uint64 [N, 8, 4]."""
        return np.array([self._hashes[sample.sha256] for sample in samples], np.uint64).reshape(-1, VIEWS, 4)

    def likeness(self, a: Sample, b: Sample, number: int) -> float:
        """Return the correlation of a sample's thumbnail with a view of another's."""
        return correlation(self._thumbnails[a.sha256], view(self._thumbnails[b.sha256], number))


def find_duplicates(dataset: Dataset, fingerprints: Fingerprints) -> tuple[list[Duplicate], list[int]]:
    """Find the samples that show the same.

    The pairs join all copies of a picture into one group, but not each with each other. If several images have the same
    bytes or pixels, only the first takes part in the search for other copies.

    Args:
        dataset: Where to search.
        fingerprints: Has every image of `dataset`.

    Returns:
        The pairs, sorted by index; and the indices of the samples that look like many others.

    Raises:
        DatasetError: An image cannot be read again.
    """
    samples = dataset.samples
    if not samples:
        return [], []
    same_bytes = _same_bytes(samples)
    unique = [index for index in range(len(samples)) if index not in same_bytes]
    found = find_candidates(fingerprints.hashes([samples[index] for index in unique]))
    same_pixels = _same_pixels(dataset, sorted(unique[index] for index in found.same))
    duplicates = [
        *(Duplicate(first, copy, "bytes", 1.0) for copy, first in same_bytes.items()),
        *(Duplicate(first, copy, "pixels", 1.0) for copy, first in same_pixels.items()),
    ]
    groups = Groups(len(samples))
    for duplicate in duplicates:
        groups.join(duplicate.first, duplicate.second)
    duplicates += _same_original(samples, groups)
    candidates = (Candidate(unique[pair.first], unique[pair.second], pair.view) for pair in found.pairs)
    near, crowded = _without_crowds(
        len(unique), list(_near_duplicates(dataset, candidates, groups, fingerprints))
    )
    duplicates = sorted([*duplicates, *near], key=lambda duplicate: (duplicate.first, duplicate.second))
    return duplicates, sorted({*(unique[index] for index in found.crowded), *crowded})


def known_copies(samples: Sequence[Sample]) -> list[Duplicate]:
    """Return the samples with the same bytes, and those whose names tell that they are copies; no image is read."""
    same_bytes = _same_bytes(samples)
    duplicates = [Duplicate(first, copy, "bytes", 1.0) for copy, first in same_bytes.items()]
    groups = Groups(len(samples))
    for duplicate in duplicates:
        groups.join(duplicate.first, duplicate.second)
    return [*duplicates, *_same_original(samples, groups)]


def groups_of(number: int, duplicates: Sequence[Duplicate]) -> list[list[int]]:
    """Return the groups of copies among samples, by index.

    Args:
        number: The number of samples.
        duplicates: The duplicates among them.
    """
    groups = Groups(number)
    for duplicate in duplicates:
        groups.join(duplicate.first, duplicate.second)
    return groups.several()


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


def _same_pixels(dataset: Dataset, indices: Sequence[int]) -> dict[int, int]:
    """Return the first sample for each of its copies, among those that may be equal; decodes each image once."""
    samples = dataset.samples
    sizes = Counter((samples[index].width, samples[index].height) for index in indices)
    groups: dict[str, list[int]] = defaultdict(list)
    for index in indices:
        if sizes[samples[index].width, samples[index].height] > 1:
            groups[_pixel_digest(dataset.read(samples[index]))].append(index)
    return {copy: first for first, *copies in groups.values() for copy in copies}


def _pixel_digest(data: bytes) -> str:
    """Return the SHA-256 of the upright pixels; it does not depend on the file format and the palette."""
    with open_image(data) as image:
        turn = transposition(image)
        upright = image if turn is None else image.transpose(turn)
        deep = upright.mode in ("I", "F") or upright.mode.startswith("I;")
        # Grey saved as RGB is the same picture, so every image with 8 bits is compared as RGBA.
        pixels = upright if deep else upright.convert("RGBA")
        return hashlib.sha256(f"{pixels.size} {deep}".encode() + pixels.tobytes()).hexdigest()


def _same_original(samples: Sequence[Sample], groups: Groups) -> Iterator[Duplicate]:
    """Yield the pairs whose names tell that they were made of one original; join their groups."""
    firsts: dict[str, int] = {}
    for index, sample in enumerate(samples):
        original = original_of(sample.name)
        if original is not None and groups.join(first := firsts.setdefault(original, index), index):
            yield Duplicate(first, index, "original", 1.0)


def _without_crowds(number: int, near: Sequence[Duplicate]) -> tuple[list[Duplicate], set[int]]:
    """Return the pairs that do not join a large share of all images, and the images that the others join.

    In a long film every picture is like the next, and in the end all are one group, which no split could divide.

    Args:
        number: The number of images.
        near: The near duplicates.
    """
    groups = groups_of(max((pair.second for pair in near), default=-1) + 1, near)
    crowds = [group for group in groups if len(group) > max(MANY, CROWD_SHARE * number)]
    crowded = {index for group in crowds for index in group}
    return [pair for pair in near if pair.first not in crowded], crowded


def _near_duplicates(
    dataset: Dataset, candidates: Iterator[Candidate], groups: Groups, fingerprints: Fingerprints
) -> Iterator[Duplicate]:
    """Yield the pairs that show the same and are not in one group yet; join their groups.

    The images are read again if their thumbnails are alike, but do not tell alone.
    """
    samples = dataset.samples

    @lru_cache(maxsize=64)
    def detail_of(index: int) -> Floats:
        return detail(dataset.read(samples[index]))

    for pair in candidates:
        if groups.first(pair.first) == groups.first(pair.second):
            continue
        likeness = fingerprints.likeness(samples[pair.first], samples[pair.second], pair.view)
        is_sure = pair.view > 0 and likeness >= _SURE_THUMBNAIL_CORRELATION
        if likeness >= _MIN_THUMBNAIL_CORRELATION and not is_sure:
            likeness = correlation(detail_of(pair.first), view(detail_of(pair.second), pair.view))
        if is_sure or likeness >= MIN_CORRELATION:
            groups.join(pair.first, pair.second)
            match: Match = "turned" if pair.view else "near"
            yield Duplicate(pair.first, pair.second, match, round(likeness, 3))
