"""The pictures that an anomaly model learns from, and those that only place its threshold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.datasets import Dataset, DatasetError, Sample, open_dataset
from training.job.container import Container
from training.learning.data import train_and_validation


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a data set.

    Attributes:
        dataset: What it is in.
        sample: Its name and labels.
    """

    dataset: Dataset
    sample: Sample


@dataclass(frozen=True, slots=True)
class AnomalyData:
    """The pictures of a job, without those of the test part.

    Attributes:
        good: Pictures of good products, each file once.
        bad: Pictures of defective products; none are needed.
        good_files: How many good pictures there are with those that are the same file.
        description: What model.json contains about both: snapshot, split and counts.
    """

    good: tuple[Picture, ...]
    bad: tuple[Picture, ...]
    good_files: int
    description: dict[str, object]


def open_anomaly_data(container: Container) -> AnomalyData:
    """Open the channels of a job. The good pictures of train and validation are both learned from.

    Raises:
        DatasetError: The data cannot be read, or there is no good picture to learn from.
    """
    channel = container.channel("train")
    if channel is None:
        raise DatasetError(container.root / "input/data/train", "the channel train is missing")
    whole = open_dataset(channel)
    train, validation, split = train_and_validation(whole, container.channel("validation"))
    pictures = [Picture(part, sample) for part in (train, validation) for sample in part.samples]
    good_files = sum(picture.sample.is_good for picture in pictures)
    once = {picture.sample.sha256: picture for picture in reversed(pictures)}
    pictures = [picture for picture in pictures if once[picture.sample.sha256] is picture]
    good = tuple(picture for picture in pictures if picture.sample.is_good)
    bad = tuple(picture for picture in pictures if picture.sample.is_defective)
    if not good:
        raise _without_good(channel, whole, pictures)
    # `train` and `validation` are what every card says of its data: pictures learned from, and others that were used.
    counts = {"train": len(good), "validation": len(bad), "images": len(whole.samples)}
    return AnomalyData(good, bad, good_files, {"snapshot": whole.snapshot(), "split": split, **counts})


def _without_good(channel: Path | str, whole: Dataset, pictures: list[Picture]) -> DatasetError:
    elsewhere = sum(sample.is_good for sample in whole.samples)
    if elsewhere:
        found = (
            f"its {elsewhere} good pictures are all in the test part, which the evaluation keeps for itself"
        )
    else:
        found = f"all of its {len(whole.samples)} pictures show a defective product"
    error = DatasetError(channel, f"has no good picture to learn from: {found}")
    error.hint = (
        "An anomaly model learns from pictures of good products: about twenty are a good start. "
        "Labelled defects alone teach a detector (docs/families.md)."
    )
    return error
