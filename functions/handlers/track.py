"""DynamoDB stream → statistics table: each new record is counted exactly once, and appears in the feed."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBStreamEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.environment import TrackEnvironment
from inspection import clients
from tracking.places import Places
from tracking.stream import Stream
from tracking.tracker import Tracker
from tracking.transactions import Transactions


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch of stream records. The reply names those that the stream must deliver again."""
    changes = [record.dynamodb for record in DynamoDBStreamEvent(event).records if record.dynamodb]
    batch = [(str(change.sequence_number), change.new_image) for change in changes if change.new_image]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in _stream().process(batch)]}


@functools.cache
def _stream() -> Stream:
    environment = TrackEnvironment.read()
    client, table = clients.dynamodb_once(), environment.statistics_table
    return Stream(
        places=Places(client, table),
        tracker=Tracker(Transactions(client, table), is_queued=lambda record: False),
    )
