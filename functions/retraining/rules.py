"""The rules of a run's winner: its operating points go into force together with the model.

The gate's rates hold at the operating points that the evaluation proposes, so a new model is judged by them from its
first image on:

1. `stage`, before the swap, adds the scores to the rules as their `candidate`. They apply to the answers of the new
   model alone; the champion keeps its scores.
2. `apply`, once the model is proven live, makes them the scores of the classes, under a new version of the rules.
3. `withdraw`, if the champion serves again, removes the candidate.

Only the scores change. A person may change the rules at any time: SSM has no conditional write, so each write checks
afterwards what it has replaced, and writes again on top of that (`_change`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contract.keys import REPORTS
from contract.s3 import join
from inspection.rules import ClassScores
from inspection.rules_document import (
    TIER,
    RulesDocumentError,
    notes,
    parse,
    scores_of,
    to_text,
    validate,
    with_scores,
)
from retraining.documents import Documents
from retraining.errors import BrokenReportError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

NOT_WANTED = "the stack's parameter ApplyProposedRules is false"
_Document = dict[str, Any]


@dataclass(frozen=True)
class _Entry:
    """A version of the parameter. text: the document as it was written."""

    number: int
    text: str

    @property
    def name(self) -> str | None:
        """The document's own version, if it has one."""
        try:
            document = json.loads(self.text)
        except ValueError:
            return None
        return document.get("version") if isinstance(document, dict) else None


@dataclass(frozen=True)
class _Proposal:
    """What an evaluation proposes. unmeasured: classes for which it has no operating point."""

    model: str
    scores: dict[str, ClassScores]
    unmeasured: list[str]


