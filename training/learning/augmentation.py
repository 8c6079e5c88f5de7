"""What changes about a product without changing its verdict: side, light, distance, framing, neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.ops import box_area, clip_boxes_to_image
from torchvision.transforms import v2

from training.detectors import Target

_SMALLEST_BOX = 2.0  # pixels of the model's input; what augmentation cuts smaller is no longer to be seen
_VISIBLE = 0.4  # the share of an object that must be left for it to be one
_MOSAIC_SIDES = (1.0, 1.5)  # of the window in a mosaic of two by two, in sides of one picture

Picture = tuple[Tensor, Target]


class Augmentation:
    """Random changes by torch's generator, of square pictures of `size` pixels."""

    def __init__(self, size: int) -> None:
        self._size = size
        light_and_side = [
            v2.ColorJitter(brightness=0.25, contrast=0.25),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
        ]
        distance_and_framing = [
            v2.RandomZoomOut(fill=128, side_range=(1.0, 1.5), p=0.3),
            v2.RandomApply([v2.RandomIoUCrop(min_scale=0.5, sampler_options=[0.5, 0.7, 0.9, 1.0])], p=0.5),
            v2.Resize((size, size), antialias=True),
        ]
        last = v2.SanitizeBoundingBoxes(min_size=_SMALLEST_BOX)
        self._single = v2.Compose([*light_and_side, *distance_and_framing, last])
        self._of_four = v2.Compose([*light_and_side, last])  # a mosaic has its framing

    def __call__(self, pictures: Sequence[Picture]) -> Picture:
        """uint8 [S, S, 3] and its objects, once or four times → a picture of another appearance."""
        image, target = mosaic(pictures) if len(pictures) > 1 else pictures[0]
        shape = (self._size, self._size)
        drawn = {
            "image": tv_tensors.Image(image.permute(2, 0, 1)),
            "boxes": tv_tensors.BoundingBoxes(target.boxes * self._size, format="XYXY", canvas_size=shape),
            "labels": target.classes,
        }
        drawn = (self._of_four if len(pictures) > 1 else self._single)(drawn)
        image = torch.as_tensor(drawn["image"]).permute(1, 2, 0).contiguous()
        return image, Target(torch.as_tensor(drawn["boxes"]) / self._size, drawn["labels"])


def mosaic(four: Sequence[Picture]) -> Picture:
    """A window, at a random place, onto four square pictures of one size laid two by two; of that size again.

    From YOLOv4, Bochkovskiy et al. 2020, https://arxiv.org/abs/2004.10934, section 3.3.
    """
    size = four[0][0].shape[0]
    images = [image.permute(2, 0, 1) for image, _ in four]
    canvas = torch.cat([torch.cat(images[:2], 2), torch.cat(images[2:], 2)], 1)
    corners = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=torch.float32)
    boxes = torch.cat([t.boxes + c.repeat(2) for (_, t), c in zip(four, corners, strict=True)]) * size
    classes = torch.cat([target.classes for _, target in four])
    side = int(size * torch.empty(()).uniform_(*_MOSAIC_SIDES))
    left, top = (int(torch.randint(0, 2 * size - side + 1, ())) for _ in range(2))
    window = v2.functional.resize(
        canvas[:, top : top + side, left : left + side], [size, size], antialias=True
    )
    moved = boxes - torch.tensor([left, top, left, top])
    seen = clip_boxes_to_image(moved, (side, side))
    kept = box_area(seen) > _VISIBLE * box_area(moved)
    return window.permute(1, 2, 0).contiguous(), Target(seen[kept] / side, classes[kept])
