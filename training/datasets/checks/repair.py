"""Repairs that need no decision, made only on request. Each repair is listed with its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from contract.snapshots import PARTS
from training.datasets.checks.audit import fold, same_boxes, same_labels, spellings
from training.datasets.checks.duplicates import Duplicate
from training.datasets.dataset import Dataset, Object, Sample
from training.datasets.problems import Problem

# Reading clips such boxes in any case; the report of a repair lists them as repaired.
REPAIRED_BY_READING = ("box-outside", "zero-area-box")


@dataclass(frozen=True, slots=True)
class Repair:
    """One repair.

    Attributes:
        kind: The kind of the problem that it settles.
        file: The image.
        action: What was done.
    """

    kind: str
    file: str
    action: str


def repair(
    dataset: Dataset, duplicates: Sequence[Duplicate], problems: Sequence[Problem]
) -> tuple[Dataset, list[Repair]]:
    """Repair a data set: one spelling for each label, no duplicate boxes, no exact duplicate images.

    Two equal images with different labels both stay: a person has to decide which labels are right.

    Args:
        dataset: What to repair.
        duplicates: The duplicates in `dataset`, from `find_duplicates`.
        problems: The problems found by reading, which has already clipped and dropped boxes.

    Returns:
        The repaired data set, and the list of repairs.
    """
    repairs = [
        Repair(
            problem.kind,
            problem.file,
            f"{problem.place} clipped" if problem.kind == "box-outside" else f"{problem.place} dropped",
        )
        for problem in problems
        if problem.kind in REPAIRED_BY_READING
    ]
    common = {key: labels[0] for key, labels in spellings(dataset).items()}
    samples = [_unify_labels(sample, common, repairs) for sample in dataset.samples]
    samples = [_drop_duplicate_boxes(sample, repairs) for sample in samples]
    kept_by_dropped = _exact_duplicates(samples, duplicates)
    repairs += [
        Repair("duplicate-image", samples[dropped].name, f"left out: the same as {samples[kept].name}")
        for dropped, kept in sorted(kept_by_dropped.items())
    ]
    labels = tuple(dict.fromkeys(common.get(fold(label), label) for label in dataset.labels))
    kept = tuple(sample for index, sample in enumerate(samples) if index not in kept_by_dropped)
    return replace(dataset, labels=labels, samples=kept, snapshot_id=""), repairs


def _unify_labels(sample: Sample, common: dict[str, str], repairs: list[Repair]) -> Sample:
    objects = []
    for number, obj in enumerate(sample.objects, start=1):
        label = common.get(fold(obj.label), obj.label)
        if label != obj.label:
            action = f"box {number}: {obj.label!r} is now {label!r}"
            repairs.append(Repair("label-case", sample.name, action))
        objects.append(Object(label, obj.box))
    return replace(sample, objects=tuple(objects))


def _drop_duplicate_boxes(sample: Sample, repairs: list[Repair]) -> Sample:
    dropped: set[int] = set()
    for second, earlier in same_boxes(sample):
        label = sample.objects[second].label
        if any(sample.objects[first].label == label and first not in dropped for first in earlier):
            dropped.add(second)
    repairs.extend(
        Repair("duplicate-box", sample.name, f"box {index + 1} dropped") for index in sorted(dropped)
    )
    objects = tuple(obj for index, obj in enumerate(sample.objects) if index not in dropped)
    return replace(sample, objects=objects)


def _exact_duplicates(samples: Sequence[Sample], duplicates: Sequence[Duplicate]) -> dict[int, int]:
    """Return the images to drop, each with the index of the image that stays in its place.

    Of two images the one of the higher part stays: the test part must not lose an image to the train part.
    """
    kept_by_dropped: dict[int, int] = {}
    for duplicate in duplicates:
        is_exact = duplicate.match in ("bytes", "pixels")
        if is_exact and same_labels(samples[duplicate.first], samples[duplicate.second]):
            pair = (duplicate.second, duplicate.first)
            dropped, kept = sorted(pair, key=lambda index: PARTS.index(samples[index].belongs_to()))
            kept_by_dropped[dropped] = kept
    return kept_by_dropped
