"""Which masks of a data set count, and which contradict the labels of their images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contract.text import counted, listed
from training.datasets import Dataset, DatasetError
from training.datasets.masks import defect_mask
from training.job import stopping

# Larger masks are made smaller, so that a large picture takes no minute.
_EDGE = 640
_SHOWN = 5


@dataclass(frozen=True)
class Masks:
    """The masks of the images, by what they are good for. All are indices into the samples.

    Attributes:
        normal: Good products: none of their pixels is defective.
        marked: Defective, with a mask that marks something.
        empty: Defective, with a mask that marks nothing.
        contradicting: Good products, with a mask that marks something.
        unreadable: With a mask that cannot be read.
        missing: Defective, without a mask.
        names: Of all images.
    """

    normal: tuple[int, ...]
    marked: tuple[int, ...]
    empty: tuple[int, ...]
    contradicting: tuple[int, ...]
    unreadable: tuple[int, ...]
    missing: tuple[int, ...]
    names: tuple[str, ...]

    @cached_property
    def counted(self) -> list[int]:
        """The images whose pixels count."""
        return sorted([*self.normal, *self.marked])

    def pixels(self, dataset: Dataset, index: int) -> NDArray[np.bool_]:
        """Return which pixels of an image that counts are defective, [H, W] of at most _EDGE.

        Raises:
            DatasetError: The mask was altered meanwhile.
        """
        mask = _marked(dataset, index)
        if mask is None:
            sample = dataset.samples[index]
            mask = np.zeros((sample.height, sample.width), np.bool_)
        return _smaller(mask)

    def warnings(self) -> list[str]:
        """Return what contradicts the labels. These images count for the verdicts, by their labels."""
        groups = (
            (self.empty, "labelled as defective, but its mask marks nothing"),
            (self.contradicting, "labelled as good, but its mask marks a defect"),
            (self.unreadable, "with a mask that cannot be read"),
        )
        return [
            f"{counted(len(group), 'image')} {text}: {listed([self.names[index] for index in group], _SHOWN)}. "
            "It counts by its label, and is left out of pixel AP and PRO."
            for group, text in groups
            if group
        ]

    def note(self) -> str | None:
        """Return how many defective images have no mask, if others have one."""
        if not self.missing or not self.marked:
            return None
        return (
            f"{counted(len(self.missing), 'defective image')} without a mask, which pixel AP and PRO leave out; "
            f"{len(self.marked)} have one."
        )


def masks_of(dataset: Dataset) -> Masks:
    """Read the masks of all images, and sort them.

    Raises:
        Stopped: A signal ended it.
    """
    found: dict[str, list[int]] = {
        name: [] for name in ("normal", "marked", "empty", "contradicting", "unreadable", "missing")
    }
    for index, sample in enumerate(dataset.samples):
        stopping.check()
        try:
            mask = _marked(dataset, index)
        except DatasetError:
            found["unreadable"].append(index)
            continue
        marks = mask is not None and bool(mask.any())
        if sample.is_good:
            found["contradicting" if marks else "normal"].append(index)
        elif mask is None:
            found["missing"].append(index)
        else:
            found["marked" if marks else "empty"].append(index)
    groups = {name: tuple(indices) for name, indices in found.items()}
    return Masks(**groups, names=tuple(sample.name for sample in dataset.samples))


def _marked(dataset: Dataset, index: int) -> NDArray[np.bool_] | None:
    """What the mask of an image marks, whatever its label says; None without a mask."""
    sample = dataset.samples[index]
    if not sample.masks:
        return None
    return defect_mask(dataset, replace(sample, tags=("defective",)))


def _smaller(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Each block of pixels becomes one, which is defective if any of them is: no small defect disappears."""
    factor = -(-max(mask.shape) // _EDGE)
    for axis, side in enumerate(mask.shape):
        mask = np.logical_or.reduceat(mask, np.arange(0, side, factor), axis=axis)
    return mask
