"""Finds what a person should know about a data set before a model is trained on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from contract.snapshots import PARTS
from training.datasets import bounds
from training.datasets.checks.duplicates import Duplicate, across_parts
from training.datasets.dataset import Dataset, Sample
from training.datasets.problems import Problem
from training.model.decoding import iou

SAME_BOX_IOU = 0.95
# Of a box's width: how far to the left or right of its own left edge that of another may be with this IoU.
_REACH = 1 / SAME_BOX_IOU - 1
IMBALANCE = 10.0


def audit(
    dataset: Dataset,
    duplicates: Sequence[Duplicate],
    fixed_scene: Sequence[int] = (),
    known_labels: Sequence[str] | None = None,
) -> list[Problem]:
    """Return the problems of labels, boxes and images that reading does not find.

    Args:
        dataset: What to check.
        duplicates: The duplicates in `dataset`, from `find_duplicates`.
        fixed_scene: The samples that look like many others, from `find_duplicates`.
        known_labels: The allowed labels, if they are restricted.
    """
    problems: list[Problem] = []
    for sample in dataset.samples:
        problems += _box_problems(sample)
        if not sample.objects and not sample.tags:
            problems.append(Problem("unlabelled-image", sample.name, "", "has no labelled object"))
    problems += _spelling_problems(dataset)
    problems += _unknown_labels(dataset, known_labels)
    problems += _untested_classes(dataset)
    problems += _empty_parts(dataset)
    problems += _one_class(dataset)
    problems += _good_only_train(dataset)
    problems += _imbalance(dataset)
    problems += _duplicate_images(dataset, duplicates)
    if fixed_scene:
        message = (
            f"looks like many other images, and so do {len(fixed_scene) - 1} others:"
            " near duplicates were not searched for among them"
        )
        problems.append(Problem("fixed-scene", dataset.samples[fixed_scene[0]].name, "", message))
    return problems


def objects_per_class(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Return the number of objects of each label: `all` of them, and in each part."""
    columns: tuple[str, ...] = ("all", *PARTS)
    counts = {label: dict.fromkeys(columns, 0) for label in dataset.labels}
    for sample in dataset.samples:
        for obj in sample.objects:
            counts[obj.label]["all"] += 1
            counts[obj.label][sample.belongs_to()] += 1
    return counts


