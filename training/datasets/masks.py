"""The pixels of an image that are defective, where the data set has masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.images import open_image, transposition
from training.datasets.dataset import Dataset, Mask, Sample
from training.datasets.formats.masks import MaskError, read_mask
from training.datasets.formats.placing import is_like
from training.datasets.problems import DatasetError


def defect_mask(dataset: Dataset, sample: Sample) -> NDArray[np.bool_] | None:
    """Return which pixels of a sample's image are defective.

    Args:
        dataset: The data set of the sample.
        sample: The sample.

    Returns:
        bool [H, W] of the upright image: of its masks, or nothing but False for a good product. None for a defective
        sample without a mask: boxes are no masks.

    Raises:
        DatasetError: A mask cannot be read, or it changed after it was listed.
    """
    if sample.is_good:
        return np.zeros((sample.height, sample.width), bool)
    if not sample.masks:
        return None
    combined = np.zeros((sample.height, sample.width), bool)
    for mask in sample.masks:
        combined |= _upright(dataset, sample, mask)
    return combined


def _upright(dataset: Dataset, sample: Sample, mask: Mask) -> NDArray[np.bool_]:
    """Return a mask in the size of its upright image. It may be drawn on a smaller copy, or on the stored pixels."""
    try:
        pixels = read_mask(dataset.read(mask), dict(mask.colours)).values > 0
    except MaskError as error:
        raise DatasetError(mask.name, str(error)) from error
    height, width = pixels.shape
    if (width, height) == (sample.width, sample.height):
        return pixels
    image = Image.fromarray(pixels)
    if not is_like((width, height), (sample.width, sample.height)) and is_like(
        (width, height), (sample.height, sample.width)
    ):
        with open_image(dataset.read(sample)) as opened:
            turn = transposition(opened)
        if turn is not None:
            image = image.transpose(turn)
    return np.asarray(image.resize((sample.width, sample.height), Image.Resampling.NEAREST))
