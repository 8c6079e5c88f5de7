"""What every detector family offers, and what a family is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from training.job.errors import TrainingError
from training.model.decoding import Postprocess


class UnsupportedInputSizeError(TrainingError):
    """The family cannot work on images of this size."""


class UnsupportedViewsError(TrainingError):
    """The family cannot average over so many mirror images."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is in one image: boxes [N, 4] as (x1, y1, x2, y2) in 0..1, classes [N] from 0. N may be 0."""

    boxes: Tensor
    classes: Tensor


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings that suit a family; a hyperparameter of the same name overrides each."""

    input_size: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    epochs: int


@dataclass(frozen=True, slots=True)
class PublicWeights:
    """Where published weights lie.

    source: torchvision (a name of its weights API) or huggingface (a repository that holds model.safetensors,
    which timm's are too). name: the name there.
    """

    source: Literal["torchvision", "huggingface"]
    name: str


class Detector(nn.Module, ABC):
    """What every family offers to training, export and evaluation.

    normalisation: mean and std that the graph applies to pixels / 255.
    backbone_prefix: how the names of the backbone's tensors begin.
    any_batch: whether the exported graph takes any number of images at a time, or one.
    places: what the A outputs stand for, one by one; models with the same places, labels and input size can
        be averaged (training.ensemble). Empty: for nothing in particular.
    """

    family: str
    input_size: int
    normalisation: dict[str, list[float]]
    postprocess: Postprocess
    backbone_prefix = "backbone."
    any_batch = True
    places = ""

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [N, size, size, 3] → boxes [N, A, 4] in 0..1, scores [N, A, C] without background.

        This is the graph that is exported.
        """

    @abstractmethod
    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The parts of the loss, each a scalar; their sum is minimised. Same images as `forward`."""

    def use_views(self, views: int) -> None:
        """From now on `forward` gives the mean of what is seen in `views` mirror images of each picture.

        Raises UnsupportedViewsError where the family cannot.
        """
        if views != 1:
            raise UnsupportedViewsError(f"{self.family} judges a picture in one view only, not in {views}")

    def own_name(self, name: str) -> str:
        """This model's name of a tensor that a published checkpoint calls `name`; itself where they agree."""
        return name

    def _pixels(self, images: Tensor) -> Tensor:
        """uint8 [N, size, size, 3] → normalised [N, 3, size, size]."""
        mean, std = (
            torch.tensor(self.normalisation[each], device=images.device).view(1, 3, 1, 1) * 255
            for each in ("mean", "std")
        )
        return (images.permute(0, 3, 1, 2).to(mean.dtype) - mean) / std


def check_input_size(family: str, input_size: int, smallest: int, largest: int, multiple: int = 1) -> None:
    """Raises UnsupportedInputSizeError unless the size is within the limits, and such a multiple."""
    if smallest <= input_size <= largest and input_size % multiple == 0:
        return
    steps = f" in steps of {multiple}" if multiple > 1 else ""
    raise UnsupportedInputSizeError(
        f"{family} takes an input_size from {smallest} to {largest} pixels{steps}, not {input_size}"
    )
