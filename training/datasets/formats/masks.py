"""Masks: the colours of their pixels, and the boxes around connected areas."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.images import DECODER_ERRORS
from training.datasets.problems import Problems
from training.datasets.storage.files import Files

Area = tuple[int, int, int, int]
_COLOURS_SHOWN = 3
_BLACK = 0
# Of 255: how far a smoothed colour may be from the line between the two that it mixes. Sharp filters go beyond.
_MIXED_WITHIN = 50.0


def colour_codes(
    files: Files, name: str, colours: dict[int, str], problems: Problems
) -> NDArray[np.integer[Any]] | None:
    """Return each pixel of a mask as 0xRRGGBB, [H, W]; None, with a problem, if it is not as `colours` says.

    Transparent pixels, and black ones if no label is black, are background: AWS's own samples have them. Colours that
    smoothing mixed count as the nearer of the two.

    Args:
        files: The files of the source.
        name: The mask.
        colours: The label of each colour; "" for the background.
        problems: Collects what is wrong.
    """
    try:
        with Image.open(io.BytesIO(files.read(name)), formats=("PNG", "BMP", "TIFF", "JPEG")) as image:
            pixels = np.asarray(image.convert("RGBA")).astype(np.uint32)
    except DECODER_ERRORS as error:
        problems.report("unreadable-image", name, f"is not a readable mask: {error}")
        return None
    background = next((code for code, label in colours.items() if not label), _BLACK)
    codes = pixels[:, :, 0] << 16 | pixels[:, :, 1] << 8 | pixels[:, :, 2]
    codes = np.where(pixels[:, :, 3] == 0, np.uint32(background), codes)
    known = [*colours, *({_BLACK, background} - colours.keys())]
    unknown = [int(code) for code in np.unique(codes) if int(code) not in known]
    nearest = {code: _nearer_end(code, known) for code in unknown}
    strange = [code for code, end in nearest.items() if end is None]
    if strange:
        shown = ", ".join(f"#{code:06x}" for code in strange[:_COLOURS_SHOWN])
        message = f"has {len(strange)} colours that the internal-color-map lacks, such as {shown}"
        problems.report("bad-annotation", name, message)
        return None
    if nearest:
        problems.report("smooth-mask", name, f"has {len(nearest)} mixed colours")
        order = np.array(sorted(nearest), np.uint32)
        ends = np.array([nearest[int(code)] for code in order], np.uint32)
        is_mixed = np.isin(codes, order)
        codes[is_mixed] = ends[np.searchsorted(order, codes[is_mixed])]
    return codes


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
