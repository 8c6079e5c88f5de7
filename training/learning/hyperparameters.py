"""The hyperparameters of a training job."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from contract.endpoint import BIT_DEPTHS
from training.detectors.registry import recipe
from training.job.hyperparameters import JobHyperparameters

# A default of 0 is not checked: the family's recipe replaces it. A value that is given is checked, and kept.
_CountOrRecipe = Annotated[int, Field(ge=1)]
_Share = Annotated[float, Field(ge=0, le=1)]


class Hyperparameters(JobHyperparameters):
    """All settings of a training job.

    Attributes:
        family: The kind of detector (docs/families.md).
        name: The model's name in model.json and in each inspection's record.
        weights: The name of published weights to start from, such as "imagenet" or "coco", if there is no channel
            `pretrained`; needs a network. Empty: start from random weights.
        train_share: The share of the train part to learn from, chosen by image hash: for learning curves.
        input_size: Side of the model's square input, in pixels. If it is not set, the recipe of the family decides, as
            for `epochs`, `batch_size`, `learning_rate` and `weight_decay`.
        bit_depth: The bits that the cameras store in 16-bit files that do not state it, 8 to 16. The model then expects
            the same of the pictures that it is shown. If it is not set, such pictures stay dark.
        epochs: Epochs of the learning rate's warm-up and fall.
        batch_size: Images in a training step.
        learning_rate: The peak of the learning rate.
        weight_decay: Of AdamW; biases and norms are not decayed. 0: nothing is.
        warmup_epochs: Epochs in which the learning rate rises to its peak.
        ema_decay: Decay of the moving average of the weights, which is validated and exported.
        cycles: After `epochs`, this many times two epochs in which the learning rate falls again, from half its peak.
            The mean of the weights at their ends is validated and exported. 0: no cycles.
        validate_every: Epochs between two validations.
        patience: The run stops after this many of `epochs` without a better validation mAP. 0: never.
        seed: Of the initial weights, the order of images and their augmentation.
        mosaic: The share of training images that are made of four, until the last fifth of `epochs`, which shows
            the images as they are; cycles use mosaics again.
        refit: Also learn from the validation part, and keep the last epoch's weights, since no images are left to
            choose an epoch by: for the final model, once a run has shown how many epochs it takes.
        views: 1, 2, 4 or 8: the model detects in the image, its mirror image, both upside down, and these four from
            slightly farther away, and averages the results: some more precision for 2, 4 or 7 times the work. Not all
            families can do it (docs/families.md).
        workers: Processes that prepare batches. -1: one for each core but the trainer's, at most four.
        tuned: Whether tuning chose these values, so that a comparison can say so.
    """

    family: str = "ssdlite"
    name: Annotated[str, Field(min_length=1)] = "detector"
    weights: str = ""
    train_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    input_size: _CountOrRecipe = 0
    bit_depth: Annotated[int, Field(ge=BIT_DEPTHS[0], le=BIT_DEPTHS[-1])] = 0
    epochs: _CountOrRecipe = 0
    batch_size: _CountOrRecipe = 0
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.0
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    warmup_epochs: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    ema_decay: _Share = 0.998
    cycles: Annotated[int, Field(ge=0)] = 0
    validate_every: Annotated[int, Field(ge=1)] = 5
    patience: Annotated[int, Field(ge=0)] = 20
    # torch's generators take 64 bits.
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    mosaic: _Share = 0.3
    refit: bool = False
    # The detector checks the number, since it depends on the family.
    views: int = 1
    workers: Annotated[int, Field(ge=-1)] = -1
    tuned: bool = False

    @model_validator(mode="after")
    def _can_be_tuned(self) -> Self:
        """Refuse what tuning, which compares validation mAPs after the same epochs, cannot use."""
        if self.refit and self.tuned:
            raise PydanticCustomError(
                "refit_and_tuned",
                "refit=true leaves no images to validate on, and tuning chooses by the validation mAP: "
                "tune first, then refit with the values that it found",
            )
        if self.cycles and self.tuned:
            raise PydanticCustomError(
                "cycles_and_tuned",
                "cycles come after the epochs, and tuning counts epochs only: "
                "tune first, then train with cycles and the values that it found",
            )
        return self

    def completed(self) -> Hyperparameters:
        """Return a copy in which the family's recipe decides what is not set.

        Raises:
            UnknownFamilyError: There is no such family.
        """
        defaults = asdict(recipe(self.family))
        return self.model_copy(
            update={name: value for name, value in defaults.items() if name not in self.model_fields_set}
        )
