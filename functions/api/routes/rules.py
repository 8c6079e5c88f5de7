"""The rules that turn detections into a verdict: read them, change them, and go back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from api import aws, cursors
from api.access import CurrentCaller, Group, allow
from api.errors import conflict, invalid_request, not_found
from api.settings import Reviews
from api.settings import Rules as Settings
from contract.changes import changes
from contract.text import plain
from inspection.rules_document import RulesDocumentError, complete
from inspection.rules_store import RulesStore, RulesVersion, StaleRulesError, UnknownVersionError

router = APIGatewayHttpRouter()

_Comment = Annotated[str | None, Field(max_length=1000)]
_Number = Annotated[int, Field(ge=1)]


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
