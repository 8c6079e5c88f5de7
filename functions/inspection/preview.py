"""What other rules would have decided about inspections, beside the rules in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.inspections import Verdict
from contract.text import counted
from inspection.cases import Case, rate_of
from inspection.estimates import Rate
from inspection.rules import Rules

BINS = 20
_EDGES = [round(index / BINS, 2) for index in range(BINS + 1)]
_MOST_IDS = 20


@dataclass(frozen=True)
class Judged:
    """Inspections as some rules judge them.

    Attributes:
        cases: The inspections.
        verdicts: The verdict of each.
    """

    cases: Sequence[Case]
    verdicts: Sequence[Verdict]

    def counts(self) -> dict[str, int]:
        """Return how many inspections get each verdict."""
        found = Counter(self.verdicts)
        return {verdict.value: found[verdict] for verdict in Verdict}

    def escape(self) -> Rate:
        """Return the share of the bad parts that pass."""
        return self._rate(Verdict.PASS, defective=True)

    def overkill(self) -> Rate:
        """Return the share of the good parts that fail."""
        return self._rate(Verdict.FAIL, defective=False)

    def _rate(self, wrong: Verdict, *, defective: bool) -> Rate:
        flags = [verdict is wrong for verdict in self.verdicts]
        return rate_of(self.cases, flags, lambda decision: decision.defective is defective)


def preview(
    current: Rules | None, proposed: Rules, cases: Sequence[Case], line: str | None = None
) -> dict[str, Any]:
    """Return what changes for inspections if other rules were in force.

    Args:
        current: The rules in force; None if they are not valid, so that the recorded verdicts stand for theirs.
        proposed: The other rules.
        cases: The inspections.
        line: Whose scores to show, if all inspections are of one line.

    Returns:
        The answer of `POST /rules/preview`, but for what it says about how the inspections were read.
    """
    # One image after another, because what lies in a zone is then computed once.
    judged = [
        (
            case.verdict(current) if current else case.recorded,
            case.verdict(proposed),
            case.deciding_scores(proposed),
        )
        for case in cases
    ]
    before = Judged(cases, [old for old, _, _ in judged])
    after = Judged(cases, [new for _, new, _ in judged])
    return {
        "inspected": len(cases),
        "current": before.counts(),
        "proposed": after.counts(),
        "moves": _moves(before, after),
        "escape": {"current": before.escape().document(), "proposed": after.escape().document()},
        "overkill": {"current": before.overkill().document(), "proposed": after.overkill().document()},
        "by_label": _by_label(current, proposed, cases, [scores for _, _, scores in judged], line),
        "notes": list(_notes(cases)),
    }


def _moves(before: Judged, after: Judged) -> list[dict[str, Any]]:
    """Return which verdicts change, the most frequent change first."""
    moved: dict[tuple[Verdict, Verdict], list[str]] = {}
    for case, old, new in zip(before.cases, before.verdicts, after.verdicts, strict=True):
        if old is not new:
            moved.setdefault((old, new), []).append(case.id)
    return [
        {"from": old.value, "to": new.value, "count": len(ids), "ids": ids[:_MOST_IDS]}
        for (old, new), ids in sorted(moved.items(), key=lambda move: (-len(move[1]), move[0]))
    ]


def _by_label(
    current: Rules | None,
    proposed: Rules,
    cases: Sequence[Case],
    deciding: Sequence[Mapping[str, float]],
    line: str | None,
) -> dict[str, Any]:
    """Return for each class the scores that decide, as people have decided, and the scores that the rules set."""
    histograms: dict[str, dict[str, list[int]]] = {}
    for case, scores in zip(cases, deciding, strict=True):
        missed = case.decision.labels - scores.keys() if case.decision else frozenset[str]()
        for label in {*scores, *missed}:
            histogram = histograms.setdefault(label, _empty())
            histogram[_kind(case, label)][_bin(scores.get(label, 0.0))] += 1
    named = {*proposed.classes, *(current.classes if current else ())}
    return {
        label: {
            "histogram": {"edges": _EDGES, **histograms.get(label, _empty())},
            "current": _scores(current, line, label) if current else None,
            "proposed": _scores(proposed, line, label),
        }
        for label in sorted({*histograms, *named})
    }


def _empty() -> dict[str, list[int]]:
    return {kind: [0] * BINS for kind in ("accepted", "rejected", "undecided")}


def _kind(case: Case, label: str) -> str:
    """Return what people say about a class in an image: it is not there, it is there, or nothing."""
    if case.decision is None:
        return "undecided"
    return "rejected" if label in case.decision.labels else "accepted"


def _bin(score: float) -> int:
    """Return the bin of a score. A missed defect has the score 0.

    >>> _bin(0.0), _bin(0.05), _bin(0.3), _bin(1.0)
    (0, 1, 6, 19)
    """
    # Rounded, because 0.3 × 20 is below 6 as a float.
    return min(BINS - 1, int(round(score * BINS, 6)))


def _scores(rules: Rules, line: str | None, label: str) -> dict[str, float]:
    rule = rules.rule(line or "", label)
    return {"fail_score": rule.fail_score, "review_score": rule.review_score}


def _notes(cases: Sequence[Case]) -> Iterator[str]:
    """Yield what a person should know about a preview, as sentences."""
    if not any(case.decision for case in cases):
        yield "Nobody has decided about any of these images, so no rates are known."
    if waiting := sum(case.recorded is Verdict.REVIEW and case.decision is None for case in cases):
        # People take the most uncertain first, so those that they have seen are no random sample.
        images = counted(waiting, "doubtful image")
        yield f"People have not decided about {images} yet; the rates are sure once they have."
    models = {case.model for case in cases if case.model}
    if len(models) > 1:
        yield f"The images were inspected by {len(models)} models, and scores belong to a model."
    if unseen := sum(case.model is None for case in cases):
        yield f"The model has not answered for {counted(unseen, 'image')}, whose verdict stays."
    if older := sum(case.is_older for case in cases):
        records = counted(older, "record")
        yield f"Reasons of a bad picture stay in {records} of an earlier release, whatever the limits are."
