"""The images that a run learns from, and those that it validates on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from training.datasets import Dataset, DatasetError, open_dataset
from training.datasets.snapshots.split import in_parts
from training.job.container import Container
from training.job.hyperparameters import HyperparameterError
from training.learning.hyperparameters import Hyperparameters

_TRAIN_IMAGES_AT_LEAST = 2  # batch norm needs more than one


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The two parts of a run's data.

    Attributes:
        train: The images to learn from.
        validation: The images to validate on; with `refit` they are in `train`, too.
        description: What model.json contains about both: snapshot, split and counts.
    """

    train: Dataset
    validation: Dataset
    description: dict[str, object]


def open_training_data(container: Container, settings: Hyperparameters) -> TrainingData:
    """Open the channels of a job and divide them.

    Raises:
        DatasetError: The data cannot be read, or cannot be learned from.
        HyperparameterError: `refit` is set, but there is a validation channel.
    """
    channel = container.channel("train")
    if channel is None:
        raise DatasetError(container.root / "input/data/train", "the channel train is missing")
    whole = open_dataset(channel)
    validation_channel = container.channel("validation")
    train, validation, split = train_and_validation(whole, validation_channel)
    train, validation = _placed(train), _placed(validation)
    train = _share(train, settings.train_share)
    _check(channel, train, validation)
    if settings.refit:
        if validation_channel:
            raise HyperparameterError(
                "refit=true learns from both parts of one data set: leave the validation out"
            )
        train = replace(train, samples=train.samples + validation.samples)
        split += ", the validation part learned from, too"
    counts = {
        "train": len(train.samples),
        "validation": 0 if settings.refit else len(validation.samples),
        "images": len(whole.samples),
    }
    return TrainingData(train, validation, {"snapshot": whole.snapshot(), "split": split, **counts})


def train_and_validation(
    whole: Dataset, validation_channel: Path | str | None
) -> tuple[Dataset, Dataset, str]:
    """Return the train part, the validation part, and how they were divided."""
    if validation_channel:
        return whole, open_dataset(validation_channel), "by channel"
    whole, has_own_parts = in_parts(whole)
    split = "by snapshot" if whole.snapshot_id else "by image hash, 70/10/20"
    split = "by the parts of the source" if has_own_parts else split
    return whole.part("train"), whole.part("validation"), split


def _placed(dataset: Dataset) -> Dataset:
    """Return the data set without images that have a defect nobody knows the place of.

    Such an image is no background: a detector that learned it as one would learn to miss the defect.
    """
    kept = tuple(sample for sample in dataset.samples if not sample.has_unplaced_defect)
    return replace(dataset, samples=kept)


def _share(dataset: Dataset, share: float) -> Dataset:
    """Return the samples whose hashes fall into the first `share`.

    The digits are not those that choose the part, so every part loses the same share.
    """
    kept = (sample for sample in dataset.samples if int(sample.sha256[8:16], 16) < share * 0x1_0000_0000)
    return replace(dataset, samples=tuple(kept))


def _check(channel: Path | str, train: Dataset, validation: Dataset) -> None:
    """Raise DatasetError if the parts cannot be learned from."""
    for name, part in (("train", train), ("validation", validation)):
        if not any(sample.objects for sample in part.samples):
            raise DatasetError(channel, f"its {name} part has no labelled image")
    if len(train.samples) < _TRAIN_IMAGES_AT_LEAST:
        raise DatasetError(channel, "its train part has a single image; training needs at least two")
    if unknown := set(validation.labels) - set(train.labels):
        raise DatasetError(channel, f"lacks labels of the validation images: {', '.join(sorted(unknown))}")
