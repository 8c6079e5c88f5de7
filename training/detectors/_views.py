"""Several views of one picture, as mirror images, whose findings are averaged: test-time augmentation.

Krizhevsky et al. 2012 averaged over mirror images (https://papers.nips.cc/paper/4824), section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.detectors import UnsupportedViewsError

_UPRIGHT, _ACROSS = 1, 2  # the axes of images [N, H, W, 3]
_MIRRORS = ((), (_ACROSS,), (_UPRIGHT,), (_UPRIGHT, _ACROSS))


class Views(nn.Module):
    """The first `count` of: a picture, its mirror image, upside down, and both.

    For detectors that find something at every point of square grids of `strides`, in the middle of each cell:
    what two views say of one place can be averaged before anything is suppressed.
    """

    def __init__(self, input_size: int, strides: Sequence[int], count: int) -> None:
        """Raises UnsupportedViewsError if the grids are not their own mirror images."""
        super().__init__()
        if count not in (1, 2, 4):
            raise UnsupportedViewsError(f"a picture has 1, 2 or 4 views, not {count}")
        if count > 1 and input_size % max(strides):
            raise UnsupportedViewsError(
                f"mirror images need an input_size in steps of {max(strides)}, not {input_size}"
            )
        self._mirrors = _MIRRORS[:count]
        for number, axes in enumerate(self._mirrors):
            self.register_buffer(f"order{number}", _order(input_size, strides, axes), persistent=False)

    def of(self, images: Tensor) -> Tensor:
        """[N, H, W, 3] → [views * N, H, W, 3]."""
        if len(self._mirrors) == 1:
            return images
        return torch.cat([images.flip(axes) if axes else images for axes in self._mirrors])

    def mean(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes [views * N, A, 4] in 0..1 and scores [views * N, A, C] → of the picture: [N, A, 4], [N, A, C]."""
        if len(self._mirrors) == 1:
            return boxes, scores
        shape = (len(self._mirrors), -1)
        boxes, scores = (each.view(*shape, *each.shape[1:]) for each in (boxes, scores))
        back = [self._back(number, boxes[number], scores[number]) for number in range(len(self._mirrors))]
        return torch.stack([b for b, _ in back]).mean(0), torch.stack([s for _, s in back]).mean(0)

    def _back(self, number: int, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        order, axes = self.get_buffer(f"order{number}"), self._mirrors[number]
        left, top, right, bottom = boxes[:, order].unbind(-1)
        if _ACROSS in axes:
            left, right = 1 - right, 1 - left
        if _UPRIGHT in axes:
            top, bottom = 1 - bottom, 1 - top
        return torch.stack([left, top, right, bottom], -1), scores[:, order]


def _order(input_size: int, strides: Sequence[int], axes: Sequence[int]) -> Tensor:
    """[A]: for each point, where its place is in the mirror image."""
    parts, first = [], 0
    for stride in strides:
        side = -(-input_size // stride)
        grid = torch.arange(first, first + side * side).view(side, side)
        parts.append(grid.flip([axis - 1 for axis in axes]).flatten())
        first += side * side
    return torch.cat(parts)
