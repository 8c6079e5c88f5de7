"""Scores for a wanted escape rate, from what people have decided about inspections.

For each class, of the images that people have said to be bad with it, and of those that they have said to be good:

- It goes to review from the highest score at which at most the wanted share of the bad parts has less, so that no more
  of them pass. Parts in which the model has not found the class at all have the score 0.
- It fails from the lowest score, not below that, at which at most the accepted share of the good parts fails; or, if no
  share is given, from the score with the best F1, where the model is right more often than not. Between the two, a
  person decides.

Each image has the weight of those that it stands for, because people see only a share of what passes and fails. The
scores are chosen by the estimate itself, and not by the upper end of its interval, which the answer shows beside it.

A class that never fails a product, because the rules only let it ask for a review, keeps its fail_score.

A class keeps its scores while too few of its images are decided, and nothing that passes less is proposed without
looks at what passes: see `fewest`.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from contract.inspections import Verdict
from contract.text import counted, plain
from inspection.cases import Case, rate_of
from inspection.estimates import Rate
from inspection.rules import ClassScores, Rules
from inspection.rules_document import notes as score_notes
from inspection.rules_document import settled, unused_name, validate, with_scores

_FEWEST = 30
_NEWEST = 50  # images whose model is taken to be the one that serves
_DIGITS = 10_000
_Weighted = list[tuple[float, float]]  # pairs of score and weight


@dataclass(frozen=True)
class Proposal:
    """Rules that people's decisions speak for.

    Attributes:
        document: The rules document.
        by_label: By class, its scores, its rates with them, and how many images with it are decided.
        notes: What a person should know, as sentences.
    """

    document: dict[str, Any]
    by_label: dict[str, dict[str, Any]]
    notes: list[str]


@dataclass(frozen=True)
class Wish:
    """What is wanted of the rules.

    Attributes:
        escape: The share of the bad parts of a class that may pass.
        overkill: The share of the good parts that may fail for a class; None for as many as is best.
        line: Only of this line: its own scores are set.
    """

    escape: float
    overkill: float | None = None
    line: str | None = None


def fewest(share: float | None) -> int:
    """Return how many decided images are needed to speak of a share: one of which would be about that share.

    >>> fewest(0.02), fewest(0.001), fewest(None)
    (50, 1000, 30)
    """
    return max(_FEWEST, math.ceil(1 / share) if share else 0)


def propose(
    document: Mapping[str, Any], cases: Sequence[Case], wish: Wish, used_names: Collection[str | None] = ()
) -> Proposal:
    """Return rules with the scores that people's decisions speak for. Everything else in them stays.

    Args:
        document: The rules in force, valid.
        cases: Inspections, newest first, with what people have decided about them.
        wish: What is wanted.
        used_names: The versions of all rules so far.
    """
    rules = validate(document)
    model = _serving(cases)
    own = [case for case in cases if case.model and case.model == model]
    remarks = []
    if others := len(cases) - len(own):
        remarks.append(
            f"{counted(others, 'image')} left out, because model {plain(str(model))} did not inspect them, and scores "
            "belong to a model."
        )
    deciding = [case.deciding_scores(rules) for case in own]
    classes = {label: _Class(rules, own, deciding, wish, label) for label in sorted(_labels(own, deciding))}
    changed = {name: each.scores for name, each in classes.items() if each.scores != each.current}
    remarks += [remark for each in classes.values() for remark in each.notes()]
    if not classes:
        remarks.append("Nobody has decided about any of these images yet, so the scores stay.")
    proposed = settled(document)
    if changed:
        name = unused_name(f"{rules.version[:54]}-proposed", used_names)
        proposed = (
            _for_line(document, name, changed, wish.line)
            if wish.line
            else with_scores(document, name, changed)
        )
        remarks += [f"{plain(note)}." for note in ([] if wish.line else score_notes(rules, changed))]
    return Proposal(proposed, {label: each.document() for label, each in classes.items()}, remarks)


@dataclass(frozen=True)
class _Class:
    """One class: what people have decided, and the scores that follow."""

    rules: Rules
    cases: Sequence[Case]
    deciding: Sequence[Mapping[str, float]]
    wish: Wish
    label: str

    @property
    def current(self) -> ClassScores:
        rule = self.rules.rule(self.wish.line or "", self.label)
        return ClassScores(fail_score=rule.fail_score, review_score=rule.review_score)

    @cached_property
    def scores(self) -> ClassScores:
        """The scores that are proposed."""
        if len(self._bad) < fewest(self.wish.escape):
            return self.current
        review = (
            self._reaching if self._reaching is not None else min(self.current.review_score, self._lowest)
        )
        if self._passes_seen < fewest(self.wish.escape):
            review = min(review, self.current.review_score)
        review = _floor(review)
        if not self._failing_lines or len(self._good) < fewest(self.wish.overkill):
            return ClassScores(fail_score=max(self.current.fail_score, review), review_score=review)
        return ClassScores(fail_score=max(self._failing(review), review), review_score=review)

    @cached_property
    def _failing_lines(self) -> set[str]:
        """The lines on which the class can fail a product."""
        lines = {case.line for case in self.cases}
        return {line for line in lines if self.rules.rule(line, self.label).can_fail}

    @cached_property
    def _deciding(self) -> list[float]:
        return [scores.get(self.label, 0.0) for scores in self.deciding]

    @cached_property
    def _weights(self) -> dict[Verdict, float]:
        """How many images a decided one stands for, by its recorded verdict."""
        inspected = Counter(case.recorded for case in self.cases)
        decided = Counter(case.recorded for case in self.cases if case.decision)
        return {verdict: inspected[verdict] / number for verdict, number in decided.items()}

    def _weighted(self, *, bad: bool) -> _Weighted:
        return sorted(
            (score, self._weights[case.recorded])
            for case, score in zip(self.cases, self._deciding, strict=True)
            if case.decision and (self.label in case.decision.labels if bad else not case.decision.defective)
        )

    @cached_property
    def _bad(self) -> _Weighted:
        return self._weighted(bad=True)

    @cached_property
    def _good(self) -> _Weighted:
        return self._weighted(bad=False)

    @property
    def _passes_seen(self) -> int:
        passes = [case for case in self.cases if case.recorded is Verdict.PASS]
        seen = sum(case.decision is not None for case in passes)
        return seen if seen < len(passes) else max(seen, fewest(self.wish.escape))

    @property
    def _lowest(self) -> float:
        """The lowest score of a bad part in which the model found the class."""
        return min((score for score, _ in self._bad if score > 0), default=1.0)

    @cached_property
    def _reaching(self) -> float | None:
        """The highest score below which at most the wanted share of the bad parts is; None if there is none."""
        allowed = self.wish.escape * sum(weight for _, weight in self._bad) + 1e-9
        below = 0.0
        for score, weight in self._bad:
            below += weight
            if below > allowed:
                return score or None
        return None

    def _failing(self, review: float) -> float:
        """Return the score from which the class fails: within the wanted overkill rate, or with the best F1."""
        candidates = sorted({review, *(score for score, _ in (*self._bad, *self._good) if score >= review)})
        if self.wish.overkill is not None:
            allowed = self.wish.overkill * sum(weight for _, weight in self._good) + 1e-9
            # Above the highest score, nothing fails.
            candidates.append(min(1.0, candidates[-1] + 1 / _DIGITS))
            within = (score for score in candidates if _reached(self._good, score) <= allowed)
            return _ceil(next(within, candidates[-1]))
        return _floor(max(candidates, key=lambda score: (self._f1(score), -score)))

    def _f1(self, score: float) -> float:
        hits, alarms = _reached(self._bad, score), _reached(self._good, score)
        return 2 * hits / (hits + alarms + sum(weight for _, weight in self._bad))

    @cached_property
    def escape(self) -> Rate:
        """The share of the bad parts that would pass, but for other classes."""
        passing = [score < self.scores.review_score for score in self._deciding]
        return rate_of(self.cases, passing, lambda decision: self.label in decision.labels)

    def overkill(self) -> Rate:
        """Return the share of the good parts that would fail for this class."""
        failing = [
            score >= self.scores.fail_score and case.line in self._failing_lines
            for case, score in zip(self.cases, self._deciding, strict=True)
        ]
        return rate_of(self.cases, failing, lambda decision: not decision.defective)

    def document(self) -> dict[str, Any]:
        return {
            **self.scores.model_dump(),
            "escape": self.escape.document(),
            "overkill": self.overkill().document(),
            "decided": len(self._bad),
        }

    def notes(self) -> Iterator[str]:
        """Yield what a person should know about the class."""
        name, needed, wanted = plain(self.label), fewest(self.wish.escape), _percent(self.wish.escape)
        if len(self._bad) < needed:
            found = counted(len(self._bad), "decided image")
            yield f"{name} keeps its scores: {found} with it, and {wanted} needs {needed}."
            return
        if self._reaching is None:
            missed = sum(weight for score, weight in self._bad if not score) / sum(w for _, w in self._bad)
            yield (
                f"{name} cannot reach {wanted} by scores: in {_percent(missed)} of its parts the model does not find "
                "it. Only a better model does."
            )
        elif self._passes_seen < needed and self._reaching > self.current.review_score:
            yield (
                f"{name} does not pass more than now: {counted(self._passes_seen, 'passed image')} decided, and "
                f"{needed} are needed to know what escapes."
            )
        if self._failing_lines and len(self._good) < (least := fewest(self.wish.overkill)):
            seen = counted(len(self._good), "decided good image")
            yield f"{name} keeps its fail_score, as far as it can: {seen}, and it needs {least}."
        rate = self.escape
        if rate.high is not None and rate.high > self.wish.escape:
            yield f"{name}: the true escape rate may be as high as {_percent(rate.high)} (95 %)."


def _reached(scores: _Weighted, least: float) -> float:
    return sum(weight for score, weight in scores if score >= least)


def _floor(score: float) -> float:
    """Round a score down, so that what has this score still reaches it."""
    return math.floor(score * _DIGITS + 1e-6) / _DIGITS


def _ceil(score: float) -> float:
    """Round a score up, so that nothing more reaches it."""
    return min(1.0, math.ceil(score * _DIGITS - 1e-6) / _DIGITS)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _serving(cases: Sequence[Case]) -> str | None:
    """Return the model that inspected most of the newest images."""
    newest = [case.model for case in cases if case.model][:_NEWEST]
    return Counter(newest).most_common(1)[0][0] if newest else None


def _labels(cases: Sequence[Case], deciding: Sequence[Mapping[str, float]]) -> set[str]:
    """Return the classes about which people have decided: those that they were shown, and those that they saw."""
    labels: set[str] = set()
    for case, scores in zip(cases, deciding, strict=True):
        if case.decision:
            labels |= {*scores, *case.decision.labels}
    return labels


def _for_line(
    document: Mapping[str, Any], version: str, scores: Mapping[str, ClassScores], line: str
) -> dict[str, Any]:
    """Return a document with other scores on one line."""
    changed = copy.deepcopy({**settled(document), "version": version})
    own = changed.setdefault("lines", {}).setdefault(line, {})
    for label, wanted in scores.items():
        # A class that the line does not name follows the line's default, and still does but for the scores.
        own[label] = {**own.get(label, own.get("default", {})), **wanted.model_dump()}
    validate(changed)
    return changed
