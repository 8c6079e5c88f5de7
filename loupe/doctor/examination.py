"""Runs checks at the same time. A check that cannot run says why, and hides nothing that the others find."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from botocore.exceptions import ClientError

_Patient = TypeVar("_Patient")

_PARALLEL = 16
_DENIED = re.compile(r"not authorized to perform:? (\S+)")
_DENIED_CODES = (
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "AuthorizationError",
    "403",
)


class Result(StrEnum):
    """What a check found; `NOT_RUN` if it could not look."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Finding:
    """What a check says.

    Attributes:
        result: How bad it is.
        text: What it found, in one sentence.
        command: What mends it; empty if nothing needs to be mended.
        check: The check's name.
    """

    result: Result
    text: str
    command: str = ""
    check: str = ""


Check = Callable[[_Patient], Iterator[Finding]]


def ok(text: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(Result.OK, text)


def warning(text: str, command: str = "") -> Finding:
    """Return that something will become a problem, or may be one."""
    return Finding(Result.WARNING, text, command)


def problem(text: str, command: str = "") -> Finding:
    """Return that something is broken."""
    return Finding(Result.PROBLEM, text, command)


def examine(checks: Iterable[Check[_Patient]], patient: _Patient) -> list[Finding]:
    """Run checks, and return what they found, in their order.

    Args:
        checks: The checks; a check's name is that of its function.
        patient: What they look at.
    """
    with ThreadPoolExecutor(_PARALLEL) as pool:
        return [
            finding
            for findings in pool.map(lambda check: _run(check, patient), checks)
            for finding in findings
        ]


def _run(check: Check[Any], patient: Any) -> list[Finding]:
    name = check.__name__.replace("_", " ")
    found: list[Finding] = []
    try:
        # What a check found before it failed is kept.
        for finding in check(patient):
            found.append(finding)  # noqa: PERF402
    except ClientError as error:
        found.append(Finding(Result.NOT_RUN, _refusal(error)))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other checks' findings must be shown
        found.append(Finding(Result.NOT_RUN, f"could not run: {error or type(error).__name__}"))
    return [Finding(finding.result, finding.text, finding.command, name) for finding in found]


def _refusal(error: ClientError) -> str:
    message = error.response["Error"].get("Message", "")
    if denied := _DENIED.search(message):
        return f"could not run: you may not call {denied[1]}"
    if error.response["Error"]["Code"] in _DENIED_CODES:
        return f"could not run: you may not call {error.operation_name}"
    return f"could not run: {error}"