@dataclass(frozen=True)
class ProposedRules:
    """Puts a winner's scores into force, or takes them back.

    Attributes:
        documents: The artefacts bucket.
        ssm: The SSM client.
        parameter: The name of the rules' parameter.
        wanted: Whether proposed scores are applied at all.
        cache_seconds: For how long `inspect` may still use the rules of before.
    """

    documents: Documents
    ssm: SSMClient
    parameter: str
    wanted: bool
    cache_seconds: int

    def stage(self, version: str, report: str) -> dict[str, Any]:
        """Add the scores for the answers of the new model, which does not serve yet.

        Args:
            version: The name of the rules for this model.
            report: The S3 URI of the winner's evaluation.json.

        Returns:
            `pause`: seconds until all images are judged with the candidate known.
        """
        if not self.wanted:
            return {"pause": 0}
        try:
            proposal = self._proposal(report)
            self._change(lambda document: _staged(document, version, proposal))
        except (RulesDocumentError, BrokenReportError):
            # `apply` finds the same, and reports it.
            return {"pause": 0}
        return {"pause": self.cache_seconds}

    def apply(self, run: str, version: str, report: str) -> dict[str, Any]:
        """Make the scores those of the classes, and store the rules from before and after.

        Args:
            run: The run's id.
            version: The name of the new rules. If they have been in force already, nothing changes.
            report: The S3 URI of the winner's evaluation.json.

        Returns:
            `applied`, `reason` (why not), `before` and `after` (each with `version`, `parameter_version` and `uri`),
            `notes` (sentences), and `proposal`, the S3 URI of the proposed rules.
        """
        result = {"applied": False, "reason": NOT_WANTED, "notes": [], "proposal": proposal_uri(report)}
        try:
            before, after = self._applied(version) or self._apply(version, report)
            remarks = self._notes(before, self._proposal(report)) if self.wanted else []
            result |= {
                "applied": self.wanted,
                "reason": None if self.wanted else NOT_WANTED,
                "notes": remarks,
            }
        except (RulesDocumentError, BrokenReportError) as error:
            result["reason"] = str(error)
            before = after = self._history()[-1]
        return result | {
            "before": self._store(run, "before", before),
            "after": self._store(run, "after", after),
        }

    def withdraw(self, version: str) -> None:
        """Remove the candidate of this name, if it is there."""
        if any(entry.name == version for entry in self._history()):
            return  # it is in force, and no candidate any more
        try:
            self._change(lambda document: _without_candidate(document, version))
        except RulesDocumentError:
            return  # the rules are not valid, so nothing is judged by them

    def _applied(self, version: str) -> tuple[_Entry, _Entry] | None:
        """Return the rules before and after, if an earlier attempt has applied them."""
        history = self._history()
        for before, after in itertools.pairwise(history):
            if after.name == version:
                return before, after
        return None

    def _apply(self, version: str, report: str) -> tuple[_Entry, _Entry]:
        if not self.wanted:
            current = self._history()[-1]
            return current, current
        scores = self._proposal(report).scores
        return self._change(lambda document: with_scores(document, version, scores))

    def _change(self, change: Callable[[_Document], _Document]) -> tuple[_Entry, _Entry]:
        """Change the document in force, without losing what somebody else writes meanwhile.

        Returns:
            The parameter before and after.

        Raises:
            RulesDocumentError: The rules in force are not valid, or become too long.
        """
        before = self._history()[-1]
        expected = before.number + 1
        while True:
            document = parse(before.text)
            changed = change(document)
            if changed == document:
                return before, before
            text = to_text(changed)
            number = self.ssm.put_parameter(
                Name=self.parameter, Value=text, Overwrite=True, Type="String", Tier=TIER
            )["Version"]
            if number == expected:
                return before, _Entry(number, text)
            before, expected = self._entry(number - 1), number + 1

    def _history(self) -> list[_Entry]:
        """Return the parameter's versions that SSM keeps, oldest first."""
        pages = self.ssm.get_paginator("get_parameter_history").paginate(Name=self.parameter)
        entries = [_Entry(item["Version"], item["Value"]) for page in pages for item in page["Parameters"]]
        return sorted(entries, key=lambda entry: entry.number)

    def _entry(self, number: int) -> _Entry:
        return next(entry for entry in self._history() if entry.number == number)

    def _proposal(self, report: str) -> _Proposal:
        """Read what an evaluation proposes.

        Raises:
            BrokenReportError: The evaluation or its rules are missing or damaged.
            RulesDocumentError: The proposed rules are not valid, or contain no score.
        """
        evaluation, proposed = self._read(report), self._read(proposal_uri(report))
        scores = scores_of(proposed)
        try:
            model, points = str(evaluation["model"]["version"]), dict(evaluation.get("operating_points", {}))
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenReportError(f"{report} does not name its model: {error!r}") from error
        return _Proposal(model, scores, [label for label in points if label not in scores])

    def _read(self, uri: str) -> _Document:
        document = self.documents.read(uri)
        if not isinstance(document, dict):
            raise BrokenReportError(f"{uri} is not a JSON object")
        return document

    def _notes(self, before: _Entry, proposal: _Proposal) -> list[str]:
        rules = validate(parse(before.text))
        texts = notes(rules, proposal.scores)
        if proposal.unmeasured:
            names = ", ".join(proposal.unmeasured)
            texts.append(f"no operating point could be measured for {names}: the scores in force stay")
        if others := [
            label for label in rules.classes if label not in {*proposal.scores, *proposal.unmeasured}
        ]:
            texts.append(f"the test images do not have the class {', '.join(others)}: its rule stays")
        return texts

    def _store(self, run: str, moment: str, entry: _Entry) -> dict[str, Any]:
        """Store rules beside the run's report, because SSM keeps only the last 100 versions."""
        key = f"{REPORTS}{run}/rules-{moment}.json"
        try:
            document = parse(entry.text)
        except RulesDocumentError:
            return {"version": entry.name, "parameter_version": entry.number, "uri": None}
        document.pop("candidate", None)
        self.documents.write(key, document)
        return {
            "version": entry.name,
            "parameter_version": entry.number,
            "uri": join(self.documents.bucket, key),
        }


def proposal_uri(report: str) -> str:
    """Return the S3 URI of the rules that an evaluation proposes.

    >>> proposal_uri("s3://artefacts/reports/0123456789ab/ssdlite/evaluation.json")
    's3://artefacts/reports/0123456789ab/ssdlite/rules.json'
    """
    return f"{report.rpartition('/')[0]}/rules.json"


def _staged(document: _Document, version: str, proposal: _Proposal) -> _Document:
    classes = {label: scores.model_dump() for label, scores in proposal.scores.items()}
    staged = {**document, "candidate": {"version": version, "model": proposal.model, "classes": classes}}
    validate(staged)
    return staged


def _without_candidate(document: Mapping[str, Any], version: str) -> _Document:
    is_own = document.get("candidate", {}).get("version") == version
    return {name: value for name, value in document.items() if name != "candidate" or not is_own}
