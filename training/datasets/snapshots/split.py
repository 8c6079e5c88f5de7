"""Decides which part each sample belongs to, and which samples are left out.

The hash of an image alone decides its part, with two exceptions. The test images of a previous snapshot stay the test
set. And an image that shows the same as an image of a higher part (train < validation < test) is left out, so that no
picture is in two parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from contract.snapshots import PARTS, Part, learning_part_of, part_of
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


@dataclass(frozen=True)
class FrozenTest:
    """What happened to the test images of the previous snapshot.

    Attributes:
        images: The number of these images, all of which stay in the test part.
        taken_over: Those that the new source lacks.
        added: The number of images that the test part gained, because they show a class that it lacked.
    """

    images: int = 0
    taken_over: tuple[Sample, ...] = ()
    added: int = 0


def with_frozen_test(dataset: Dataset, previous: Dataset | None) -> tuple[Dataset, FrozenTest]:
    """Put every sample into its part, and add the test samples of a previous snapshot.

    With a previous snapshot, its test images stay the test part, in which no known class gains an image. Test images
    that `dataset` lacks are taken over with their labels. A new image whose hash means the test part joins it only if
    it shows a class that no test image shows yet: without test images, no model of this class could be judged. Other
    new images go to train or validation.

    Args:
        dataset: The new data set.
        previous: The previous snapshot, if there is one.

    Returns:
        The data set with the part of each sample, and what happened to the test images.
    """
    if previous is None:
        samples = tuple(replace(sample, part=sample.belongs_to()) for sample in dataset.samples)
        return replace(dataset, samples=samples), FrozenTest()
    frozen = {sample.sha256: sample for sample in previous.part("test").samples}
    parts = _parts(dataset, previous, frozen)
    missing = {
        previous.files.uri(sample.name): sample for digest, sample in frozen.items() if digest not in parts
    }
    taken_over = tuple(replace(sample, name=uri, part="test") for uri, sample in missing.items())
    present = [replace(sample, part=parts[sample.sha256]) for sample in dataset.samples]
    labels = (*dataset.labels, *sorted(labels_of(taken_over) - set(dataset.labels)))
    files = ImagesByUri({uri: uri for uri in missing}, dataset.files) if taken_over else dataset.files
    added = sum(part == "test" and digest not in frozen for digest, part in parts.items())
    merged = replace(dataset, files=files, labels=labels, samples=(*present, *taken_over))
    return merged, FrozenTest(len(frozen), taken_over, added)


def labels_of(samples: Iterable[Sample]) -> set[str]:
    """Return the labels of the objects in these samples."""
    return {obj.label for sample in samples for obj in sample.objects}


def _parts(dataset: Dataset, previous: Dataset, frozen: Mapping[str, Sample]) -> dict[str, Part]:
    """Return the part of each image of `dataset`, by SHA-256."""
    # The champion may have learned from these images.
    learned = {sample.sha256 for sample in previous.samples} - set(frozen)
    tested = labels_of(frozen.values())
    new_to_the_test = {sample.sha256 for sample in dataset.samples if labels_of([sample]) - tested} - learned
    parts: dict[str, Part] = {}
    for sample in dataset.samples:
        digest = sample.sha256
        if digest in frozen or (digest in new_to_the_test and part_of(digest) == "test"):
            parts[digest] = "test"
        else:
            parts[digest] = learning_part_of(digest)
    return parts


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
