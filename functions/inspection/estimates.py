"""Rates among all images, from those that people have looked at.

People look at a random share of the passed and of the failed images, so each verdict is a stratum with its own share.
In a stratum with n images, d of them decided and k of those found, the others are assumed to be as the decided ones:
n · k / d.

The interval is that of the factory, from which these images are a sample, so it also holds for the images to come. It
takes into account what is not known of each stratum: the share of what is found in it, drawn from its posterior under
Jeffreys' prior, Beta(k + ½, d - k + ½), and its size, drawn from Gamma(n). So it is right for rare events and small
samples, also if nothing was found. https://en.wikipedia.org/wiki/Jeffreys_prior#Bernoulli_trial
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

_DRAWS = 1000
_TAIL = 0.025  # 95 % lie between the two tails
_SEED = 1  # the same data give the same interval


@dataclass(frozen=True, slots=True)
class Stratum:
    """Images among which people have looked at a random part.

    Attributes:
        images: How many there are.
        decided: How many people have decided about.
        found: How many of those are what is counted, such as defective.
        like: If nobody has decided about any of them: other images that are taken to be as these.
    """

    images: int
    decided: int
    found: int
    like: Stratum | None = None

    @property
    def evidence(self) -> tuple[int, int]:
        """How many decisions tell what is in the stratum, and how many of those found it."""
        known = self if self.decided or self.like is None else self.like
        return known.decided, known.found


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of images, with its 95 % interval.

    Attributes:
        value: 0..1; None if nothing is known.
        low: The lower end.
        high: The upper end.
        wrong: How many wrong ones people have found.
        reviewed: About how many images with that verdict they have decided.
        of: How many images have that verdict.
    """

    value: float | None
    low: float | None
    high: float | None
    wrong: int
    reviewed: int
    of: int

    def document(self) -> dict[str, Any]:
        """Return the rate as JSON."""
        return asdict(self)


def rate(wrong: Sequence[Stratum], right: Sequence[Stratum]) -> Rate:
    """Return the share of wrong ones among all that are counted.

    For the escape rate, the wrong strata hold the images that pass, the right ones all others, and what is found in
    both is defective. For the overkill rate, the wrong ones hold the images that fail, and what is found is good.

    Args:
        wrong: Where what is found was judged wrongly.
        right: Where what is found was judged rightly.

    >>> rate([Stratum(images=1000, decided=100, found=1)], [Stratum(images=100, decided=50, found=45)]).value
    0.1
    """
    strata = [*wrong, *right]
    counts = (
        sum(stratum.found for stratum in wrong),
        sum(stratum.decided for stratum in wrong),
        sum(stratum.images for stratum in wrong),
    )
    if any(stratum.images and not stratum.evidence[0] for stratum in strata):
        return Rate(None, None, None, *counts)
    value = _share(sum(map(_estimate, wrong)), sum(map(_estimate, right)))
    if value is None:
        return Rate(None, None, None, *counts)
    generator = random.Random(_SEED)  # noqa: S311 - statistics, no secret
    draws = sorted(
        _share(sum(_drawn(generator, each) for each in wrong), sum(_drawn(generator, each) for each in right))
        or 0.0
        for _ in range(_DRAWS)
    )
    low, high = draws[int(_DRAWS * _TAIL)], draws[int(_DRAWS * (1 - _TAIL)) - 1]
    return Rate(round(value, 6), round(min(low, value), 6), round(max(high, value), 6), *counts)


def _share(wrong: float, right: float) -> float | None:
    return wrong / (wrong + right) if wrong + right > 0 else None


def _estimate(stratum: Stratum) -> float:
    decided, found = stratum.evidence
    return stratum.images * found / decided if decided else 0.0


def _drawn(generator: random.Random, stratum: Stratum) -> float:
    """Return how many there may be in a stratum."""
    if not stratum.images:
        return 0.0
    decided, found = stratum.evidence
    share = generator.betavariate(found + 0.5, decided - found + 0.5)
    return share * generator.gammavariate(stratum.images, 1)
