"""SQS → records: inspects each image that S3 announced. Only messages that failed return to the queue."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.endpoint import MAX_BODY_BYTES
from handlers import observability
from handlers.environment import InspectEnvironment
from inspection import clients
from inspection.detector import Detector
from inspection.inspector import Inspector
from inspection.objects import Objects
from inspection.queue import Queue
from inspection.resting import Resting, shifts_of
from inspection.rules_parameter import RulesParameter
from inspection.store import Inspections


@observability.logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Inspect the images of a batch of SQS messages. The reply is SQS's partial batch response."""
    outcome = _inspector().inspect(event["Records"], context.get_remaining_time_in_millis() / 1000)
    observability.publish(outcome)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in outcome.failed]}


@functools.cache
def _inspector() -> Inspector:
    environment = InspectEnvironment.read()
    detector = Detector(clients.sagemaker_runtime(), clients.sagemaker(), environment.endpoint_name)
    shifts = shifts_of(environment.endpoint_hours, environment.endpoint_timezone)
    return Inspector(
        objects=Objects(clients.s3(), environment.max_image_bytes, MAX_BODY_BYTES),
        detector=detector,
        rules=RulesParameter(clients.ssm(), environment.rules_parameter, environment.rules_cache_seconds),
        inspections=Inspections(clients.dynamodb(), environment.table_name),
        queue=Queue(clients.sqs(), environment.queue_url),
        resting=Resting(shifts, detector.is_serving),
        max_pixels=environment.max_image_pixels,
        max_receive_count=environment.max_receive_count,
        index_shards=environment.index_shards,
        retention_days=environment.record_retention_days,
    )
