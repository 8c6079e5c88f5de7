"""DynamoDB stream → statistics and reviews: each new record is counted once, appears in the feed, and may be queued."""

import functools
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBStreamEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.environment import TrackEnvironment
from handlers.patience import patiently
from inspection import clients
from inspection.records import Record
from review.queue import ReviewQueue
from review.sampling import Sampling
from tracking.beginning import Beginning
from tracking.places import Places
from tracking.stream import Stream
from tracking.tracker import Tracker
from tracking.transactions import Transactions


@patiently
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch of stream records. The reply names those that the stream must deliver again."""
    changes = [record.dynamodb for record in DynamoDBStreamEvent(event).records if record.dynamodb]
    batch = [(str(change.sequence_number), change.new_image) for change in changes if change.new_image]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in _stream().process(batch)]}


@functools.cache
def _stream() -> Stream:
    environment = TrackEnvironment.read()
    statistics = clients.dynamodb_once(), environment.statistics_table
    sampling = Sampling(environment.review_pass_share, environment.review_fail_share)
    queue = ReviewQueue(clients.dynamodb(), environment.reviews_table)

    Beginning(*statistics).remember(datetime.now(UTC))

    def enqueue(record: Record) -> None:
        if selection := sampling.select(record):
            queue.enqueue(record, selection)

    tracker = Tracker(Transactions(*statistics), is_queued=lambda record: sampling.select(record) is not None)
    return Stream(Places(*statistics), enqueue, tracker)
