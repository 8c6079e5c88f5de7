"""Step Functions' errors that always end the execution: no Retry and no Catch matches them, as on AWS.

https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html: States.ALL "can't catch the
States.DataLimitExceeded terminal error or Runtime error types". MiniStack lets States.ALL catch everything, and has no
limit for data.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

from ministack.services import stepfunctions

_TERMINAL = ("States.Runtime", "States.DataLimitExceeded")
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
_MAX_DATA_BYTES = 262_144
_STATES = ("pass", "task", "parallel", "map")


def apply() -> None:
    """Patch MiniStack."""
    matches = stepfunctions._error_matches
    stepfunctions._error_matches = lambda error_equals, error: (
        error not in _TERMINAL and matches(error_equals, error)
    )
    for kind in _STATES:
        name = f"_execute_{kind}"
        setattr(stepfunctions, name, _limited(getattr(stepfunctions, name), kind))


def _limited(execute: Callable[..., Any], kind: str) -> Callable[..., Any]:
    """Return a state's function that fails if the state's output is too large."""

    @functools.wraps(execute)
    def execute_within_limit(state: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        output, following = execute(state, *arguments, **options)
        if len(json.dumps(output, ensure_ascii=False).encode()) > _MAX_DATA_BYTES:
            subject = state.get("Resource", f"state of type {kind.capitalize()}")
            raise stepfunctions._ExecutionError(
                "States.DataLimitExceeded",
                f"The state/task '{subject}' returned a result with a size exceeding the maximum number of "
                "bytes service limit.",
            )
        return output, following

    return execute_within_limit
