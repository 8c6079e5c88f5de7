"""Escape and overkill rate, measured by what people decided about the images that they saw.

- escape rate = defective parts that passed / all defective parts
- overkill rate = good parts that failed / all good parts

People see every doubtful image, but only a sample of the passed and of the failed ones. So each verdict is a stratum
with its own share of images seen, and the parts behind it are estimated from its own decisions (stratified estimator;
W. G. Cochran, Sampling Techniques, 3rd edition, chapter 5):

    defective among the passed = found defective + unseen × (share found defective of those seen)

The share that people see changes with the stack's parameters, from line to line, and with how far they get. If defects
are more frequent at the same time, one share found defective would be wrong. So images of which people saw about the
same share are a group, and each group counts as much as it has unseen images (post-stratification).

The interval holds the middle of 2,000 draws. In each, the share of defects among the unseen images of a verdict is
drawn from the distribution that the decisions leave open. For a group it is a Beta distribution (Jeffreys' prior;
Brown, Cai and DasGupta, Interval Estimation for a Binomial Proportion, 2001). Its intervals hold also for rare defects,
where those of the delta method fail. The weighted sum of the groups is drawn from the Beta distribution with its mean
and variance, to which comes the chance that decides about each unseen image. The seed is fixed: the same decisions give
the same interval.

Doubtful images that nobody has decided about yet are no random sample of the doubtful ones, because people take the
most uncertain first. So the lower limit counts all of them for, and the upper limit all of them against. As soon as the
queue is empty, this makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import Any

from contract.inspections import Verdict
from review.decision import Choice
from tracking.cells import Cell
from tracking.counters import DECIDED, Counts

Cells = Sequence[tuple[Cell, Counts]]
Document = dict[str, Any]

_DRAWS = 2000
# At each end of the 95 % interval. A little less than 2.5 %, because mean and variance of the draws are estimates, too:
# in simulated factories, 2.5 % gave 93 to 98 %.
_TAIL = 0.02
_SEED = 20_260_131
_FEWEST_DECIDED = 10  # in a group: with less, chance decides what share of it people saw
_LIKE = 2.0  # shares seen that differ by a smaller factor are about the same
_PRIOR = 0.5  # Jeffreys
_LEAST_OBSERVATIONS = 0.01  # a single unseen image has it or not
_UNKNOWN = 0.5
_DIGITS = 6
NOTHING_SEEN = "Nobody has decided about {} yet."
_IMAGES = {Verdict.PASS: "a passed image", Verdict.FAIL: "a failed image"}


@dataclass(frozen=True, slots=True)
class Rate:
    """An estimated rate with its 95 % interval.

    Attributes:
        value: The estimate, 0..1; None if there is none.
        low: The lower limit.
        high: The upper limit.
        wrong: Images that people found to be wrong.
        reviewed: Images with this verdict that people have decided about.
        of: Images with this verdict.
        reason: Why there is no estimate, as a sentence.
    """

    value: float | None
    low: float | None
    high: float | None
    wrong: int
    reviewed: int
    of: int
    reason: str | None = None

    def document(self) -> Document:
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "wrong": self.wrong,
            "reviewed": self.reviewed,
            "of": self.of,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class _Group:
    """Images with one verdict: all that are usable, those that people decided about, and what they found in them."""

    images: int = 0
    decided: int = 0
    found: int = 0

    def __add__(self, other: _Group) -> _Group:
        return _Group(self.images + other.images, self.decided + other.decided, self.found + other.found)

    @property
    def unseen(self) -> int:
        return self.images - self.decided

    @property
    def seen(self) -> float:
        """The share that people have decided about."""
        return self.decided / self.images


@dataclass(frozen=True, slots=True)
class _Stratum:
    """The images with one verdict.

    Attributes:
        images: All of them that are usable.
        decided: Those that people have found good or bad.
        found: Those of them that have what is asked for: bad, good, or of a class.
        share: The estimated share of the unseen images that have it; None if nothing was decided.
        left_open: The two parameters of the Beta distribution of that share.
    """

    images: int
    decided: int
    found: int
    share: float | None
    left_open: tuple[float, float] = (_PRIOR, _PRIOR)

    @property
    def unseen(self) -> int:
        return self.images - self.decided

    @property
    def total(self) -> float:
        """How many images have what is asked for, as estimated. Where nothing is known, half of them."""
        return self.found + self.unseen * (_UNKNOWN if self.share is None else self.share)

    def draw(self, random: Random) -> float:
        """Return a number of images that have it, as the decisions leave it open."""
        return self.found + self.unseen * random.betavariate(*self.left_open)


def rates(cells: Cells, label: str | None = None) -> Document:
    """Return both rates: of everything, and by line, class and model.

    Args:
        cells: The counters, as `Statistics.counts` returns them.
        label: Only for this class of defect.
    """
    lines = sorted({cell.line for cell, _ in cells})
    models = sorted({cell.model for cell, _ in cells if cell.model})
    labels = [label] if label else sorted(_labels(cells))
    return {
        **_both(cells, label),
        "by_line": [
            {"line": line, **_both([found for found in cells if found[0].line == line], label)}
            for line in lines
        ],
        "by_label": [{"label": name, **_both(cells, name)} for name in labels],
        "by_model": [
            {"version": model, **_both([found for found in cells if found[0].model == model], label)}
            for model in models
        ],
        "decided": _decided(cells),
    }


def _both(cells: Cells, label: str | None) -> Document:
    return {"escape": escape(cells, label).document(), "overkill": overkill(cells, label).document()}


def escape(cells: Cells, label: str | None = None) -> Rate:
    """Return the escape rate. label: only of the defects of this class."""
    passed, failed, doubtful = (
        _stratum(cells, verdict, _counter(verdict, Choice.FAIL, label))
        for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.REVIEW)
    )
    return _rate(
        Verdict.PASS,
        wrong=passed,
        others=[failed],
        doubtful=doubtful,
        nothing="No defective part was found." if label is None else f"No part with {label} was found.",
    )


def overkill(cells: Cells, label: str | None = None) -> Rate:
    """Return the overkill rate. label: only of the parts that failed with this class."""
    failed, passed, doubtful = (
        _stratum(cells, verdict, _counter(verdict, Choice.PASS, None))
        for verdict in (Verdict.FAIL, Verdict.PASS, Verdict.REVIEW)
    )
    others = [passed]
    wrong = failed
    if label is not None:
        # The parts that failed for another reason are good parts, too.
        failed_good, labelled_good = (_counter(Verdict.FAIL, Choice.PASS, name) for name in (None, label))
        wrong = _stratum(cells, Verdict.FAIL, labelled_good)
        others.append(_stratum(cells, Verdict.FAIL, _without(failed_good, labelled_good)))
    return _rate(
        Verdict.FAIL, wrong=wrong, others=others, doubtful=doubtful, nothing="No good part was found."
    )


def _rate(
    verdict: Verdict, *, wrong: _Stratum, others: Sequence[_Stratum], doubtful: _Stratum, nothing: str
) -> Rate:
    """Return the share that the wrong ones have of all.

    Args:
        verdict: The verdict that is wrong.
        wrong: The images with it.
        others: The other images with the same truth, except the doubtful ones.
        doubtful: The doubtful ones.
        nothing: The reason for no estimate if there is nothing to be wrong about.
    """
    numbers = (wrong.found, wrong.decided, wrong.images)
    other_verdict = Verdict.FAIL if verdict is Verdict.PASS else Verdict.PASS
    for name, stratum in ((verdict, wrong), *((other_verdict, other) for other in others)):
        if stratum.images and not stratum.decided:
            return Rate(None, None, None, *numbers, reason=NOTHING_SEEN.format(_IMAGES[name]))
    total = wrong.total + sum(other.total for other in others) + doubtful.total
    if not total:
        return Rate(None, None, None, *numbers, reason=nothing)
    value, random = wrong.total / total, Random(_SEED)  # noqa: S311 - no secret
    lowest, highest = [], []
    for _ in range(_DRAWS):
        mistakes = wrong.draw(random)
        known = mistakes + sum(other.draw(random) for other in others) + doubtful.found
        lowest.append(_share(mistakes, known + doubtful.unseen))
        highest.append(_share(mistakes, known))
    low, high = sorted(lowest)[int(_TAIL * _DRAWS)], sorted(highest)[-int(_TAIL * _DRAWS) - 1]
    return Rate(
        round(value, _DIGITS),
        round(min(low, value), _DIGITS),
        round(max(high, value), _DIGITS),
        *numbers,
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _stratum(cells: Cells, verdict: Verdict, found: Callable[[Counts], int]) -> _Stratum:
    """Return the images with a verdict. found: how many of a cell have what is asked for."""
    groups = _groups(list(_blocks(cells, verdict, found)))
    whole = sum(groups, _Group())
    if not whole.decided or not whole.unseen:
        share = whole.found / whole.decided if whole.decided else None
        return _Stratum(whole.images, whole.decided, whole.found, share)
    share = sum(group.unseen / whole.unseen * group.found / group.decided for group in groups)
    return _Stratum(whole.images, whole.decided, whole.found, share, _left_open(groups, whole.unseen))


def _left_open(groups: Sequence[_Group], unseen: int) -> tuple[float, float]:
    """Return the Beta distribution of the share among the unseen images, by its mean and variance."""
    mean = variance = 0.0
    for group in groups:
        weight, total = group.unseen / unseen, group.decided + 2 * _PRIOR
        of_group = (group.found + _PRIOR) / total
        mean += weight * of_group
        variance += weight**2 * of_group * (1 - of_group) / (total + 1)
    variance += mean * (1 - mean) / unseen
    observations = max(mean * (1 - mean) / variance - 1, _LEAST_OBSERVATIONS)
    return mean * observations, (1 - mean) * observations


def _blocks(cells: Cells, verdict: Verdict, found: Callable[[Counts], int]) -> Iterator[_Group]:
    """Yield the cells of a line and a model, days with few decisions joined to those before and after them."""
    ordered = sorted(cells, key=lambda item: (item[0].line, item[0].model, item[0].hour))
    for _, of_place in groupby(ordered, key=lambda item: (item[0].line, item[0].model)):
        few = _Group()
        for _, counts in of_place:
            decided = sum(counts[f"{DECIDED}{verdict}:{choice}"] for choice in (Choice.PASS, Choice.FAIL))
            usable = max(counts[verdict] - counts[f"{DECIDED}{verdict}:{Choice.UNUSABLE}"], decided)
            group = _Group(usable, decided, found(counts))
            if decided >= _FEWEST_DECIDED:
                yield group
            elif (few := few + group).decided >= _FEWEST_DECIDED:
                yield few
                few = _Group()
        yield few


def _groups(blocks: Sequence[_Group]) -> list[_Group]:
    """Return groups of blocks of which people saw about the same share, each with enough decisions if there are."""
    groups: list[_Group] = []
    start = 0.0  # the least share in the last group
    for block in sorted((block for block in blocks if block.images), key=lambda block: block.seen):
        if groups and (groups[-1].decided < _FEWEST_DECIDED or block.seen < _LIKE * start):
            groups[-1] += block
            start = start or block.seen
        else:
            groups.append(block)
            start = block.seen
    if len(groups) > 1 and groups[-1].decided < _FEWEST_DECIDED:
        last = groups.pop()
        groups[-1] += last
    return groups


def _counter(verdict: Verdict, choice: Choice, label: str | None) -> Callable[[Counts], int]:
    name = f"{DECIDED}{verdict}:{choice}" + (f":{label}" if label is not None else "")
    return lambda counts: counts[name]


def _without(whole: Callable[[Counts], int], part: Callable[[Counts], int]) -> Callable[[Counts], int]:
    return lambda counts: whole(counts) - part(counts)


def _labels(cells: Iterable[tuple[Cell, Counts]]) -> set[str]:
    parts = {name for _, counts in cells for name in counts if name.startswith(DECIDED) and counts[name]}
    return {
        label for name in parts if (label := name.removeprefix(DECIDED).partition(":")[2].partition(":")[2])
    }


def _decided(cells: Cells) -> int:
    choices = [f"{DECIDED}{verdict}:{choice}" for verdict in Verdict for choice in Choice]
    return sum(counts[name] for _, counts in cells for name in choices)
