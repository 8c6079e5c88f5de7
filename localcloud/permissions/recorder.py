"""Records which statement of which role's policy allowed a call, so that tests can find what no call needs.

It records only if the variable LOUPE_LOCAL_CALLS names a folder: there each local cloud writes a file of JSON lines,
one for each new combination, so that it stays small and a killed cloud loses nothing.
"""

import json
import os
import threading
from pathlib import Path
from typing import Any

from ministack.core import iam_evaluator

FOLDER = "LOUPE_LOCAL_CALLS"

_lock = threading.Lock()
_known: set[str] = set()


def is_on() -> bool:
    """Return whether calls are recorded."""
    return bool(os.environ.get(FOLDER))


def record(context: Any, policies: list[list[Any]] | None, is_allowed: bool) -> None:
    """Record a decision of IAM about a call of a role.

    Args:
        context: MiniStack's EvalContext of the call.
        policies: The statements of the role's policies.
        is_allowed: The decision.
    """
    folder = os.environ.get(FOLDER)
    if not folder or context.principal_type != "AssumedRole":
        return
    entry = {
        "role": iam_evaluator._role_name_from_assumed_arn(context.principal_arn),
        "action": context.action,
    }
    if is_allowed:
        entry |= _grant(context, policies or [])
    else:
        entry |= {"denied": context.resource_arn}
    line = json.dumps(entry, sort_keys=True)
    with _lock:
        if line in _known:
            return
        _known.add(line)
        Path(folder).mkdir(parents=True, exist_ok=True)
        with (Path(folder) / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(line + "\n")


def _grant(context: Any, policies: list[list[Any]]) -> dict[str, Any]:
    """Return the statement that allows the call, by its Sid, and which of its resources."""
    for statements in policies:
        statement = iam_evaluator._first_match(context, statements, "Allow")
        if statement is not None:
            number = next(
                number
                for number, pattern in enumerate(statement.resources)
                if iam_evaluator.fnmatch_iam_cs(context.resource_arn, pattern)
            )
            return {"sid": statement.sid, "resource": number}
    # The resource's own policy allows it.
    return {"sid": "", "resource": 0}
