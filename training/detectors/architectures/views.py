"""Test-time augmentation: several views of one image, mirrored and from farther away, whose results are averaged.

Krizhevsky et al. 2012 averaged over mirror images (https://papers.nips.cc/paper/4824), section 4.1; He et al. 2015
over scales (https://arxiv.org/abs/1512.03385), appendix A.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.detectors.base import UnsupportedViewsError

_VERTICAL, _HORIZONTAL = 1, 2  # the axes of images [N, H, W, 3]
_FLIPS = ((), (_HORIZONTAL,), (_VERTICAL,), (_VERTICAL, _HORIZONTAL))
_FARTHER = 7 / 8


class Views(nn.Module):
    """The first `count` views of: an image, its mirror image, upside down, both; and these four an eighth smaller.

    For detectors with one output at every point of square grids of `strides`, in the middle of each cell: what two
    views give for one point can be averaged before suppression. In a smaller view, the nearest point stands for each
    point of the image. It counts for the scores only: at another size than in training, a detector recognises objects
    well, and draws their boxes too large.

    Attributes:
        sizes: The sides of the views, in pixels.
    """

    def __init__(self, input_size: int, strides: Sequence[int], count: int) -> None:
        """Prepare the order of the points in each view.

        Args:
            input_size: Side of the image, in pixels.
            strides: Of the grids.
            count: Number of views.

        Raises:
            UnsupportedViewsError: There is no such number of views, or a grid is not its own mirror image.
        """
        super().__init__()
        if count not in (1, 2, 4, 8):
            raise UnsupportedViewsError(f"an image has 1, 2, 4 or 8 views, not {count}")
        step = max(strides)
        if count > 1 and input_size % step:
            raise UnsupportedViewsError(
                f"mirror images need an input_size in steps of {step}, not {input_size}"
            )
        self._flips = _FLIPS[:count]
        self.sizes = [input_size]
        if count > len(_FLIPS):
            self.sizes.append(min(input_size - step, step * round(input_size * _FARTHER / step)))
        for size in self.sizes:
            for number, axes in enumerate(self._flips):
                order = _order(input_size, size, strides, axes)
                self.register_buffer(f"order{size}_{number}", order, persistent=False)

    def split(self, images: Tensor) -> list[Tensor]:
        """Return a batch of all flipped images for each of `sizes`: [N, S, S, 3] → [flips * N, size, size, 3]."""
        if len(self._flips) > 1:
            images = torch.cat([images.flip(axes) if axes else images for axes in self._flips])
        return [images, *(_resize(images, size) for size in self.sizes[1:])]

    def mean(self, boxes: Tensor, scores: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Average the results of the views.

        Args:
            boxes: Of the first size, [flips * N, A, 4] in 0..1.
            scores: Of each of `sizes`, [flips * N, A', C].

        Returns:
            Boxes [N, A, 4] and scores [N, A, C] of the images.
        """
        if len(self._flips) == 1:
            return boxes, scores[0]
        image_boxes = [
            _flip_boxes(flip_boxes[:, self._order_of(self.sizes[0], number)], axes)
            for number, (flip_boxes, axes) in enumerate(
                zip(self._split_flips(boxes), self._flips, strict=True)
            )
        ]
        image_scores = [
            flip_scores[:, self._order_of(size, number)]
            for size, size_scores in zip(self.sizes, scores, strict=True)
            for number, flip_scores in enumerate(self._split_flips(size_scores))
        ]
        return torch.stack(image_boxes).mean(0), torch.stack(image_scores).mean(0)

    def _split_flips(self, batch: Tensor) -> Tensor:
        """[flips * N, ...] → [flips, N, ...]."""
        return batch.view(len(self._flips), -1, *batch.shape[1:])

    def _order_of(self, size: int, number: int) -> Tensor:
        return self.get_buffer(f"order{size}_{number}")


def _flip_boxes(boxes: Tensor, axes: Sequence[int]) -> Tensor:
    left, top, right, bottom = boxes.unbind(-1)
    if _HORIZONTAL in axes:
        left, right = 1 - right, 1 - left
    if _VERTICAL in axes:
        top, bottom = 1 - bottom, 1 - top
    return torch.stack([left, top, right, bottom], -1)


def _resize(images: Tensor, size: int) -> Tensor:
    pixels = images.permute(0, 3, 1, 2).float()
    return functional.interpolate(pixels, (size, size), mode="bilinear").permute(0, 2, 3, 1)


def _order(input_size: int, size: int, strides: Sequence[int], axes: Sequence[int]) -> Tensor:
    """Return, for each point of the image, the index of its point in the view of that size and flip: [A]."""
    levels, first = [], 0
    for stride in strides:
        image_cells, view_cells = (-(-side // stride) for side in (input_size, size))
        middles = (torch.arange(image_cells) + 0.5) * stride / input_size  # in 0..1
        nearest = (middles * size / stride).long().clamp(max=view_cells - 1)
        grid = torch.arange(first, first + view_cells * view_cells).view(view_cells, view_cells)
        grid = grid.flip([axis - 1 for axis in axes])
        levels.append(grid[nearest][:, nearest].flatten())
        first += view_cells * view_cells
    return torch.cat(levels)
