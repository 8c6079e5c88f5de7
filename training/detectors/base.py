"""The interface of a family: of detectors, or of anomaly models."""

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
    """The family does not take images of this size."""


class UnsupportedViewsError(TrainingError):
    """The family cannot average over this number of views."""


@dataclass(frozen=True, slots=True)
class Target:
    """The labelled objects of one image, as torchvision's `targets` have them; N may be 0.

    Attributes:
        boxes: [N, 4] as (x1, y1, x2, y2) in 0..1.
        classes: [N], counted from 0.
    """

    boxes: Tensor
    classes: Tensor


@dataclass(frozen=True, slots=True)
class Recipe:
    """The default hyperparameters of a family; a hyperparameter of the same name overrides each.

    Attributes:
        input_size: Side of the square input, in pixels.
        batch_size: Images in a training step.
        learning_rate: The peak of the learning rate.
        weight_decay: Of AdamW.
        epochs: Epochs of a run.
    """

    input_size: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    epochs: int


@dataclass(frozen=True, slots=True)
class AnomalyRecipe:
    """The default hyperparameters of a family of anomaly models.

    Attributes:
        input_size: Side of the square input, in pixels.
        memory: The most places of good pictures that the model remembers.
    """

    input_size: int
    memory: int


@dataclass(frozen=True, slots=True)
class PublicWeights:
    """The address of published weights.

    Attributes:
        source: torchvision: a name of its weights API. huggingface: a repository with a model.safetensors, as timm's.
            package: a file in an installed Python package, which needs no network.
        name: The name at the source.
    """

    source: Literal["torchvision", "huggingface", "package"]
    name: str


class Network(nn.Module, ABC):
    """A network of any family: what starting weights and the export need of it.

    Attributes:
        family: Name of the family.
        input_size: Side of the square input, in pixels.
        normalisation: Mean and std that the graph applies to pixels / 255.
        backbone_prefix: Prefix of the names of the backbone's tensors.
        outputs: The names of what `forward` returns.
        any_batch: Whether the exported graph takes any number of images at a time, or only one.
    """

    family: str
    input_size: int
    normalisation: dict[str, list[float]]
    outputs: tuple[str, ...]
    backbone_prefix = "backbone."
    any_batch = True

    def own_name(self, name: str) -> str:
        """Return this model's name for a tensor that a published checkpoint calls `name`."""
        return name


class AnomalyNetwork(Network):
    """The network of an anomaly model: the interface between a family and learning, export and evaluation.

    Attributes:
        side: Places of a picture, across as well as down.
        channels: Numbers in the feature of a place.
        memory: [K, channels], the features of good places; set before `forward` is called.
        products: [P, channels], the mean features of pictures of products.
        empty: [E, channels], the mean features of pictures of an empty place; E may be 0.
    """

    outputs: tuple[str, ...] = ("distance", "map")
    side: int
    channels: int
    memory: Tensor
    products: Tensor
    empty: Tensor

    def remember(self, memory: Tensor, products: Tensor, empty: Tensor) -> None:
        """Set what is remembered, float32. It is exported with the weights."""
        self.register_buffer("memory", memory)
        self.register_buffer("products", products)
        self.register_buffer("empty", empty)
        if len(empty):
            self.outputs = (*type(self).outputs, "emptiness")

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Return the features of the places of pictures, row by row: [N, side * side, channels].

        Args:
            images: uint8 [N, size, size, 3].
        """

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compare pictures with the memory. This is the graph that is exported.

        Args:
            images: uint8 [N, size, size, 3].

        Returns:
            The distance of each picture [N], and of each of its places [N, side, side], from the good ones. If `empty`
            has any, also [N], from 0 for a picture that is like one of a product to 1 for one of an empty place.
        """


class Detector(Network):
    """A detector: the interface between a family and training, export and evaluation.

    Attributes:
        postprocess: How the output becomes detections.
        places: Description of the fixed places that the A outputs belong to. Models with the same places, labels and
            input size can be averaged (training.learning.ensembling). Empty: the outputs belong to no fixed places.
    """

    outputs = ("boxes", "scores")
    postprocess: Postprocess
    places = ""

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Detect objects. This is the graph that is exported.

        Args:
            images: uint8 [N, size, size, 3].

        Returns:
            Boxes [N, A, 4] in 0..1, and scores [N, A, C] without background.
        """

    @abstractmethod
    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Return the parts of the loss, each a scalar. Training minimises their sum.

        Args:
            images: uint8 [N, size, size, 3].
            targets: The objects of each image.
        """

    def use_views(self, views: int) -> None:
        """Make `forward` average the results of several views of each image: test-time augmentation.

        Args:
            views: Number of views; 1: the image alone.

        Raises:
            UnsupportedViewsError: The family cannot average over this number of views.
        """
        if views != 1:
            raise UnsupportedViewsError(f"{self.family} detects in one view of an image only, not in {views}")

    def _pixels(self, images: Tensor) -> Tensor:
        """uint8 [N, size, size, 3] → normalised [N, 3, size, size]."""
        mean, std = (
            torch.tensor(self.normalisation[statistic], device=images.device).view(1, 3, 1, 1) * 255
            for statistic in ("mean", "std")
        )
        return (images.permute(0, 3, 1, 2).to(mean.dtype) - mean) / std


def check_input_size(family: str, input_size: int, smallest: int, largest: int, multiple: int = 1) -> None:
    """Check an input size, in pixels.

    Raises:
        UnsupportedInputSizeError: It is outside the limits, or not a multiple of `multiple`.
    """
    if smallest <= input_size <= largest and input_size % multiple == 0:
        return
    steps = f" in steps of {multiple}" if multiple > 1 else ""
    raise UnsupportedInputSizeError(
        f"{family} takes an input_size from {smallest} to {largest} pixels{steps}, not {input_size}"
    )
