"""Step Functions' event about an execution that failed → a notice, if the execution itself could send none."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from inspection import clients
from retraining.aftermath import Aftermath
from retraining.settings import AftermathSettings


def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Clear up after the execution.

    Args:
        event: EventBridge's "Step Functions Execution Status Change".
        context: Lambda's context.
    """
    _aftermath().clear(event["detail"]["executionArn"])


@functools.cache
def _aftermath() -> Aftermath:
    settings = AftermathSettings.read()
    return Aftermath(
        clients.states(), clients.sagemaker(), clients.sns(), settings.topic_arn, settings.name_prefix
    )
