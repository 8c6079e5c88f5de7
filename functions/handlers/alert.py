"""DynamoDB stream → SNS: one alert for each image version that failed, and a picture of each not passed."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBStreamEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.environment import AlertEnvironment
from handlers.patience import patiently
from inspection import clients
from inspection.alerts import Alerts
from inspection.objects import Objects
from inspection.store import Inspections
from inspection.thumbnails import Thumbnails


@patiently
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch of stream records. The reply names those that the stream must deliver again."""
    changes = [record.dynamodb for record in DynamoDBStreamEvent(event).records if record.dynamodb]
    batch = [(str(change.sequence_number), change.new_image) for change in changes if change.new_image]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in _alerts().process_batch(batch)]}


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
