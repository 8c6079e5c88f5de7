"""Step Functions → the plan of a run: what to train, under which names, or why there is nothing to do."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from inspection import clients
from retraining.documents import Documents
from retraining.plan import Planner
from retraining.settings import Settings


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """event: `request`, the execution's input, and `execution`, its ARN."""
    return _planner().plan(event["request"], event["execution"])


@functools.cache
def _planner() -> Planner:
    settings = Settings.read()
    documents = Documents(clients.s3(), settings.artefacts_bucket)
    return Planner(settings, documents, clients.sagemaker(), clients.states())
