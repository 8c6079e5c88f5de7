"""DynamoDB stream → SNS: one alert for each image version with the verdict `fail`."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.environment import AlertEnvironment
from inspection import clients
from inspection.alerts import Alerts
from inspection.objects import Objects
from inspection.store import Inspections

_processor = BatchProcessor(event_type=EventType.DynamoDBStreams)


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Send the alerts for a batch of stream records. The reply names the records that failed."""
    return process_partial_response(event=event, record_handler=_alert, processor=_processor, context=context)


def _alert(record: DynamoDBRecord) -> None:
    image = record.dynamodb.new_image if record.dynamodb else None
    # The template's filter passes failed inspections only. It cannot tell whether `alert` is present, because
    # `exists` works on leaf nodes only: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb-filtering.html
    if image and image.get("verdict") == "fail" and "alert" not in image:
        _alerts().send(image["image"], image["version_id"])


@functools.cache
def _alerts() -> Alerts:
    environment = AlertEnvironment.read()
    s3 = clients.s3()
    return Alerts(
        inspections=Inspections(clients.dynamodb(), environment.table_name),
        objects=Objects(s3, environment.max_image_bytes),
        s3=s3,
        sns=clients.sns(),
        topic_arn=environment.topic_arn,
        artefacts_bucket=environment.artefacts_bucket,
        link_seconds=environment.picture_link_hours * 3600,
        max_pixels=environment.max_image_pixels,
    )
