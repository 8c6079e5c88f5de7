"""Step Functions → the gate: which candidate replaces the champion, if any, and why."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from inspection import clients
from retraining.documents import Documents
from retraining.gate import Gate
from retraining.settings import GateSettings


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the decision.

    Args:
        event: `candidates` and `champion`, as the state machine has them.
        context: Lambda's context.
    """
    return _gate().decide(event["candidates"], event["champion"])


@functools.cache
def _gate() -> Gate:
    settings = GateSettings.read()
    return Gate(Documents(clients.s3(), settings.artefacts_bucket), settings.bounds)
