"""Several views of one picture, mirrored and from farther away, whose findings are averaged: test-time augmentation.

Krizhevsky et al. 2012 averaged over mirror images (https://papers.nips.cc/paper/4824), section 4.1; He et al. 2015
over scales (https://arxiv.org/abs/1512.03385), appendix A.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.detectors.base import UnsupportedViewsError

_UPRIGHT, _ACROSS = 1, 2  # the axes of images [N, H, W, 3]
_MIRRORS = ((), (_ACROSS,), (_UPRIGHT,), (_UPRIGHT, _ACROSS))
_FARTHER = 7 / 8


class Views(nn.Module):
    """The first `count` of: a picture, its mirror image, upside down, and both; and these four an eighth smaller.

    sizes: the sides, in pixels, that pictures are seen at. For detectors that find something at every point of
    square grids of `strides`, in the middle of each cell: what two views say of one place can be averaged before
    anything is suppressed. A smaller view's nearest point stands for each of the picture's, and has a say in the
    scores alone: at another size than it was trained at, a detector finds well and draws its boxes too large.
    """

    def __init__(self, input_size: int, strides: Sequence[int], count: int) -> None:
        """Raises UnsupportedViewsError if the grids are not their own mirror images."""
        super().__init__()
        if count not in (1, 2, 4, 8):
            raise UnsupportedViewsError(f"a picture has 1, 2, 4 or 8 views, not {count}")
        step = max(strides)
        if count > 1 and input_size % step:
            raise UnsupportedViewsError(
                f"mirror images need an input_size in steps of {step}, not {input_size}"
            )
        self._mirrors = _MIRRORS[:count]
        self.sizes = [input_size]
        if count > len(_MIRRORS):
            self.sizes.append(min(input_size - step, step * round(input_size * _FARTHER / step)))
        for size in self.sizes:
            for number, axes in enumerate(self._mirrors):
                order = _order(input_size, size, strides, axes)
                self.register_buffer(f"order{size}_{number}", order, persistent=False)

    def of(self, images: Tensor) -> list[Tensor]:
        """[N, S, S, 3] → for each of `sizes`, [mirrors * N, size, size, 3]."""
        if len(self._mirrors) > 1:
            images = torch.cat([images.flip(axes) if axes else images for axes in self._mirrors])
        return [images, *(_resized(images, size) for size in self.sizes[1:])]

    def mean(self, boxes: Tensor, scores: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Boxes [mirrors * N, A, 4] in 0..1, and for each of `sizes` scores [mirrors * N, A', C] → of the picture:
        [N, A, 4], [N, A, C].
        """
        if len(self._mirrors) == 1:
            return boxes, scores[0]
        placed = [
            _mirrored(each[:, self._points(self.sizes[0], number)], axes)
            for number, (each, axes) in enumerate(zip(self._apart(boxes), self._mirrors, strict=True))
        ]
        sure = [
            each[:, self._points(size, number)]
            for size, found in zip(self.sizes, scores, strict=True)
            for number, each in enumerate(self._apart(found))
        ]
        return torch.stack(placed).mean(0), torch.stack(sure).mean(0)

    def _apart(self, joint: Tensor) -> Tensor:
        """[mirrors * N, ...] → [mirrors, N, ...]."""
        return joint.view(len(self._mirrors), -1, *joint.shape[1:])

    def _points(self, size: int, number: int) -> Tensor:
        return self.get_buffer(f"order{size}_{number}")


def _mirrored(boxes: Tensor, axes: Sequence[int]) -> Tensor:
    left, top, right, bottom = boxes.unbind(-1)
    if _ACROSS in axes:
        left, right = 1 - right, 1 - left
    if _UPRIGHT in axes:
        top, bottom = 1 - bottom, 1 - top
    return torch.stack([left, top, right, bottom], -1)


def _resized(images: Tensor, size: int) -> Tensor:
    pixels = images.permute(0, 3, 1, 2).float()
    return functional.interpolate(pixels, (size, size), mode="bilinear").permute(0, 2, 3, 1)


def _order(input_size: int, size: int, strides: Sequence[int], axes: Sequence[int]) -> Tensor:
    """[A]: for each point of the picture, where its place is in the mirror image of that size."""
    parts, first = [], 0
    for stride in strides:
        cells, side = (-(-each // stride) for each in (input_size, size))
        middles = (torch.arange(cells) + 0.5) * stride / input_size  # in 0..1
        nearest = (middles * size / stride).long().clamp(max=side - 1)
        grid = torch.arange(first, first + side * side).view(side, side)
        grid = grid.flip([axis - 1 for axis in axes])
        parts.append(grid[nearest][:, nearest].flatten())
        first += side * side
    return torch.cat(parts)
