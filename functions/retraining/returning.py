"""The plan of a run that trains nothing: a registered version serves again."""

from __future__ import annotations

import hashlib
from typing import Any

from retraining.champion import Champion
from retraining.errors import InvalidRequestError
from retraining.registry import Version, version_of

_HASH_DIGITS = 12


def plan(
    number: int, newest_first: list[Version], serving: Champion | None, execution: str
) -> dict[str, Any]:
    """Return the plan for the state machine, which swaps to the version as it swaps to a new model.

    Args:
        number: The version.
        newest_first: All versions.
        serving: The model that serves now.
        execution: The ARN of the execution.

    Returns:
        The plan. Its `status` is `serve`, or `nothing_new` if the version serves already.

    Raises:
        InvalidRequestError: There is no such version, it may not serve, or there is no endpoint to change.
    """
    version = _approved(number, newest_first)
    if serving is None:
        raise InvalidRequestError(
            "no endpoint is in service, so there is none to change: see it in SageMaker"
        )
    if version_of(serving, newest_first) is version:
        reason = f"version {number} serves already"
        result = {"status": "SUCCEEDED", "decision": "nothing_new", "reasons": [reason]}
        return {"status": "nothing_new", "result": result}
    metadata = version.metadata
    return {
        "status": "serve",
        "run": hashlib.sha256(execution.encode()).hexdigest()[:_HASH_DIGITS],
        "champion": serving.document(),
        "snapshot": {"dataset": metadata.get("dataset", "unknown"), "id": metadata.get("snapshot")},
        "inputs": "unknown",  # no record of the version says so
        "package": version.arn,
        "winner": {
            "id": f"version {number}",
            "family": metadata.get("family", "unknown"),
            "dataset": metadata.get("dataset", "unknown"),
            "name": metadata.get("job", ""),
            "artefact": version.artefact,
            "report": version.evaluation,
        },
        "reasons": [f"version {number} was asked to serve again"],
    }


def _approved(number: int, newest_first: list[Version]) -> Version:
    for version in newest_first:
        if version.number != number:
            continue
        if version.approval != "Approved":
            raise InvalidRequestError(
                f"version {number} is {version.approval}: only an approved one may serve"
            )
        if version.evaluation is None:
            raise InvalidRequestError(
                f"no run has recorded how version {number} was evaluated, so it cannot be proven live: "
                f"use `loupe rollback {number}`"
            )
        return version
    numbers = ", ".join(str(version.number) for version in newest_first) or "none"
    raise InvalidRequestError(f"there is no version {number}; registered versions: {numbers}")
