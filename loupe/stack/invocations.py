"""Asks a function of the stack by invoking it, as an administrator may."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from loupe.errors import LoupeError
from loupe.stack.target import Target


def ask(target: Target, output: str, asked: Mapping[str, Any], failure: str, hint: str) -> dict[str, Any]:
    """Return a function's answer.

    Args:
        target: The stack.
        output: The stack's output with the function's name.
        asked: The event.
        failure: What the user is told if the function fails; its own words follow.
        hint: What to do then.

    Raises:
        LoupeError: The function has failed.
    """
    reply = target.functions.invoke(FunctionName=target.output(output), Payload=json.dumps(asked).encode())
    answer: dict[str, Any] = json.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise LoupeError(f"{failure}: {answer.get('errorMessage', 'no reason given')}", hint)
    return answer
