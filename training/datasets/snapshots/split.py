"""Decides which part each sample belongs to, and which samples are left out.

The first of these that knows decides: the frozen test set of a previous snapshot, the parts that the source has itself
(`own_parts`), and the hash of the image. Copies of one original are never in two parts. Those that a program made
(turned, mirrored, or Roboflow's) go where one of them goes. Of two photographs of the same thing, the one in the lower
part (train < validation < test) is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from contract.snapshots import PARTS, Part, learning_part_of, part_of
from training.datasets.checks.duplicates import Duplicate, Match, groups_of, known_copies
from training.datasets.dataset import Dataset, Mask, Sample
from training.datasets.snapshots.own_parts import OwnParts, Unit, anchor, own_parts
from training.datasets.storage.files import Files
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
class Moved:
    """A sample that is in another part than in its source.

    Attributes:
        sample: The sample in its new part.
        why: `copy` if it joins its copies, `frozen` if the test set of the previous snapshot stays, `drawn` if the
            source lacks the new part.
        like: For `copy`: one that was in the new part already.
    """

    sample: Sample
    why: Literal["copy", "frozen", "drawn"]
    like: Sample | None = None


@dataclass(frozen=True)
class Division:
    """How a data set was divided into parts.

    Attributes:
        own: What became of the source's own parts.
        moved: The samples that are in another part than in the source, if its parts are used.
        frozen: The number of test images of the previous snapshot, all of which stay in the test part.
        joined: The number of images that the test part gained, because they show a class that it lacked.
    """

    own: OwnParts = field(default_factory=OwnParts)
    moved: tuple[Moved, ...] = ()
    frozen: int = 0
    joined: int = 0

    @property
    def is_own(self) -> bool:
        """Whether the parts are those of the source."""
        return bool(self.own.parts)


def take_over_test_images(dataset: Dataset, previous: Dataset | None) -> tuple[Dataset, tuple[Sample, ...]]:
    """Add the test images of a previous snapshot that a data set lacks.

    Returns:
        The data set, and the images that were added, with their labels.
    """
    if previous is None:
        return dataset, ()
    present = {sample.sha256 for sample in dataset.samples}
    missing = {
        previous.files.uri(sample.name): sample
        for sample in previous.part("test").samples
        if sample.sha256 not in present
    }
    if not missing:
        return dataset, ()
    added = tuple(
        replace(sample, name=uri, part="test", masks=_by_uri(sample.masks, previous.files))
        for uri, sample in missing.items()
    )
    labels = (*dataset.labels, *sorted(labels_of(added) - set(dataset.labels)))
    uris = [*missing, *(mask.name for sample in added for mask in sample.masks)]
    files = ImagesByUri({uri: uri for uri in uris}, dataset.files)
    return replace(dataset, files=files, labels=labels, samples=(*dataset.samples, *added)), added


def _by_uri(masks: Sequence[Mask], files: Files) -> tuple[Mask, ...]:
    return tuple(replace(mask, name=files.uri(mask.name)) for mask in masks)


def divide(
    dataset: Dataset,
    duplicates: Sequence[Duplicate] = (),
    previous: Dataset | None = None,
    *,
    by_hash: bool = False,
) -> tuple[Dataset, Division]:
    """Put every sample into its part.

    With a previous snapshot, its test images stay the test part, in which no known class gains an image. A new image
    that the source or its hash puts into the test part joins it only if it shows a class that no test image shows yet:
    without test images, no model of this class could be judged. Other new images go to train or validation.

    Args:
        dataset: What to divide, with the test images of `previous` (`take_over_test_images`).
        duplicates: The duplicates in `dataset`.
        previous: The previous snapshot, if there is one.
        by_hash: Whether not to use the parts that the source has itself.
    """
    samples = dataset.samples
    copied = groups_of(len(samples), duplicates)
    units = _with_singles(copied, len(samples))
    own = OwnParts() if by_hash else own_parts(samples, units)
    parts = _wanted_parts(samples, units, _of_programs(duplicates), own)
    wanted = dict(parts)
    if previous is not None:
        _freeze(samples, units, previous, parts)
    divided = tuple(replace(sample, part=parts[index]) for index, sample in enumerate(samples))
    frozen = set() if previous is None else {sample.sha256 for sample in previous.part("test").samples}
    division = Division(
        own,
        tuple(_moved(divided, units, wanted, own)),
        len(frozen),
        len({s.sha256 for s in divided if previous and s.part == "test" and s.sha256 not in frozen}),
    )
    return replace(dataset, samples=divided), division


def in_parts(dataset: Dataset) -> tuple[Dataset, bool]:
    """Put the samples of a source that was not imported into parts, without reading an image.

    The source's own parts are kept and the copies that Roboflow made stay together, as in an import. Only an import
    compares the pictures.

    Returns:
        The data set, unchanged if it is a snapshot; and whether its parts are those of the source.
    """
    if dataset.snapshot_id:
        return dataset, False
    divided, division = divide(dataset, known_copies(dataset.samples))
    return divided, division.is_own


def labels_of(samples: Iterable[Sample]) -> set[str]:
    """Return the labels of the objects in these samples."""
    return {obj.label for sample in samples for obj in sample.objects}


def leave_out(samples: Sequence[Sample], duplicates: Sequence[Duplicate]) -> list[LeftOut]:
    """Return the samples that show the same as a sample in a higher part; the test part loses none.

    Args:
        samples: The samples, each in its part.
        duplicates: The duplicates among `samples`.
    """
    partners: dict[int, list[tuple[int, Match]]] = defaultdict(list)
    for duplicate in duplicates:
        partners[duplicate.first].append((duplicate.second, duplicate.match))
        partners[duplicate.second].append((duplicate.first, duplicate.match))
    left_out: list[LeftOut] = []
    for group in groups_of(len(samples), duplicates):
        highest = max((samples[index].belongs_to() for index in group), key=PARTS.index)
        staying = [index for index in group if samples[index].belongs_to() == highest]
        for index in group:
            if index not in staying:
                # A copy of a copy has no partner among those that stay.
                direct = [(other, match) for other, match in partners[index] if other in staying]
                other, match = direct[0] if direct else (staying[0], partners[index][0][1])
                left_out.append(LeftOut(samples[index], samples[other], match))
    return left_out


def _with_singles(groups: Sequence[Unit], number: int) -> list[Unit]:
    grouped = {index for group in groups for index in group}
    return [*groups, *([index] for index in range(number) if index not in grouped)]


def _of_programs(duplicates: Sequence[Duplicate]) -> set[int]:
    """Return the samples that a program made of another one, or another one of them."""
    made = (duplicate for duplicate in duplicates if duplicate.match in ("turned", "original"))
    return {index for duplicate in made for index in (duplicate.first, duplicate.second)}


def _wanted_parts(
    samples: Sequence[Sample], units: Sequence[Unit], of_programs: set[int], own: OwnParts
) -> dict[int, Part]:
    """Return the part of each sample by what the source says, or by hash."""
    parts: dict[int, Part] = {}
    for unit in units:
        # A chain of near duplicates is one film. By their own hashes, most would be left out.
        is_one = len({samples[index].sha256 for index in unit}) > 2 or not of_programs.isdisjoint(unit)
        shared = part_of(anchor(samples, unit)) if is_one else None
        for index in unit:
            stated = samples[index].part or own.parts.get(index)
            parts[index] = stated or shared or part_of(samples[index].sha256)
    return parts


def _freeze(
    samples: Sequence[Sample], units: Sequence[Unit], previous: Dataset, parts: dict[int, Part]
) -> None:
    """Change the parts so that the test part is that of the previous snapshot."""
    frozen = {sample.sha256: sample for sample in previous.part("test").samples}
    # The champion may have learned from these images.
    learned = {sample.sha256 for sample in previous.samples} - set(frozen)
    tested = labels_of(frozen.values())
    for unit in units:
        digests = {samples[index].sha256 for index in unit}
        is_new = digests.isdisjoint(learned) and digests.isdisjoint(frozen)
        may_join = is_new and bool(labels_of(samples[index] for index in unit) - tested)
        for index in unit:
            if samples[index].sha256 in frozen:
                parts[index] = "test"
            elif parts[index] == "test" and not may_join:
                parts[index] = learning_part_of(anchor(samples, unit))


def _moved(
    samples: Sequence[Sample], units: Sequence[Unit], wanted: Mapping[int, Part], own: OwnParts
) -> Iterable[Moved]:
    """Yield the samples that are not in the part of their source, though its parts are used."""
    for unit in units if own.parts else ():
        for index in unit:
            sample = samples[index]
            if sample.source_part in (None, sample.part):
                continue
            others = (samples[other] for other in unit if samples[other].source_part == sample.part)
            like = next(others, None)
            if sample.part != wanted[index]:
                yield Moved(sample, "frozen")
            elif like is not None and len(unit) > 1:
                yield Moved(sample, "copy", like)
            else:
                yield Moved(sample, "drawn")
