"""Step Functions → the plan of a run: what to train, or why there is nothing to do."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from hours.memory import Memory
from inspection import clients
from retraining.documents import Documents
from retraining.plan import Planner
from retraining.settings import Settings


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the plan.

    Args:
        event: `request`, the input of the execution, and `execution`, its ARN.
        context: Lambda's context.
    """
    return _planner().plan(event["request"], event["execution"])


@functools.cache
def _planner() -> Planner:
    settings = Settings.read()
    documents = Documents(clients.s3(), settings.artefacts_bucket)
    memory = Memory(clients.ssm(), settings.hours_parameter)
    return Planner(
        settings,
        documents,
        clients.sagemaker(),
        clients.states(),
        remembered=lambda: memory.read().resting,
    )
