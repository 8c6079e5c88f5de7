"""Repairs that need no judgement, made only when they are asked for; each is listed with its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from contract.snapshots import PARTS
from training.datasets.audit import folded, same_boxes, same_labels, spellings
from training.datasets.dataset import Dataset, Object, Sample
from training.datasets.duplicates import Duplicate
from training.datasets.problems import Problem


@dataclass(frozen=True, slots=True)
class Repair:
    """One repair: which problem it settles, in which file, and what was done."""

    kind: str
    file: str
    done: str


def repair(
    dataset: Dataset, duplicates: Sequence[Duplicate], problems: Sequence[Problem]
) -> tuple[Dataset, list[Repair]]:
    """The data set with one spelling of each label, without duplicate boxes and without exact duplicate images.

    Boxes were clipped, and dropped where nothing of them was left, when the source was read; `problems`, found
    then, tell which. Of two equal images that are labelled differently both stay: which is right, a person says.
    """
    made = [
        Repair(
            problem.kind,
            problem.file,
            f"{problem.place} clipped" if problem.kind == "box-outside" else f"{problem.place} dropped",
        )
        for problem in problems
        if problem.kind in ("box-outside", "zero-area-box")
    ]
    names = {key: labels[0] for key, labels in spellings(dataset).items()}
    samples = [_fold_labels(sample, names, made) for sample in dataset.samples]
    samples = [_drop_boxes(sample, made) for sample in samples]
    again: dict[int, int] = {}
    for each in duplicates:
        if each.how != "near" and same_labels(samples[each.first], samples[each.second]):
            # The one further on stays: the test part must not lose an image to the train part.
            gone, stays = sorted((each.second, each.first), key=lambda index: _rank(samples[index]))
            again[gone] = stays
    for second, first in sorted(again.items()):
        made.append(
            Repair("duplicate-image", samples[second].name, f"left out: the same as {samples[first].name}")
        )
    labels = tuple(dict.fromkeys(names.get(folded(label), label) for label in dataset.labels))
    kept = tuple(sample for index, sample in enumerate(samples) if index not in again)
    return replace(dataset, labels=labels, samples=kept, snapshot_id=""), made


def _fold_labels(sample: Sample, names: dict[str, str], made: list[Repair]) -> Sample:
    objects = []
    for number, each in enumerate(sample.objects, start=1):
        label = names.get(folded(each.label), each.label)
        if label != each.label:
            made.append(Repair("label-case", sample.name, f"box {number}: {each.label!r} is now {label!r}"))
        objects.append(Object(label, each.box))
    return replace(sample, objects=tuple(objects))


def _drop_boxes(sample: Sample, made: list[Repair]) -> Sample:
    dropped: set[int] = set()
    for first, second in same_boxes(sample):
        if sample.objects[first].label == sample.objects[second].label and first not in dropped:
            dropped.add(second)
    made.extend(Repair("duplicate-box", sample.name, f"box {index + 1} dropped") for index in sorted(dropped))
    return replace(sample, objects=tuple(o for index, o in enumerate(sample.objects) if index not in dropped))


def _rank(sample: Sample) -> int:
    return PARTS.index(sample.belongs_to())
