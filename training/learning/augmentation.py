"""Changes to an image that do not change its verdict: side, light, distance, framing, neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.ops import box_area, box_iou, clip_boxes_to_image
from torchvision.transforms import v2

from training.detectors import Target

_SMALLEST_BOX = 2.0  # pixels of the model's input; a smaller rest of an object cannot be seen
_VISIBLE = 0.4  # the share of an object that must remain for it to be labelled
_MOSAIC_SIDES = (1.0, 1.5)  # of the window in a mosaic of two by two, in sides of one image

Example = tuple[Tensor, Target]
"""An image, uint8 [S, S, 3], and its objects."""


class _Crop(v2.RandomIoUCrop):  # type: ignore[misc]  # torchvision has no types
    """RandomIoUCrop with all trials of an overlap at once.

    For small objects most overlaps are out of reach, and torch takes as long for one trial as for forty.
    """

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Return where to cut; nothing to leave the image as it is."""
        boxes = next(item for item in flat_inputs if isinstance(item, tv_tensors.BoundingBoxes))
        height, width = boxes.canvas_size
        while len(boxes):
            least = self.options[int(torch.randint(len(self.options), ()))]
            if least >= 1:
                break
            if found := self._first(boxes.as_subclass(Tensor), torch.tensor([width, height]), least):
                return found
        return {}

    def _first(self, boxes: Tensor, size: Tensor, least: float) -> dict[str, Any] | None:
        """Return the first of some random places that shows an object well enough."""
        shares = torch.rand(self.trials, 4)
        sides = (size * (self.min_scale + (self.max_scale - self.min_scale) * shares[:, :2])).floor()
        corners = ((size - sides) * shares[:, 2:]).floor()
        places = torch.cat([corners, corners + sides], 1)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        shown = ((places[:, None, :2] < centres) & (centres < places[:, None, 2:])).all(2)
        aspect = sides[:, 0] / sides[:, 1]
        fits = (self.min_aspect_ratio <= aspect) & (aspect <= self.max_aspect_ratio)
        good = (fits[:, None] & shown & (box_iou(places, boxes) >= least)).any(1)
        if not good.any():
            return None
        number = int(good.int().argmax())
        left, top, right, bottom = (int(edge) for edge in places[number])
        cut = {"top": top, "left": left, "height": bottom - top, "width": right - left}
        return cut | {"is_within_crop_area": shown[number]}


class Augmentation:
    """Random changes to square images; the random numbers come from torch's default generator."""

    def __init__(self, size: int) -> None:
        """Prepare for images of `size` x `size` pixels."""
        self._size = size
        light_and_side = [
            v2.ColorJitter(brightness=0.25, contrast=0.25),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
        ]
        distance_and_framing = [
            v2.RandomZoomOut(fill=128, side_range=(1.0, 1.5), p=0.3),
            v2.RandomApply([_Crop(min_scale=0.5, sampler_options=[0.5, 0.7, 0.9, 1.0])], p=0.5),
            v2.Resize((size, size), antialias=True),
        ]
        drop_small_boxes = v2.SanitizeBoundingBoxes(min_size=_SMALLEST_BOX)
        self._single = v2.Compose([*light_and_side, *distance_and_framing, drop_small_boxes])
        self._mosaic = v2.Compose([*light_and_side, drop_small_boxes])  # a mosaic has its own framing

    def __call__(self, examples: Sequence[Example]) -> Example:
        """Return one changed example of the same size.

        Args:
            examples: One example, or four that become a mosaic.
        """
        image, target = mosaic(examples) if len(examples) > 1 else examples[0]
        canvas_size = (self._size, self._size)
        fields = {
            "image": tv_tensors.Image(image.permute(2, 0, 1)),
            "boxes": tv_tensors.BoundingBoxes(
                target.boxes * self._size, format="XYXY", canvas_size=canvas_size
            ),
            "labels": target.classes,
        }
        fields = (self._mosaic if len(examples) > 1 else self._single)(fields)
        image = torch.as_tensor(fields["image"]).permute(1, 2, 0).contiguous()
        return image, Target(torch.as_tensor(fields["boxes"]) / self._size, fields["labels"])


def mosaic(examples: Sequence[Example]) -> Example:
    """Return a window at a random position of four images laid two by two, scaled to the size of one image.

    From YOLOv4, Bochkovskiy et al. 2020, https://arxiv.org/abs/2004.10934, section 3.3.

    Args:
        examples: Four examples of one size.
    """
    size = examples[0][0].shape[0]
    images = [image.permute(2, 0, 1) for image, _ in examples]
    canvas = torch.cat([torch.cat(images[:2], 2), torch.cat(images[2:], 2)], 1)
    corners = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=torch.float32)
    shifted = [target.boxes + corner.repeat(2) for (_, target), corner in zip(examples, corners, strict=True)]
    boxes = torch.cat(shifted) * size
    classes = torch.cat([target.classes for _, target in examples])
    side = int(size * torch.empty(()).uniform_(*_MOSAIC_SIDES))
    left, top = (int(torch.randint(0, 2 * size - side + 1, ())) for _ in range(2))
    window = v2.functional.resize(
        canvas[:, top : top + side, left : left + side], [size, size], antialias=True
    )
    in_window = boxes - torch.tensor([left, top, left, top])
    visible = clip_boxes_to_image(in_window, (side, side))
    kept = box_area(visible) > _VISIBLE * box_area(in_window)
    return window.permute(1, 2, 0).contiguous(), Target(visible[kept] / side, classes[kept])
