"""Masks: the colours of their pixels, and the boxes around connected areas."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.images import DECODER_ERRORS, MAX_PIXELS
from training.datasets.dataset import Mask
from training.datasets.problems import DatasetError, Problems
from training.datasets.storage.files import Files

Area = tuple[int, int, int, int]
# The label of a pixel in a mask without colours of its own.
ANY = "anomaly"
_COLOURS_SHOWN = 3
_BLACK = 0
_ROWS = 256
# Of 255: how far a smoothed colour may be from the line between the two that it mixes. Sharp filters go beyond.
_MIXED_WITHIN = 50.0


class MaskError(ValueError):
    """A mask cannot be used; the message says why."""


class UnreadableMaskError(MaskError):
    """The file of a mask is no readable picture."""


@dataclass(frozen=True)
class MaskPixels:
    """A mask, read.

    Attributes:
        values: Unsigned integers [H, W]: 0 for the background, n for `labels[n - 1]`.
        labels: The labels of its colours; `(ANY,)` if it has no colours of its own.
        mixed: The number of colours that smoothing mixed.
    """

    values: NDArray[np.unsignedinteger[Any]]
    labels: tuple[str, ...]
    mixed: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.values.shape[1], self.values.shape[0]


def read_mask(data: bytes, colours: Mapping[int, str]) -> MaskPixels:
    """Return the pixels of a mask.

    Transparent pixels, and black ones if no label is black, are background: AWS's own samples have them. Colours that
    smoothing mixed count as the nearer of the two.

    Args:
        data: The file.
        colours: The label of each colour 0xRRGGBB; "" for the background. Empty: all that is not black is one label.

    Raises:
        UnreadableMaskError: It is no readable picture.
        MaskError: It has colours that are not as `colours` says.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "BMP", "TIFF", "JPEG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise MaskError(f"has {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
            image.load()
            return _by_colour(image, colours) if colours else _not_black(image)
    except MaskError:
        raise
    except DECODER_ERRORS as error:
        raise UnreadableMaskError(f"is not a readable mask: {error}") from error


def _not_black(image: Image.Image) -> MaskPixels:
    grey = image if image.mode.startswith("I;16") else image.convert("L")
    return MaskPixels((np.asarray(grey) > 0).astype(np.uint8), (ANY,))


def _by_colour(image: Image.Image, colours: Mapping[int, str]) -> MaskPixels:
    labels = tuple(dict.fromkeys(label for label in colours.values() if label))
    background = next((code for code, label in colours.items() if not label), _BLACK)
    meaning = {_BLACK: "", background: "", **colours}
    numbers = {code: labels.index(label) + 1 if label else 0 for code, label in meaning.items()}
    values = np.zeros((image.height, image.width), np.min_scalar_type(len(labels)))
    # Some programs write an alpha channel that nobody filled.
    if image.has_transparency_data and not image.convert("RGBA").getchannel("A").getbbox():
        image = image.convert("RGBA").convert("RGB")
    nearest: dict[int, int | None] = {}
    # In strips: as four bytes a channel, a photograph's mask would take hundreds of megabytes.
    for top in range(0, image.height, _ROWS):
        strip = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
        codes, found = _codes(strip, background), values[top : top + _ROWS]
        is_mixed = np.ones(codes.shape, bool)
        for code, number in numbers.items():
            is_code = codes == code
            found[is_code] = number
            is_mixed &= ~is_code
        mixed, places = np.unique(codes[is_mixed], return_inverse=True)
        for code in mixed.tolist():
            if code not in nearest:
                nearest[code] = _nearer_end(code, [*numbers])
        ends = [0 if (end := nearest[code]) is None else numbers[end] for code in mixed.tolist()]
        found[is_mixed] = np.array(ends, values.dtype)[places]
    if strange := [code for code, end in nearest.items() if end is None]:
        shown = ", ".join(f"#{code:06x}" for code in strange[:_COLOURS_SHOWN])
        raise MaskError(f"has {len(strange)} colours that the internal-color-map lacks, such as {shown}")
    return MaskPixels(values, labels, len(nearest))


def _codes(image: Image.Image, background: int) -> NDArray[np.uint32]:
    """Return each pixel as 0xRRGGBB, [H, W]."""
    pixels = np.asarray(image.convert("RGBA")).astype(np.uint32)
    codes = pixels[:, :, 0] << 16 | pixels[:, :, 1] << 8 | pixels[:, :, 2]
    return np.where(pixels[:, :, 3] == 0, np.uint32(background), codes)


def load_mask(
    files: Files, name: str, colours: Mapping[int, str], problems: Problems
) -> tuple[MaskPixels, Mask] | None:
    """Return a mask of a source, its pixels and what a sample keeps of it; None, with a problem, if it is unusable.

    Args:
        files: The files of the source.
        name: The mask.
        colours: As `read_mask` takes them.
        problems: Collects what is wrong.
    """
    try:
        data = files.read(name)
        pixels = read_mask(data, colours)
    except DatasetError as error:
        problems.report("unreadable-image", name, str(error).removeprefix(f"{name}: "))
        return None
    except MaskError as error:
        kind = "unreadable-image" if isinstance(error, UnreadableMaskError) else "bad-annotation"
        problems.report(kind, name, str(error))
        return None
    if pixels.mixed:
        problems.report("smooth-mask", name, f"has {pixels.mixed} mixed colours")
    return pixels, Mask(name, hashlib.sha256(data).hexdigest(), tuple(colours.items()))


def _nearer_end(code: int, known: list[int]) -> int | None:
    """Return the nearer of the two colours that this one mixes; None if it is on no line between two."""
    colours = np.array(
        [[known_code >> shift & 255 for shift in (16, 8, 0)] for known_code in known], np.float64
    )
    point = np.array([code >> shift & 255 for shift in (16, 8, 0)], np.float64)
    best, end = _MIXED_WITHIN, None
    for first in range(len(known)):
        for second in range(first + 1, len(known)):
            line = colours[second] - colours[first]
            length = float(line @ line)
            share = float((point - colours[first]) @ line) / length if length else 0.0
            share = min(max(share, 0.0), 1.0)
            distance = float(np.linalg.norm(point - colours[first] - share * line))
            if distance < best:
                best, end = distance, known[first] if share < 0.5 else known[second]
    return end


def areas(mask: NDArray[np.bool_]) -> list[Area]:
    """Return the box of each connected area of a mask.

    Runs of set pixels are joined row by row (the run-based two-scan algorithm of He, Chao and Suzuki, "A
    Run-Based Two-Scan Labeling Algorithm", IEEE Transactions on Image Processing 17(5), 2008). No dependency of
    the container finds connected components, and this algorithm needs no array besides the mask.

    Args:
        mask: bool [H, W]. Pixels that touch by a corner only are connected, too.

    Returns:
        (x1, y1, x2, y2) in pixels of each area.

    >>> areas(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=bool))
    [(0, 0, 2, 2), (2, 3, 3, 4)]
    """
    parents: list[int] = []
    boxes: list[Area] = []
    runs_above: list[tuple[int, int, int]] = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(row.astype(np.int8), prepend=0, append=0)).tolist()
        runs: list[tuple[int, int, int]] = []
        start = 0
        for x1, x2 in zip(edges[::2], edges[1::2], strict=True):
            label = len(parents)
            parents.append(label)
            boxes.append((x1, y, x2, y + 1))
            while start < len(runs_above) and runs_above[start][1] < x1:
                start += 1
            for left, _, label_above in runs_above[start:]:
                if left > x2:
                    break
                _join(parents, boxes, label_above, label)
            runs.append((x1, x2, label))
        runs_above = runs
    return [box for label, box in enumerate(boxes) if parents[label] == label]


def _root(parents: list[int], label: int) -> int:
    while parents[label] != label:
        parents[label] = parents[parents[label]]
        label = parents[label]
    return label


def _join(parents: list[int], boxes: list[Area], a: int, b: int) -> None:
    """Join two areas, in place: the earlier label stays and gets the box around both."""
    kept, joined = sorted((_root(parents, a), _root(parents, b)))
    if kept != joined:
        parents[joined] = kept
        x1, y1, x2, y2 = zip(boxes[kept], boxes[joined], strict=True)
        boxes[kept] = (min(x1), min(y1), max(x2), max(y2))
