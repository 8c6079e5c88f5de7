"""The rules that turn detections into a verdict: read them, change them, and go back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, cast

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from api import aws, cursors, rule_cases
from api.access import CurrentCaller, Group, allow
from api.errors import conflict, invalid_request, not_found
from api.rule_cases import Cases
from api.settings import Reviews
from api.settings import Rules as Settings
from contract.changes import changes
from contract.text import plain
from inspection.preview import preview
from inspection.proposing import Wish, propose
from inspection.rules import Rules
from inspection.rules_document import RulesDocumentError, complete, to_text, validate
from inspection.rules_store import RulesStore, RulesVersion, StaleRulesError, UnknownVersionError

router = APIGatewayHttpRouter()

_Comment = Annotated[str | None, Field(max_length=1000)]
_Number = Annotated[int, Field(ge=1)]
_Last = Annotated[int, Field(ge=1, le=rule_cases.MOST)]
_Line = Annotated[str | None, Field(min_length=1, max_length=1024)]


class RulesInForce(TypedDict):
    """The rules in force. `complete`: with all values of each class; None if they are not valid."""

    number: int
    version: str | None
    since: str
    document: dict[str, Any] | None
    complete: dict[str, Any] | None
    notes: list[str]


class Entry(TypedDict):
    """A version of the rules, with what it changed in the one before."""

    number: int
    version: str | None
    when: str
    by: str | None
    action: str | None
    comment: str | None
    document: dict[str, Any] | None
    changes: list[dict[str, Any]]


class Entries(TypedDict):
    """A part of the history, newest first."""

    items: list[Entry]
    next: str | None


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewRules(_Body):
    """Rules that are to be in force. `number`: the version that they were made from."""

    document: dict[str, Any]
    number: _Number
    comment: _Comment = None


class Return(_Body):
    """The way back to the rules of version `to`. `number`: the version in force."""

    to: _Number
    number: _Number
    comment: _Comment = None


class Wanted(_Body):
    """Rules that are to be judged by. `last`: how many of the newest inspections. `line`: only of this line."""

    document: dict[str, Any]
    last: _Last = 1000
    line: _Line = None


class Wished(_Body):
    """What proposed rules must reach: the share of bad parts that may pass, and of good parts that may fail."""

    escape: float = Field(gt=0, lt=1)
    overkill: float | None = Field(None, gt=0, lt=1)
    last: _Last = 5000
    line: _Line = None


class RateOf(TypedDict):
    """A rate with its 95 % interval. `wrong`, `reviewed`: how many people have found, and looked at, `of` so many."""

    value: float | None
    low: float | None
    high: float | None
    wrong: int
    reviewed: int
    of: int


class Compared(TypedDict):
    """A rate by the rules in force, and by the others."""

    current: RateOf
    proposed: RateOf


class Histogram(TypedDict):
    """How many images have which score: without the class as people say, with it, and without a decision."""

    edges: list[float]
    accepted: list[int]
    rejected: list[int]
    undecided: list[int]


class Scores(TypedDict):
    """The scores of a class."""

    fail_score: float
    review_score: float


class ByLabel(TypedDict):
    """A class: the scores that decide in each image, and the scores that the rules set."""

    histogram: Histogram
    current: Scores | None
    proposed: Scores


Move = TypedDict("Move", {"from": str, "to": str, "count": int, "ids": list[str]})


class Preview(TypedDict):
    """What other rules would have decided."""

    inspected: int
    current: dict[str, int]
    proposed: dict[str, int]
    moves: list[Move]
    escape: Compared
    overkill: Compared
    by_label: dict[str, ByLabel]
    notes: list[str]


class ProposedRules(TypedDict):
    """Rules that people's decisions speak for, and what they would have decided."""

    document: dict[str, Any]
    by_label: dict[str, dict[str, Any]]
    notes: list[str]
    preview: Preview


@router.get("/rules", summary="Show the rules in force")
@allow(Group.VIEWER)
def show() -> RulesInForce:
    """Return the document, and its number, with which it can be changed."""
    return _shown(store().current())


