"""Step Functions → the report of a run and its notice. After a promotion former models are deleted."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from inspection import clients
from retraining.documents import Documents
from retraining.report import Reporter, notice
from retraining.settings import ReportSettings


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Write the report.

    Args:
        event: `plan`, `candidates`, `gate`, `decision`, `reasons`, `package` and `rules`.
        context: Lambda's context.

    Returns:
        `result`, the output of the execution, and `notice`, its subject and message.
    """
    result = _reporter().finish(event)
    return {"result": result, "notice": notice(result)}


@functools.cache
def _reporter() -> Reporter:
    settings, s3 = ReportSettings.read(), clients.s3()
    documents = Documents(s3, settings.artefacts_bucket)
    return Reporter(
        documents,
        s3,
        clients.sagemaker(),
        settings.endpoint_name,
        settings.model_package_group,
        settings.kept_models,
    )
