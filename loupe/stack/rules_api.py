"""The rules by the stack's API, which knows people: change them, and see who did; preview and propose them."""

from __future__ import annotations

from dataclasses import replace

from botocore.exceptions import ClientError

from loupe.errors import LoupeError
from loupe.stack import api, rules
from loupe.stack.rules import LEFT, Document, RulesVersion
from loupe.stack.target import Target

_PAGE = 50  # versions of the history that the API answers at once


def signed(target: Target, versions: list[RulesVersion]) -> list[RulesVersion]:
    """Return versions with the people who made them, as far as the stack's API knows.

    SSM knows AWS identities only, and that of the API's function stands for everybody who uses the dashboard.

    Args:
        target: The stack.
        versions: Of the parameter, newest first.
    """
    if not versions or not has_api(target):
        return versions
    try:
        made = _made(target, versions[-1].number)
    except (LoupeError, ClientError):
        # Who may read the parameter sees the rules also without the API.
        return versions
    return [_signed(version, made.get(version.number, {})) for version in versions]


def _made(target: Target, oldest: int) -> dict[int, Document]:
    """Return the API's entries by the number of their version, at least back to `oldest`, if it has them."""
    made: dict[int, Document] = {}
    cursor = None
    while True:
        page = api.call(target, "GET", "/rules/history", {"limit": _PAGE, "cursor": cursor})
        made |= {entry["number"]: entry for entry in page["items"]}
        cursor = page["next"]
        if cursor is None or min(made) <= oldest:
            return made


def _signed(version: RulesVersion, entry: Document) -> RulesVersion:
    if entry.get("action") is None:
        return version
    return replace(version, who=entry["by"] or version.who, comment=entry["comment"] or "")


def has_api(target: Target) -> bool:
    """Return whether the stack has the API; one that was deployed by an earlier release has not."""
    return "ApiFunctionName" in target.outputs


def change(target: Target, document: Document, base: RulesVersion, comment: str | None = None) -> int:
    """Put a person's document into force by the API, which keeps who has changed what.

    Args:
        target: The stack.
        document: The rules.
        base: The version that was in force when the document was made.
        comment: What the person says about it.

    Returns:
        The number of the parameter's new version.

    Raises:
        LoupeError: Somebody else has changed the rules.
    """
    if has_api(target):
        body = {"document": document, "number": base.number, "comment": comment}
        return _changed(target, "PUT", "/rules", body)
    _refuse_comment(comment)
    return rules.put(target, document, base)


def roll_back(
    target: Target, to: int, document: Document, base: RulesVersion, comment: str | None = None
) -> int:
    """Put the rules of an earlier version into force again. Args, Returns and Raises as `change`.

    Args:
        target: The stack.
        to: The earlier version.
        document: Its rules, under their new name.
        base: The version that was in force when the document was made.
        comment: What the person says about it.
    """
    if has_api(target):
        body = {"to": to, "number": base.number, "comment": comment}
        return _changed(target, "POST", "/rules/rollback", body)
    _refuse_comment(comment)
    return rules.put(target, document, base)


def _changed(target: Target, method: str, path: str, body: Document) -> int:
    try:
        number: int = api.call(target, method, path, body=body)["number"]
    except api.ApiError as error:
        if error.code != "stale_version":
            raise
        raise LoupeError(error.message, LEFT) from error
    return number


def _refuse_comment(comment: str | None) -> None:
    if comment:
        raise LoupeError(
            "this stack has no API yet, which keeps comments",
            "Deploy template.yaml again, or leave --comment out.",
        )


def preview(target: Target, document: Document, last: int, line: str | None) -> Document:
    """Return what other rules would have decided about the newest inspections. Nothing is changed.

    Args:
        target: The stack.
        document: The rules.
        last: How many inspections.
        line: Only of this line; None for all.
    """
    body = {"document": document, "last": last, "line": line}
    answer: Document = api.call(target, "POST", "/rules/preview", body=body)
    return answer


def propose(target: Target, escape: float, overkill: float | None, last: int, line: str | None) -> Document:
    """Return the rules that people's decisions speak for. Nothing is changed.

    Args:
        target: The stack.
        escape: The share of the bad parts of a class that may pass.
        overkill: The share of the good parts that may fail for a class; None for as many as is best.
        last: From how many of the newest inspections.
        line: Only of this line; None for all.
    """
    body = {"escape": escape, "overkill": overkill, "last": last, "line": line}
    answer: Document = api.call(target, "POST", "/rules/proposal", body=body)
    return answer
