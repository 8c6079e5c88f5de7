"""Compares the classes of a source with those of the data set that it is imported into.

A source of other classes is most likely another data set: the two must not be mixed without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from contract.tags import is_good
from training.datasets.checks.audit import fold
from training.datasets.checks.repair import Repair
from training.datasets.dataset import Dataset, Object
from training.datasets.snapshots.split import labels_of


@dataclass(frozen=True)
class ClassChange:
    """The classes before and after an import: those of objects, and labels of whole images that are not good.

    Attributes:
        before: The classes of the previous snapshot, sorted.
        now: The classes of the source, sorted.
    """

    before: tuple[str, ...] = ()
    now: tuple[str, ...] = ()

    @property
    def added(self) -> list[str]:
        """The classes that the data set did not have."""
        return [label for label in self.now if label not in self.before]

    @property
    def missing(self) -> list[str]:
        """The classes that the source does not show."""
        return [label for label in self.before if label not in self.now]

    @property
    def likely_typos(self) -> dict[str, str]:
        """Added classes that differ from one of the data set by case or spaces only, with that one."""
        spelled = {fold(label): label for label in self.before}
        return {label: spelled[fold(label)] for label in self.added if fold(label) in spelled}

    @property
    def is_other_data(self) -> bool:
        """Whether most of the source's classes are new to the data set, and some of the data set's are missing."""
        return bool(self.before and self.missing) and len(self.added) > len(self.now) / 2


def compare_classes(source: Dataset, previous: Dataset) -> ClassChange:
    """Return the classes that two data sets show."""
    before, now = (tuple(sorted(_defects_of(dataset))) for dataset in (previous, source))
    return ClassChange(before, now)


def _defects_of(dataset: Dataset) -> set[str]:
    tags = {tag for sample in dataset.samples for tag in sample.tags if not is_good(tag)}
    return labels_of(dataset.samples) | tags


def rename_labels(dataset: Dataset, names: Mapping[str, str]) -> tuple[Dataset, list[Repair]]:
    """Rename labels of a data set.

    Args:
        dataset: What to change.
        names: The new name of each label that gets one.

    Returns:
        The data set, and each change as a repair.
    """
    repairs = [
        Repair("label-case", sample.name, f"box {number}: {obj.label!r} is now {names[obj.label]!r}")
        for sample in dataset.samples
        for number, obj in enumerate(sample.objects, start=1)
        if obj.label in names
    ]
    repairs += [
        Repair("label-case", sample.name, f"the image: {tag!r} is now {names[tag]!r}")
        for sample in dataset.samples
        for tag in sample.tags
        if tag in names
    ]
    samples = [
        replace(
            sample,
            objects=tuple(Object(names.get(obj.label, obj.label), obj.box) for obj in sample.objects),
            tags=tuple(names.get(tag, tag) for tag in sample.tags),
        )
        for sample in dataset.samples
    ]
    labels = dict.fromkeys(names.get(label, label) for label in dataset.labels)
    return replace(dataset, labels=tuple(labels), samples=tuple(samples)), repairs


def without_unused(dataset: Dataset) -> tuple[Dataset, list[str]]:
    """Return a data set without the classes that no object shows, and these classes.

    Labelling tools export them. A model cannot learn such a class, and no test could show that it has.
    """
    used = labels_of(dataset.samples)
    unused = [label for label in dataset.labels if label not in used]
    return replace(dataset, labels=tuple(label for label in dataset.labels if label in used)), unused
