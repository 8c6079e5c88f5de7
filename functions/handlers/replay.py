"""`loupe replay`, or its queue → images that are judged again."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.endpoint import MAX_BODY_BYTES
from handlers import observability
from handlers.environment import ReplayEnvironment
from inspection import clients
from inspection.detector import Detector
from inspection.index_reading import Table
from inspection.objects import Objects
from inspection.queue import Queue
from inspection.resting import Resting, shifts_of
from inspection.rules_parameter import RulesParameter
from inspection.search import Search
from inspection.store import Inspections
from replay.announcing import Announcer
from replay.replayer import Replayer
from replay.requests import answer
from replay.runs import Runs
from replay.writing import Writer
from review.history import History
from review.queue import ReviewQueue
from review.sampling import Sampling
from tracking.activity import CountedActivity
from tracking.beginning import Beginning
from tracking.places import Places
from tracking.statistics import Statistics
from tracking.transactions import Transactions


@observability.logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Judge the images of a batch of messages again, or answer a request of the command."""
    seconds_left = context.get_remaining_time_in_millis() / 1000
    if "Records" not in event:
        return answer(_announcer(), event, seconds_left)
    outcome = _replayer().inspect(event["Records"], seconds_left)
    observability.publish(outcome)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in outcome.failed]}


@functools.cache
def _announcer() -> Announcer:
    environment = ReplayEnvironment.read()
    counters = clients.dynamodb(), environment.statistics_table
    activity = CountedActivity(Places(*counters), Statistics(*counters))
    return Announcer(
        search=Search(Table(clients.dynamodb(), environment.table_name), environment.index_shards, activity),
        runs=Runs(*counters),
        client=clients.sqs(),
        queue_url=environment.queue_url,
        region=environment.aws_region,
    )


@functools.cache
def _replayer() -> Replayer:
    environment = ReplayEnvironment.read()
    detector = Detector(clients.sagemaker_runtime(), clients.sagemaker(), environment.endpoint_name)
    shifts = shifts_of(environment.endpoint_hours, environment.endpoint_timezone)
    inspections = Inspections(clients.dynamodb(), environment.table_name)
    return Replayer(
        objects=Objects(clients.s3(), environment.max_image_bytes, MAX_BODY_BYTES),
        detector=detector,
        rules=RulesParameter(clients.ssm(), environment.rules_parameter, environment.rules_cache_seconds),
        inspections=inspections,
        queue=Queue(clients.sqs(), environment.queue_url),
        resting=Resting(shifts, detector.is_serving),
        max_pixels=environment.max_image_pixels,
        max_receive_count=environment.max_receive_count,
        index_shards=environment.index_shards,
        retention_days=environment.record_retention_days,
        writer=_writer(environment, inspections),
    )


def _writer(environment: ReplayEnvironment, inspections: Inspections) -> Writer:
    dynamodb, once = clients.dynamodb(), clients.dynamodb_once()
    return Writer(
        inspections=inspections,
        inspections_table=environment.table_name,
        statistics_table=environment.statistics_table,
        runs=Runs(dynamodb, environment.statistics_table),
        queue=ReviewQueue(dynamodb, environment.reviews_table),
        sampling=Sampling(environment.review_pass_share, environment.review_fail_share),
        history=History(dynamodb, environment.history_table),
        beginning=Beginning(dynamodb, environment.statistics_table),
        transactions=Transactions(once, environment.statistics_table),
    )
