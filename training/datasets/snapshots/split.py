"""Decides which part each sample belongs to, and which samples are left out.

The hash of an image alone decides its part, with two exceptions. The test images of a previous snapshot stay the test
set. And an image that shows the same as an image of a higher part (train < validation < test) is left out, so that no
picture is in two parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from contract.snapshots import PARTS, Part, learning_part_of
from training.datasets.checks.duplicates import Duplicate, Match
from training.datasets.dataset import Dataset, Sample
from training.datasets.storage.uris import ImagesByUri


@dataclass(frozen=True)
class LeftOut:
    """A sample that is not in the snapshot.

    Attributes:
        sample: The sample that is left out.
        instead: The sample that shows the same in a higher part.
        match: What is the same in both.
    """

    sample: Sample
    instead: Sample
    match: Match


def with_frozen_test(dataset: Dataset, previous: Dataset | None) -> tuple[Dataset, list[Sample]]:
    """Put every sample into its part, and add the test samples of a previous snapshot.

    With a previous snapshot, exactly its test images are the test part. Test images that `dataset` lacks are taken
    over with their labels. New images whose hash means the test part go to train or validation.

    Args:
        dataset: The new data set.
        previous: The previous snapshot, if there is one.

    Returns:
        The data set with the part of each sample, and the samples that were taken over.
    """
    if previous is None:
        samples = tuple(replace(sample, part=sample.belongs_to()) for sample in dataset.samples)
        return replace(dataset, samples=samples), []
    frozen = {sample.sha256: sample for sample in previous.part("test").samples}
    parts: dict[str, Part] = {}
    for sample in dataset.samples:
        parts[sample.sha256] = "test" if sample.sha256 in frozen else learning_part_of(sample.sha256)
    missing = {
        previous.files.uri(sample.name): sample for digest, sample in frozen.items() if digest not in parts
    }
    taken_over = [replace(sample, name=uri, part="test") for uri, sample in missing.items()]
    present = [replace(sample, part=parts[sample.sha256]) for sample in dataset.samples]
    used_labels = {obj.label for sample in taken_over for obj in sample.objects}
    labels = (*dataset.labels, *sorted(used_labels - set(dataset.labels)))
    files = ImagesByUri({uri: uri for uri in missing}, dataset.files) if taken_over else dataset.files
    return replace(dataset, files=files, labels=labels, samples=(*present, *taken_over)), taken_over


def leave_out(samples: Sequence[Sample], duplicates: Sequence[Duplicate]) -> list[LeftOut]:
    """Return the samples that show the same as a sample that stays in a higher part; the test part loses none.

    Args:
        samples: The samples, each in its part.
        duplicates: The duplicates among `samples`.
    """
    twins: dict[int, list[tuple[int, Match]]] = defaultdict(list)
    for duplicate in duplicates:
        twins[duplicate.first].append((duplicate.second, duplicate.match))
        twins[duplicate.second].append((duplicate.first, duplicate.match))
    left_out: dict[int, LeftOut] = {}
    for part in reversed(PARTS):
        for index in sorted(twins):
            if samples[index].belongs_to() != part:
                continue
            for other, match in twins[index]:
                is_higher = PARTS.index(samples[other].belongs_to()) > PARTS.index(part)
                if is_higher and other not in left_out:
                    left_out[index] = LeftOut(samples[index], samples[other], match)
                    break
    return list(left_out.values())
