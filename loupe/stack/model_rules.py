"""The rules that belong to a model: when a model returns, its rules return with it.

Each promotion stores the rules of before and after beside its report (docs/retrain.md). The rules of before are those
of the champion that was replaced, with everything that a person had changed in them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.exceptions import ClientError

from contract import model_card
from contract.keys import REPORTS
from contract.s3 import split
from loupe.errors import LoupeError
from loupe.stack import deployment, rules
from loupe.stack.registry import Version
from loupe.stack.rules import Document, RulesVersion
from loupe.stack.target import Target

# An endpoint takes minutes to change on AWS, so a longer cache is no reason to wait longer with a rollback.
_LONGEST_PAUSE_SECONDS = 60


@dataclass(frozen=True)
class RulesOutcome:
    """What became of the rules when a model returned.

    Attributes:
        state: `restored`; `unchanged`, because they were in force already; `kept`, because that was asked for;
            `changed`, because a person has changed them since; or `unknown`, because no run has recorded them.
        version: The rules in force now; None if they were not read.
        belonging: The S3 URI of the rules that belong to the model; None if unknown.
    """

    state: str
    version: str | None
    belonging: str | None

    def document(self) -> Document:
        return {"state": self.state, "version": self.version, "belonging": self.belonging}

    def sentences(self, options: str) -> list[str]:
        """Return what to tell a person.

        Args:
            options: The options with which another command works on the same target.
        """
        in_force = f"The rules {self.version} stay in force"
        command = f"To put the model's own rules into force: loupe rules set {self.belonging}{options}"
        match self.state:
            case "restored":
                return [f"Its rules {self.version} are in force again."]
            case "unchanged":
                return [f"Its rules {self.version} are in force already."]
            case "changed":
                return [f"{in_force}, because they were changed since this model served.", command]
            case "kept":
                return ["The rules stay as they are (--keep-rules).", *([command] if self.belonging else [])]
        return [
            f"{in_force}. No run has recorded which rules belong to this model: see `loupe rules history{options}`."
        ]


@dataclass(frozen=True)
class _Recorded:
    """Rules that were in force with a model."""

    model: str
    uri: str
    document: Document


@dataclass(frozen=True)
class Return:
    """The rules for a model that returns.

    Attributes:
        outcome: What becomes of the rules, if the model returns.
        current: The rules in force; None if they are to stay.
        recorded: The rules to put into force; None to leave them as they are.
    """

    outcome: RulesOutcome
    current: RulesVersion | None
    recorded: _Recorded | None


def plan(target: Target, leaving: str, returning: str, versions: list[Version], keep: bool) -> Return:
    """Find out which rules belong to a model that returns.

    Args:
        target: The stack.
        leaving: SageMaker's name of the model that serves; for a registered version the one in its metadata.
        returning: The same of the model that returns.
        versions: All registered versions, newest first.
        keep: Leave the rules as they are.
    """
    recorded = list(_recorded(target, versions))
    own = next((entry for entry in recorded if entry.model == returning), None)
    belonging = own.uri if own else None
    if keep:
        # The rules are not even read, so that a rollback needs no permission for them.
        return Return(RulesOutcome("kept", None, belonging), None, None)
    current = rules.history(target)[0]
    if own is None:
        return Return(RulesOutcome("unknown", current.name, None), current, None)
    if current.same_rules(own.document):
        return Return(RulesOutcome("unchanged", current.name, belonging), current, None)
    # Of a model that was deployed by hand, no run has recorded rules: then any recorded rules are nobody's change.
    before = [entry for entry in recorded if entry.model == leaving] or recorded
    if not any(current.same_rules(entry.document) for entry in before):
        return Return(RulesOutcome("changed", current.name, belonging), current, None)
    return Return(RulesOutcome("restored", own.document.get("version"), belonging), current, own)


def _recorded(target: Target, versions: list[Version]) -> Iterator[_Recorded]:
    """Yield the rules that runs have recorded, newest first."""
    for version in versions:
        run, model = version.metadata.get("run"), version.metadata.get("model_name")
        report = target.read_json(f"{REPORTS}{run}/report.json") if run and model else None
        entries = (report or {}).get("rules") or {}
        former = (report or {}).get("champion_before")
        for name, moment in ((former, "before"), (model, "after")):
            uri = (entries.get(moment) or {}).get("uri")
            if not uri or not name:
                continue
            document = target.read_json(split(uri)[1])
            if isinstance(document, dict):
                yield _Recorded(name, uri, document)


@contextmanager
def each_by_its_own(
    target: Target, wanted: Return, model_version: str | None, on_status: Callable[[str], None]
) -> Iterator[Callable[[], RulesOutcome]]:
    """While two models answer, judge each by its own scores.

    Args:
        target: The stack.
        wanted: The rules for the model that returns.
        model_version: The version in the answers of the model that returns; None if it is not known.
        on_status: Receives a text for each step.

    Yields:
        A function that puts the rules into force, once the model serves. If it is not called, the rules are as before.
    """
    own, before = wanted.recorded, wanted.current
    if own is None or before is None:
        yield lambda: wanted.outcome
        return
    base, finished = before, False
    if model_version:
        base = _stage(target, before, own.document, model_version)
        seconds = min(float(target.outputs.get("RulesCacheSeconds", "30")), _LONGEST_PAUSE_SECONDS)
        on_status(f"adding the scores of the model that returns to the rules: {seconds:g} s")
        time.sleep(seconds)

    def finish() -> RulesOutcome:
        nonlocal finished
        finished = True
        try:
            rules.put(target, own.document, base)
        except LoupeError:
            return RulesOutcome("changed", rules.history(target)[0].name, own.uri)
        return wanted.outcome

    try:
        yield finish
    finally:
        if not finished and base is not before and before.document is not None:
            with suppress(LoupeError):  # a person has changed the rules, and the candidate is gone
                rules.put(target, before.document, base)


def _stage(target: Target, base: RulesVersion, own: Document, model_version: str) -> RulesVersion:
    """Add the scores of the model that returns as the candidate, which applies to its answers alone."""
    current = base.document or {}
    complete = rules.check(rules.to_text(own)).complete
    labels = {*own.get("classes", {}), *current.get("classes", {})}
    classes = {label: complete["classes"].get(label, complete["default"]) for label in sorted(labels)}
    scores = {
        label: {name: rule[name] for name in ("fail_score", "review_score")}
        for label, rule in classes.items()
    }
    candidate = {"version": own["version"], "model": model_version, "classes": scores}
    staged = {**current, "candidate": candidate}
    return replace(base, number=rules.put(target, staged, base), text=rules.to_text(staged))


def version_in_answers(target: Target, version: Version | None, artefact: str | None) -> str | None:
    """Return the version that a model's answers contain; None if it cannot be found out.

    Args:
        target: The stack.
        version: The registered version.
        artefact: The S3 URI of its model.tar.gz.
    """
    if version and "rules_proposal" in version.metadata:
        folder = split(version.metadata["rules_proposal"])[1].rpartition("/")[0]
        evaluation: Any = target.read_json(f"{folder}/evaluation.json") or {}
        if found := evaluation.get("model", {}).get("version"):
            return str(found)
    if artefact is None:
        return None
    with TemporaryDirectory() as folder, suppress(ClientError, LoupeError, ValueError):
        file = Path(folder) / "model.tar.gz"
        target.s3.download_file(*split(artefact), str(file))
        return model_card.version(deployment.read_card(file))
    return None