def images_per_label(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Return the number of images with each label of the whole image: `all` of them, and in each part."""
    columns: tuple[str, ...] = ("all", *PARTS)
    labels = sorted({tag for sample in dataset.samples for tag in sample.tags})
    counts = {label: dict.fromkeys(columns, 0) for label in labels}
    for sample in dataset.samples:
        for tag in set(sample.tags):
            counts[tag]["all"] += 1
            counts[tag][sample.belongs_to()] += 1
    return counts


def images_with_masks(dataset: Dataset) -> dict[str, int]:
    """Return the number of images with a mask: `all` of them, and in each part."""
    parts = [sample.belongs_to() for sample in dataset.samples if sample.masks]
    return {"all": len(parts)} | {part: parts.count(part) for part in PARTS}


def same_boxes(sample: Sample) -> Iterator[tuple[int, list[int]]]:
    """Yield the index of each object with those before it in the same place: with an IoU above SAME_BOX_IOU."""
    boxes = np.array([obj.box for obj in sample.objects], np.float64).reshape(-1, 4)
    # Sorted by their left edge: boxes with this IoU have left edges within a twentieth of the larger width.
    order = np.argsort(boxes[:, 0], kind="stable")
    lefts = boxes[order, 0]
    reach = boxes[:, 2] - boxes[:, 0]
    starts = np.searchsorted(lefts, boxes[:, 0] - _REACH * reach, side="left").tolist()
    ends = np.searchsorted(lefts, boxes[:, 0] + _REACH * reach, side="right").tolist()
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        near = order[start:end]
        near = near[near < index]
        if near.size:
            overlaps = iou(boxes[index][None], boxes[near])[0]
            if (same := np.sort(near[overlaps > SAME_BOX_IOU])).size:
                yield index, same.tolist()


def same_labels(a: Sample, b: Sample) -> bool:
    """Return whether two samples have the same objects and the same labels of the image, in any order."""
    one, other = (sorted((obj.label, obj.box) for obj in sample.objects) for sample in (a, b))
    return one == other and set(a.tags) == set(b.tags)


def fold(label: str) -> str:
    """Return a label without what people type differently: case, outer spaces, and the number of inner ones.

    >>> fold(" Rolled-in  Scale")
    'rolled-in scale'
    """
    return " ".join(label.split()).casefold()


def spellings(dataset: Dataset) -> dict[str, list[str]]:
    """Return the spellings of each label that has several, the most common first, by the folded label."""
    counts = Counter(obj.label for sample in dataset.samples for obj in sample.objects)
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(dataset.labels, key=lambda label: (-counts[label], label)):
        groups[fold(label)].append(label)
    return {key: labels for key, labels in groups.items() if len(labels) > 1}


def _box_problems(sample: Sample) -> Iterator[Problem]:
    # Of a hundred boxes in one place each is told once, with the first of them, and not with all others.
    found = same_boxes(sample)
    for second, earlier in islice(found, bounds.PLACES):
        label = sample.objects[second].label
        labels: dict[str, int] = {}
        for first in earlier:
            labels.setdefault(sample.objects[first].label, first)
        for other, first in labels.items():
            place = f"boxes {first + 1} and {second + 1}"
            if other == label:
                yield Problem("duplicate-box", sample.name, place, f"are both {label} in the same place")
            else:
                message = f"are {other} and {label} in the same place"
                yield Problem("conflicting-boxes", sample.name, place, message)
    if more := sum(1 for _ in found):
        yield Problem("duplicate-box", sample.name, "", "has more boxes in one place", more)


def _first_images(dataset: Dataset) -> dict[str, str]:
    """Return the name of the first image with each label."""
    names: dict[str, str] = {}
    for sample in dataset.samples:
        for obj in sample.objects:
            names.setdefault(obj.label, sample.name)
    return names


def _spelling_problems(dataset: Dataset) -> Iterator[Problem]:
    first_images = _first_images(dataset)
    for labels in spellings(dataset).values():
        message = f"is one of the spellings {', '.join(repr(label) for label in labels)}"
        for label in labels[1:]:
            if label in first_images:
                yield Problem("label-case", first_images[label], f"label {label!r}", message)


def _unknown_labels(dataset: Dataset, known: Sequence[str] | None) -> Iterator[Problem]:
    if known is None:
        return
    message = f"is not among {', '.join(known)}"
    for sample in dataset.samples:
        for label in sorted({obj.label for obj in sample.objects} - set(known)):
            yield Problem("unknown-label", sample.name, f"label {label!r}", message)


def _untested_classes(dataset: Dataset) -> Iterator[Problem]:
    first_images = _first_images(dataset)
    for label, counts in objects_per_class(dataset).items():
        if counts["all"] and not counts["test"]:
            yield Problem("untested-class", first_images[label], f"label {label!r}", "is on no test image")


def _empty_parts(dataset: Dataset) -> Iterator[Problem]:
    for part in PARTS:
        if dataset.samples and not dataset.part(part).samples:
            message = f"and all other images are in other parts than {part}"
            yield Problem("empty-part", dataset.samples[0].name, "", message)


def _one_class(dataset: Dataset) -> Iterator[Problem]:
    first_images = _first_images(dataset)
    if len(first_images) == 1:
        label, name = next(iter(first_images.items()))
        message = f"and all other labelled images have the one label {label!r}"
        yield Problem("one-class", name, "", message)


def _good_only_train(dataset: Dataset) -> Iterator[Problem]:
    trained = dataset.part("train").samples
    if (
        trained
        and all(sample.is_good for sample in trained)
        and any(sample.objects for sample in dataset.samples)
    ):
        yield Problem("good-only-train", trained[0].name, "", "and all other train images show good products")


def _imbalance(dataset: Dataset) -> Iterator[Problem]:
    counts = {label: parts["all"] for label, parts in objects_per_class(dataset).items() if parts["all"]}
    largest = max(counts.values(), default=0)
    first_images = _first_images(dataset)
    for label, count in counts.items():
        if largest > IMBALANCE * count:
            message = f"has {count} objects, the most common class has {largest}"
            yield Problem("imbalance", first_images[label], f"label {label!r}", message)


def _duplicate_images(dataset: Dataset, duplicates: Sequence[Duplicate]) -> Iterator[Problem]:
    samples = dataset.samples
    for duplicate in duplicates:
        first, second = samples[duplicate.first], samples[duplicate.second]
        if duplicate.match == "near":
            message = f"shows nearly the same as {first.name} (correlation {duplicate.correlation:.2f})"
            yield Problem("near-duplicate-image", second.name, "", message)
        elif duplicate.match == "turned":
            message = f"is a mirrored or turned copy of {first.name}"
            yield Problem("turned-copy", second.name, "", message)
        elif duplicate.match == "original":
            message = f"was made of the same original as {first.name}"
            yield Problem("augmented-copy", second.name, "", message)
        elif same_labels(first, second):
            message = f"has the same {duplicate.match} as {first.name}"
            yield Problem("duplicate-image", second.name, "", message)
        else:
            message = f"has the same {duplicate.match} as {first.name}, but other labels"
            yield Problem("duplicate-image-other-labels", second.name, "", message)
    for duplicate in across_parts(samples, duplicates):
        lower, higher = sorted(
            (samples[duplicate.first], samples[duplicate.second]),
            key=lambda sample: PARTS.index(sample.belongs_to()),
        )
        message = f"is in {lower.belongs_to()} and shows the same as {higher.name} in {higher.belongs_to()}"
        yield Problem("duplicate-across-split", lower.name, "", message)
