"""What a person should know of a data set before a model learns from it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from contract.snapshots import PARTS
from training.datasets.dataset import Dataset, Sample
from training.datasets.duplicates import Duplicate, crossing
from training.datasets.problems import Problem
from training.model.decoding import iou

SAME_BOX_IOU = 0.95
IMBALANCE = 10.0


def audit(
    dataset: Dataset,
    duplicates: Sequence[Duplicate],
    crowded: Sequence[int] = (),
    known_labels: Sequence[str] | None = None,
) -> list[Problem]:
    """Problems of labels, boxes and images, beside those that reading has found; each names its file.

    duplicates, crowded: by `duplicates.find`, of this data set.
    known_labels: what the labels must be among, if given.
    """
    found: list[Problem] = []
    for sample in dataset.samples:
        found += _boxes(sample)
        if not sample.objects:
            found.append(Problem("unlabelled-image", sample.name, "", "has no labelled object"))
    found += _labels(dataset, known_labels)
    found += _balance(dataset)
    found += _images(dataset, duplicates)
    if crowded:
        message = (
            f"and {len(crowded) - 1} others look like many: near duplicates were not looked for among them"
        )
        found.append(Problem("fixed-scene", dataset.samples[crowded[0]].name, "", message))
    return found


def objects_per_class(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Label → number of objects in all, and in each part."""
    columns: tuple[str, ...] = ("all", *PARTS)
    counts = {label: dict.fromkeys(columns, 0) for label in dataset.labels}
    for sample in dataset.samples:
        for each in sample.objects:
            counts[each.label]["all"] += 1
            counts[each.label][sample.belongs_to()] += 1
    return counts


def same_boxes(sample: Sample) -> Iterator[tuple[int, int]]:
    """Index pairs of a sample's objects that lie in the same place: IoU above SAME_BOX_IOU."""
    # By their left edge: boxes of that IoU have left edges within a twentieth of the width.
    order = sorted(range(len(sample.objects)), key=lambda index: sample.objects[index].box[0])
    boxes = np.array([sample.objects[index].box for index in order], np.float64).reshape(-1, 4)
    lefts, widths = boxes[:, 0], boxes[:, 2] - boxes[:, 0]
    ends = np.searchsorted(lefts, lefts + (1 - SAME_BOX_IOU) * widths, side="right")
    for position, end in enumerate(ends.tolist()):
        index, others = order[position], order[position + 1 : end]
        if others:
            overlaps = iou(boxes[position][None], boxes[position + 1 : end])[0]
            for which in np.flatnonzero(overlaps > SAME_BOX_IOU):
                yield min(index, others[which]), max(index, others[which])


def folded(label: str) -> str:
    """A label without what people type differently: case, outer spaces, and the number of inner ones.

    >>> folded(" Rolled-in  Scale")
    'rolled-in scale'
    """
    return " ".join(label.split()).casefold()


def spellings(dataset: Dataset) -> dict[str, list[str]]:
    """Folded label → its spellings, the commonest first, for labels that have more than one."""
    counts = Counter(each.label for sample in dataset.samples for each in sample.objects)
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(dataset.labels, key=lambda label: (-counts[label], label)):
        groups[folded(label)].append(label)
    return {key: labels for key, labels in groups.items() if len(labels) > 1}


def _boxes(sample: Sample) -> Iterator[Problem]:
    for first, second in same_boxes(sample):
        one, other = sample.objects[first].label, sample.objects[second].label
        place = f"boxes {first + 1} and {second + 1}"
        if one == other:
            yield Problem("duplicate-box", sample.name, place, f"are both {one} in the same place")
        else:
            yield Problem("conflicting-boxes", sample.name, place, f"are {one} and {other} in the same place")


def _labels(dataset: Dataset, known: Sequence[str] | None) -> Iterator[Problem]:
    where: dict[str, str] = {}
    for sample in dataset.samples:
        for each in sample.objects:
            where.setdefault(each.label, sample.name)
    for labels in spellings(dataset).values():
        written = ", ".join(repr(label) for label in labels)
        for label in labels[1:]:
            if label in where:
                yield Problem(
                    "label-case", where[label], f"label {label!r}", f"is one of the spellings {written}"
                )
    if known is not None:
        for sample in dataset.samples:
            for label in sorted({each.label for each in sample.objects} - set(known)):
                yield Problem(
                    "unknown-label", sample.name, f"label {label!r}", f"is not among {', '.join(known)}"
                )
    if len(where) == 1:
        label, name = next(iter(where.items()))
        yield Problem("one-class", name, "", f"and all other labelled images have the one label {label!r}")


def _balance(dataset: Dataset) -> Iterator[Problem]:
    counts = {label: parts["all"] for label, parts in objects_per_class(dataset).items() if parts["all"]}
    most = max(counts.values(), default=0)
    for label, count in counts.items():
        if most > IMBALANCE * count:
            name = next(s.name for s in dataset.samples if any(each.label == label for each in s.objects))
            message = f"has {count} objects, the commonest class has {most}"
            yield Problem("imbalance", name, f"label {label!r}", message)


def _images(dataset: Dataset, duplicates: Sequence[Duplicate]) -> Iterator[Problem]:
    samples = dataset.samples
    for each in duplicates:
        first, second = samples[each.first], samples[each.second]
        if each.how == "near":
            message = f"shows nearly the same as {first.name} (correlation {each.likeness:.2f})"
            yield Problem("near-duplicate-image", second.name, "", message)
        elif same_labels(first, second):
            yield Problem("duplicate-image", second.name, "", f"has the same {each.how} as {first.name}")
        else:
            message = f"has the same {each.how} as {first.name}, but other labels"
            yield Problem("duplicate-image-other-labels", second.name, "", message)
    for each in crossing(samples, duplicates):
        lower, upper = sorted(
            (samples[each.first], samples[each.second]), key=lambda s: PARTS.index(s.belongs_to())
        )
        message = f"is in {lower.belongs_to()} and shows the same as {upper.name} in {upper.belongs_to()}"
        yield Problem("duplicate-across-split", lower.name, "", message)


def same_labels(a: Sample, b: Sample) -> bool:
    """Whether two samples of one picture are labelled alike, whatever the order."""
    return sorted((o.label, o.box) for o in a.objects) == sorted((o.label, o.box) for o in b.objects)
