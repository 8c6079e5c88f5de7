"""Decides whether the parts that a source has itself, such as Roboflow's `train`, `valid` and `test`, can be used.

They are kept if nothing leaks from one into another. If some images are copies of images in another part, they join
most of their copies. If a part would lose most of its images in this way, the source's parts are not used at all.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contract.snapshots import PARTS, Part, part_of
from training.datasets.dataset import Sample

# A part that keeps fewer of its images is another part than the source meant.
_MIN_KEPT = 0.5

# The indices of the samples that must be in one part.
Unit = Sequence[int]


@dataclass(frozen=True)
class OwnParts:
    """What became of the parts that the source has itself.

    Attributes:
        stated: The number of images in each of these parts; empty if the source has none.
        parts: The part of each sample of these parts, by index; empty if they are not used.
        drawn: The parts that the source lacks, and that a share of its train part became.
        refused: Why they are not used; "" if they are, or if there are none.
    """

    stated: Mapping[Part, int] = field(default_factory=dict)
    parts: Mapping[int, Part] = field(default_factory=dict)
    drawn: tuple[Part, ...] = ()
    refused: str = ""


def own_parts(samples: Sequence[Sample], units: Sequence[Unit]) -> OwnParts:
    """Decide about the source's parts.

    Args:
        samples: The samples of the source.
        units: Every sample, alone or with its copies.
    """
    own = {index: part for index, sample in enumerate(samples) if (part := sample.source_part)}
    counts = Counter(own.values())
    stated = {part: counts[part] for part in PARTS if counts[part]}
    if not stated:
        return OwnParts()
    if len(stated) == 1:
        return OwnParts(stated, refused=f"the source has a {next(iter(stated))} part only")
    if "train" not in stated:
        return OwnParts(stated, refused="the source has no train part")
    if _shows_nothing(samples, own) and not _is_good_only(samples, own):
        return OwnParts(stated, refused="the train part of the source shows no labelled object")
    parts = {index: part for unit in units for index, part in _joined(unit, own).items()}
    for name, number in stated.items():
        kept = sum(part == name and own.get(index) == name for index, part in parts.items())
        if kept < _MIN_KEPT * number:
            lost = f"{number - kept} of the {number} images in its {name} part"
            return OwnParts(stated, refused=f"{lost} are copies of images in other parts")
    drawn = tuple(part for part in PARTS if part not in stated)
    return OwnParts(stated, _with_drawn(samples, units, parts, drawn), drawn)


def anchor(samples: Sequence[Sample], unit: Unit) -> str:
    """Return the hash that decides for a unit: that of its image, or one that its images have in common."""
    digests = {samples[index].sha256 for index in unit}
    lowest = min(digests)
    # The lowest of several hashes nearly always means the train part; its own hash means each part as often as any.
    return lowest if len(digests) == 1 else hashlib.sha256(lowest.encode()).hexdigest()


def _shows_nothing(samples: Sequence[Sample], own: Mapping[int, Part]) -> bool:
    """Return whether only other parts than train show objects, as where good products alone are learned from."""
    trained = any(samples[index].objects for index, part in own.items() if part == "train")
    return not trained and any(sample.objects for sample in samples)


def _is_good_only(samples: Sequence[Sample], own: Mapping[int, Part]) -> bool:
    """Return whether the train part has good products alone, and its labels say so.

    So it is in MVTec AD, and in projects of Lookout for Vision with a test set of their own. An anomaly model learns
    from such a part.
    """
    trained = [samples[index] for index, part in own.items() if part == "train"]
    return bool(trained) and all(sample.tags and sample.is_good for sample in trained)


def _joined(unit: Unit, own: Mapping[int, Part]) -> dict[int, Part]:
    """Return the part of each member: the one that most of them have, and of several such parts the highest."""
    counts = Counter(own[index] for index in unit if index in own)
    if not counts:
        return {}
    part = max(counts, key=lambda name: (counts[name], PARTS.index(name)))
    return dict.fromkeys(unit, part)


def _with_drawn(
    samples: Sequence[Sample], units: Sequence[Unit], parts: Mapping[int, Part], drawn: Sequence[Part]
) -> dict[int, Part]:
    """Return the parts with those that the source lacks: images of its train part whose hash means such a part."""
    result = dict(parts)
    for unit in units:
        part = part_of(anchor(samples, unit))
        if part in drawn and parts.get(unit[0]) == "train":
            result.update(dict.fromkeys(unit, part))
    return result
