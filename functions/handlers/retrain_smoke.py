"""Step Functions → the smoke test of the live endpoint, on the golden set."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from inspection import clients
from inspection.detector import Detector
from retraining.documents import Documents
from retraining.settings import SmokeSettings
from retraining.smoke import SmokeTest


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return how many images agreed, and the model's version.

    Args:
        event: `report`, the S3 URI of the winner's evaluation.json.
        context: Lambda's context.
    """
    return _smoke_test().run(event["report"])


@functools.cache
def _smoke_test() -> SmokeTest:
    settings, s3 = SmokeSettings.read(), clients.s3()
    detector = Detector(clients.sagemaker_runtime(), clients.sagemaker(), settings.endpoint_name)
    return SmokeTest(Documents(s3, settings.artefacts_bucket), s3, detector)