@router.get("/rules/history", summary="List the earlier rules, and who changed what")
@allow(Group.VIEWER)
def show_history(
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Entries:
    """Return the versions, newest first."""
    scope = {"list": "rules"}
    position = cursors.decode(cursor, scope)
    before = int(position) if position and position.isdecimal() else None
    versions = [version for version in store().versions() if before is None or version.number < before]
    pairs = itertools.pairwise([*versions, None])
    items = [_entry(version, earlier) for version, earlier in itertools.islice(pairs, limit) if version]
    more = str(items[-1]["number"]) if len(versions) > limit else None
    return {"items": items, "next": cursors.encode(more, scope)}


@router.put("/rules", summary="Put rules into force")
@allow(Group.ADMIN)
def change(new: NewRules, caller: CurrentCaller) -> RulesInForce:
    """Put a document into force, unless somebody has changed the rules since it was made."""
    with refusals():
        return _shown(store().change(new.document, new.number, caller.name, _comment(new.comment)))


@router.post("/rules/rollback", summary="Put earlier rules into force again")
@allow(Group.ADMIN)
def roll_back(back: Return, caller: CurrentCaller) -> RulesInForce:
    """Put the rules of an earlier version into force, under a name of their own."""
    with refusals():
        return _shown(store().roll_back(back.to, back.number, caller.name, _comment(back.comment)))


@router.post("/rules/preview", summary="See what other rules would have decided")
@allow(Group.VIEWER)
def show_preview(wanted: Wanted) -> Preview:
    """Judge the last inspections by other rules, beside the rules in force. Nothing is changed."""
    with refusals():
        to_text(wanted.document)
        proposed = validate(wanted.document)
    return _preview(_in_force(), proposed, rule_cases.read(wanted.last, wanted.line), wanted.line)


@router.post("/rules/proposal", summary="Let people's decisions propose rules")
@allow(Group.REVIEWER)
def show_proposal(wish: Wished) -> ProposedRules:
    """Propose the scores with which no more than the wanted share of bad parts passes. Nothing is changed."""
    versions = store().versions()
    document = versions[0].document
    if document is None or _in_force(versions[0]) is None:
        raise invalid_request(
            "The rules in force are not valid, so there is nothing to improve; replace them first."
        )
    found = rule_cases.read(wish.last, wish.line)
    names = {version.name for version in versions}
    proposal = propose(document, found.cases, Wish(wish.escape, wish.overkill, wish.line), names)
    return {
        "document": proposal.document,
        "by_label": proposal.by_label,
        "notes": proposal.notes,
        "preview": _preview(validate(document), validate(proposal.document), found, wish.line),
    }


def _preview(current: Rules | None, proposed: Rules, found: Cases, line: str | None) -> Preview:
    answer = preview(current, proposed, found.cases, line)
    notes = [*found.notes, *answer["notes"]]
    if current is None:
        notes.append("The rules in force are not valid, so the verdicts of the records stand for theirs.")
    return cast(Preview, answer | {"notes": notes})


def _in_force(version: RulesVersion | None = None) -> Rules | None:
    """Return the rules in force; None if they are not valid."""
    try:
        return (version or store().current()).rules()
    except RulesDocumentError:
        return None


def store() -> RulesStore:
    """Return the rules, as people change them."""
    return RulesStore(
        aws.ssm(), Settings.read().rules_parameter, aws.dynamodb(), Reviews.read().history_table
    )


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the rules refuse into the API's errors.

    Raises:
        ApiError: The rules are not valid, were changed meanwhile, or do not exist.
    """
    try:
        yield
    except RulesDocumentError as error:
        raise invalid_request(
            "The rules are not valid.", [plain(problem) for problem in error.problems]
        ) from None
    except StaleRulesError as error:
        raise conflict("stale_version", _sentence(error), [{"number": error.number}]) from None
    except UnknownVersionError as error:
        raise not_found(_sentence(error)) from None


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."


def _comment(text: str | None) -> str | None:
    return plain(text).strip() or None if text else None


def _shown(version: RulesVersion) -> RulesInForce:
    try:
        rules, notes = version.rules(), []
    except RulesDocumentError as error:
        rules = None
        notes = [f"The rules are not valid, so images wait: {plain(problem)}" for problem in error.problems]
    if rules and rules.candidate:
        notes.append(
            f"A swap is in progress: the answers of model {plain(rules.candidate.model)} are judged by its own scores."
        )
    return {
        "number": version.number,
        "version": version.name,
        "since": version.when,
        "document": version.document,
        "complete": complete(rules) if rules else None,
        "notes": notes,
    }


def _entry(version: RulesVersion, earlier: RulesVersion | None) -> Entry:
    changed = changes(earlier.document, version.document) if earlier else []
    return {
        "number": version.number,
        "version": version.name,
        "when": version.when,
        "by": version.by,
        "action": version.action,
        "comment": version.comment,
        "document": version.document,
        "changes": [change.document() for change in changed],
    }
