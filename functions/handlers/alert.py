"""DynamoDB stream → SNS: one alert for each image version that failed, and a picture of each not passed."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.inspections import Verdict
from handlers.environment import AlertEnvironment
from inspection import clients
from inspection.alerts import Alerts, is_due
from inspection.objects import Objects
from inspection.store import Inspections
from inspection.thumbnails import Thumbnails

_processor = BatchProcessor(event_type=EventType.DynamoDBStreams)


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Process a batch of stream records. The reply names the records that failed."""
    # Somebody may wait for an alert, and nobody for the picture of a review.
    records = sorted(event["Records"], key=_needs_no_alert)
    return process_partial_response(
        event={"Records": records}, record_handler=_process, processor=_processor, context=context
    )


def _needs_no_alert(record: dict[str, Any]) -> bool:
    verdict = record["dynamodb"].get("NewImage", {}).get("verdict", {})
    return bool(verdict != {"S": Verdict.FAIL})


def _process(record: DynamoDBRecord) -> None:
    image = record.dynamodb.new_image if record.dynamodb else None
    # The template's filter cannot tell whether `alert` is present, because `exists` works on leaf nodes only:
    # https://docs.aws.amazon.com/lambda/latest/dg/with-ddb-filtering.html
    if image and is_due(image):
        _alerts().process(image["image"], image["version_id"])


@functools.cache
def _alerts() -> Alerts:
    environment = AlertEnvironment.read()
    s3 = clients.s3()
    inspections = Inspections(clients.dynamodb(), environment.table_name)
    objects = Objects(s3, environment.max_image_bytes)
    return Alerts(
        inspections=inspections,
        objects=objects,
        s3=s3,
        sns=clients.sns(),
        topic_arn=environment.topic_arn,
        thumbnails=Thumbnails(
            objects, s3, inspections, environment.artefacts_bucket, environment.max_image_pixels
        ),
        artefacts_bucket=environment.artefacts_bucket,
        link_seconds=environment.picture_link_hours * 3600,
        max_pixels=environment.max_image_pixels,
    )
