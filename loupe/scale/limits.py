"""What bounds a stack: each limit says which share of it a load uses, and what lifts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from loupe.cost.usage import calls
from loupe.scale.load import Load, Stack
from loupe.scale.partitions import (
    Batches,
    feed_reads,
    feed_writes,
    line_index_writes,
    places_writes,
    queue_writes,
    record_writes,
    stream_shards,
    verdict_index_writes,
)
from loupe.scale.quotas import assumed, value

Part = Literal["verdicts", "alerts", "statistics", "dashboard", "lost images"]
By = Literal["setting", "template", "quota", "stacks", "nothing"]
_SECONDS_OF_A_DAY = 86_400
_LONGEST_RUN = 900  # seconds: the reconcile function's timeout
_SPLIT = "several stacks, each with some of the lines"


@dataclass(frozen=True, slots=True)
class Limit:
    """Something of which there is only so much.

    Attributes:
        name: Stable, for programs.
        part: What suffers.
        title: For people.
        use: Returns the share that a load uses; above 1 it is exceeded.
        by: What lifts it: a template parameter, an edit of the template, AWS on request, more stacks, or nothing.
        lift: How.
        quota: The quota that it is; empty if the bound is the stack's own.
    """

    name: str
    part: Part
    title: str
    use: Callable[[Load, Stack], float]
    by: By
    lift: str
    quota: str = ""


def _of_a_line(load: Load) -> float:
    return load.rate / load.lines


def _track_seconds(load: Load, stack: Stack) -> float:
    """Return the seconds a second for which the counting function runs on the busiest shard."""
    batches = Batches.of(load, stack)
    queued = batches.records * stack.queued(load) * assumed("queued_ms")
    writing = (batches.transactions - 1) * assumed("transaction_ms")
    return batches.each / stream_shards(load) * (stack.track_ms + writing + queued) / 1000


def _alert_batches(load: Load, stack: Stack) -> float:
    """Return how many batches of alerts run at the same time on average."""
    return load.rate * load.marked * stack.alert_ms / 1000


def _concurrency(load: Load, stack: Stack) -> float:
    """Return how many functions run at the same time on average, those of the API included."""
    api = load.dashboards * calls()["dashboard"]["requests_per_hour"] / 3600
    track = _track_seconds(load, stack) * stream_shards(load)
    asking = float(api * calls()["milliseconds"]["api"]) / 1000
    return stack.batches(load) + _alert_batches(load, stack) + track + asking


def compare_seconds(load: Load, stack: Stack) -> float:
    """Return how long a comparison of all stored images with the table takes."""
    rule = calls()["reconciliation"]
    stored = load.rate * _SECONDS_OF_A_DAY * stack.image_days
    return float(stored / rule["images_per_list"] * rule["milliseconds_per_list"] / 1000)


def _compared(load: Load, stack: Stack) -> float:
    if not stack.compared_a_day:
        return 0.0
    return compare_seconds(load, stack) / (_LONGEST_RUN * stack.compared_a_day)


LIMITS: tuple[Limit, ...] = (
    Limit(
        "s3_put", "verdicts", "uploads under one key prefix",
        lambda load, _: _of_a_line(load) / value("s3.put"),
        "stacks", "more lines, or another folder in the key: each is a prefix of its own", "s3.put",
    ),
    Limit(
        "s3_get", "verdicts", "downloads under one key prefix",
        lambda load, _: _of_a_line(load) * (1 + load.marked) / value("s3.get"),
        "stacks", "more lines, or another folder in the key: each is a prefix of its own", "s3.get",
    ),
    Limit(
        "in_flight", "verdicts", "messages in flight",
        lambda load, stack: stack.batches(load) * stack.batch / value("sqs.in-flight"),
        "quota", "ask AWS for more", "sqs.in-flight",
    ),
    Limit(
        "inspect_concurrency", "verdicts", "batches inspected at once",
        lambda load, stack: stack.batches(load) / stack.concurrency,
        "setting", "InspectConcurrency",
    ),
    Limit(
        "queue_batches", "verdicts", "the most that MaximumConcurrency takes",
        lambda load, stack: stack.batches(load) / value("lambda.sqs-batches"),
        "template", "provisioned pollers (ProvisionedPollerConfig) instead of MaximumConcurrency", "lambda.sqs-batches",
    ),
    Limit(
        "lambda_account", "verdicts", "functions that run at once",
        lambda load, stack: _concurrency(load, stack) / value("lambda.concurrency"),
        "quota", "ask AWS for more concurrent executions", "lambda.concurrency",
    ),
    Limit(
        "rules_reads", "verdicts", "reads of the rules",
        lambda load, stack: stack.batches(load) / stack.rules_seconds / value("ssm.get"),
        "setting", "RulesCacheSeconds, or higher throughput of the parameter store", "ssm.get",
    ),
    Limit(
        "endpoint_instances", "verdicts", "instances of the endpoint",
        lambda load, stack: load.rate / (stack.per_instance * stack.max_instances),
        "setting", "EndpointMaxInstances; the account's quota for the type; a faster instance or model",
    ),
    Limit(
        "table_writes", "verdicts", "writes of the inspections table",
        lambda load, _: record_writes(load) / value("dynamodb.table-writes"),
        "quota", "ask AWS for more", "dynamodb.table-writes",
    ),
    Limit(
        "new_table_writes", "verdicts", "writes of a table on its first day",
        lambda load, _: record_writes(load) / value("dynamodb.new-table-writes"),
        "template", "begin with less, and double; or WarmThroughput", "dynamodb.new-table-writes",
    ),
    Limit(
        "line_index", "verdicts", "writes of a line's index partition",
        lambda load, stack: line_index_writes(load, stack) / value("dynamodb.partition-writes"),
        "setting", "IndexShards", "dynamodb.partition-writes",
    ),
    Limit(
        "verdict_index", "verdicts", "writes of a verdict's index partition",
        lambda load, stack: verdict_index_writes(load, stack) / value("dynamodb.partition-writes"),
        "setting", "IndexShards", "dynamodb.partition-writes",
    ),
    Limit(
        "logs", "verdicts", "lines of logs",
        lambda load, stack: _concurrency(load, stack) / value("logs.put"),
        "quota", "ask AWS for more", "logs.put",
    ),
    Limit(
        "alert_shards", "alerts", "alerts drawn at once",
        lambda load, stack: _alert_batches(load, stack) / (stream_shards(load) * stack.alert_parallel),
        "template", "AlertFunction's ParallelizationFactor, up to 10",
    ),
    Limit(
        "sns_publish", "alerts", "alerts published",
        lambda load, _: load.rate * load.failing / value("sns.publish", load.region),
        "quota", "ask AWS for more", "sns.publish",
    ),
    Limit(
        "sns_email", "alerts", "e-mails to one address",
        lambda load, _: load.rate * load.failing / value("sns.email"),
        "nothing", "subscribe a queue or a function instead of an address (AlertEmail)", "sns.email",
    ),
    Limit(
        "kms", "alerts", "requests for the topics' key",
        lambda load, _: load.rate * load.failing * calls()["keys"]["requests_per_alert"] / value("kms.requests"),
        "quota", "ask AWS for more", "kms.requests",
    ),
    Limit(
        "track_shards", "statistics", "batches counted at once",
        lambda load, stack: _track_seconds(load, stack) / stack.track_parallel,
        "template", "TrackFunction's ParallelizationFactor, up to 10",
    ),
    Limit(
        "feed", "statistics", "writes of a line's feed",
        lambda load, _: feed_writes(load) / value("dynamodb.partition-writes"),
        "stacks", "more lines: the feed has a partition for each", "dynamodb.partition-writes",
    ),
    Limit(
        "counters", "statistics", "writes of a day's counters",
        lambda load, stack: Batches.of(load, stack).counter_writes / value("dynamodb.partition-writes"),
        "template", f"TrackFunction's BatchSize and MaximumBatchingWindowInSeconds; {_SPLIT}",
        "dynamodb.partition-writes",
    ),
    Limit(
        "counter_conflicts", "statistics", "transactions on a station's counter",
        lambda load, stack: Batches.of(load, stack).visits(load.places) * assumed("transaction_ms") / 1000,
        "template", f"TrackFunction's BatchSize and MaximumBatchingWindowInSeconds; {_SPLIT}",
    ),
    Limit(
        "review_queue", "statistics", "writes of a line's review queue",
        lambda load, stack: queue_writes(load, stack) / value("dynamodb.partition-writes"),
        "setting", "ReviewPassShare and ReviewFailShare; more lines", "dynamodb.partition-writes",
    ),
    Limit(
        "places", "statistics", "writes of the list of stations",
        lambda load, _: places_writes(load) / value("dynamodb.partition-writes"),
        "stacks", _SPLIT, "dynamodb.partition-writes",
    ),
    Limit(
        "api", "dashboard", "requests of open pages",
        lambda load, stack: load.dashboards * calls()["dashboard"]["requests_per_hour"] / 3600 / stack.api_requests,
        "template", "ThrottlingRateLimit of ApiStage", "api.requests",
    ),
    Limit(
        "feed_reads", "dashboard", "reads of a line's feed",
        lambda load, _: feed_reads(load) / value("dynamodb.partition-reads"),
        "stacks", "fewer open pages; more lines", "dynamodb.partition-reads",
    ),
    Limit(
        "comparison", "lost images", "the daily search for images without a record",
        _compared,
        "setting", "ReconcileSchedule; shorter ImageRetentionDays",
    ),
)  # fmt: skip
