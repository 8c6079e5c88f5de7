"""Step Functions → a question to a person. The answer uses the task's token."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from inspection import clients
from retraining.approval import Approval
from retraining.documents import Documents
from retraining.settings import NoticeSettings


def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Ask a person to approve a candidate.

    Args:
        event: `token`, `run`, `package`, `winner` and `reasons`.
        context: Lambda's context.
    """
    _approval().ask(event)


@functools.cache
def _approval() -> Approval:
    settings, s3 = NoticeSettings.read(), clients.s3()
    return Approval(Documents(s3, settings.artefacts_bucket), s3, clients.sns(), settings.topic_arn)
