"""The hyperparameters of a training job."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from training.detectors.registry import recipe


@dataclass(frozen=True)
class Hyperparameters:
    """All settings of a training job. Where a value is 0, the family's own recipe decides.

    name: what the model is called in model.json and in each inspection's record.
    weights: a name to start from, such as "imagenet" or "coco", when there is no `pretrained` channel and
        a network is at hand; empty: from scratch.
    train_share: the share of the train part to learn from, chosen by image hash: for learning curves.
    ema_decay: of the moving average of the weights, which is what gets validated and exported.
    cycles: after `epochs`, so many times two epochs in which the learning rate falls again, from half its peak; the
        mean of the weights at their ends is what gets validated and exported. 0: none.
    validate_every: epochs between two looks at the validation part.
    patience: of `epochs`, those without a better validation mAP after which the run stops; 0: never.
    mosaic: the share of training pictures that are made of four, until the last fifth of `epochs`, which shows
        the model pictures as they are; cycles have mosaics again.
    refit: learns from the validation part, too, and keeps the last epoch's weights, since no picture is left to
        choose an epoch by: for the final model, once a run has shown how many epochs it takes.
    views: 1, 2, 4 or 8: the model judges each picture, its mirror image, both upside down, and these four from a
        little farther away, and means what it saw. So many times the work for some more precision; for families
        that can (docs/families.md).
    workers: processes that prepare batches; -1: one a core beside the trainer's, four at most.
    tuned: whether tuning chose these values, so that a comparison can say so.
    """

    family: str = "ssdlite"
    name: str = "detector"
    weights: str = ""
    train_share: float = 1.0
    input_size: int = 0
    epochs: int = 0
    batch_size: int = 0
    learning_rate: float = 0.0
    weight_decay: float = 0.0
    warmup_epochs: float = 1.0
    ema_decay: float = 0.998
    cycles: int = 0
    validate_every: int = 5
    patience: int = 20
    seed: int = 0
    mosaic: float = 0.3
    refit: bool = False
    views: int = 1
    workers: int = -1
    tuned: bool = False

    def completed(self) -> Hyperparameters:
        """With the family's recipe in the place of every 0. Raises UnknownFamilyError."""
        suits = asdict(recipe(self.family))
        return replace(self, **{name: value for name, value in suits.items() if not getattr(self, name)})
