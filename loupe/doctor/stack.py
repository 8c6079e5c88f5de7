"""Checks of a stack, on AWS and in the local cloud: what serves, what waits, what failed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError

from contract.text import plain
from loupe.doctor.examination import Check, Finding, ok, problem, warning
from loupe.doctor.patient import Patient
from loupe.errors import LoupeError
from loupe.stack import endpoint as stack_endpoint
from loupe.stack import hours, log_groups, queues, rules
from loupe.stack.alarms import alarms as stack_alarms
from loupe.stack.runs import runs

_FAILED = ("FAILED", "TIMED_OUT", "ABORTED")
_BROKEN_ENDPOINT = ("Failed", "OutOfService", "UpdateRollbackFailed")
_DENIED = "not authorized to perform"
_SINCE = timedelta(hours=1)
_MOST_CHARACTERS = 300
# The outputs with the queues' addresses, and what a message in each means.
_FAILURE_QUEUES = {
    "DeadLetterQueueUrl": "images could not be processed",
    "AlertFailureQueueUrl": "alerts or pictures could not be made",
    "TrackFailureQueueUrl": "inspections could not be counted",
}


def stack(patient: Patient) -> Iterator[Finding]:
    """CloudFormation has the stack in a state in which it can be used and updated."""
    status, reason = patient.description["StackStatus"], patient.description.get("StackStatusReason", "")
    text = f"{patient.target.name} is {status}" + (f": {_short(reason)}" if reason else "")
    again = patient.update
    if status == "UPDATE_ROLLBACK_COMPLETE":
        yield warning(f"the last update was rolled back: {text}", again)
    elif "ROLLBACK" in status or status.endswith("_FAILED"):
        yield problem(text, again)
    elif status.endswith("_IN_PROGRESS"):
        yield warning(f"{text}; it is being changed", f"loupe cloud status{patient.cloud_options}")
    else:
        yield ok(text)


def endpoint(patient: Patient) -> Iterator[Finding]:
    """The endpoint serves a model."""
    found = stack_endpoint.describe(patient.target)
    if found is None:
        if resting := hours.rest(patient.target):
            yield ok(resting.text)
        else:
            yield problem("there is no endpoint, so images wait", f"loupe deploy MODEL{patient.options}")
    elif found.status in _BROKEN_ENDPOINT:
        reason = _short(found.endpoint.get("FailureReason", "no reason given"))
        yield problem(f"{found.status}: {reason}", f"loupe logs endpoint --since 1d{patient.options}")
    elif found.status != "InService":
        yield warning(f"{found.status}; it serves {found.model_name}", f"loupe status{patient.options}")
    else:
        yield ok(f"in service with {found.model_name}")


def waiting_images(patient: Patient) -> Iterator[Finding]:
    """Images are inspected as they arrive."""
    messages = queues.count(patient.target, "QueueUrl")
    oldest = _oldest_seconds(patient)
    limit = float(patient.parameters.get("OldestMessageAlarmSeconds") or 600)
    text = f"{sum(messages)} images wait" if sum(messages) else "no image waits"
    if oldest > limit:
        yield problem(f"{text}, the oldest for {oldest:.0f} seconds", f"loupe status{patient.options}")
    elif messages.delayed:
        yield warning(
            f"{text}, {messages.delayed} of them until an endpoint serves and the rules are valid",
            f"loupe logs inspect --errors{patient.options}",
        )
    else:
        yield ok(text)


def _oldest_seconds(patient: Patient) -> float:
    now = datetime.now(UTC)
    answer = patient.target.cloudwatch.get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": patient.target.output("QueueUrl").rpartition("/")[2]}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now,
        Period=60,
        Statistics=["Maximum"],
    )
    points = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
    return float(points[-1]["Maximum"]) if points else 0.0


def failed_messages(patient: Patient) -> Iterator[Finding]:
    """No message was given up."""
    found = False
    for output, what in _FAILURE_QUEUES.items():
        if output in patient.target.outputs and (number := sum(queues.count(patient.target, output))):
            found = True
            yield problem(f"{number} {what}", f"loupe dlq{patient.options}")
    if not found:
        yield ok("the dead-letter queue and the queues of failures are empty")


def alarms(patient: Patient) -> Iterator[Finding]:
    """No alarm is on."""
    found = stack_alarms(patient.target)
    raised = [alarm for alarm in found if alarm.state == "ALARM"]
    for alarm in raised:
        since = f"{alarm.since.astimezone():%Y-%m-%d %H:%M}"
        yield problem(f"{alarm.name} since {since}: {_short(alarm.reason)}", _runbook(alarm.name))
    if not found:
        yield warning("the stack has no alarms", patient.update)
    elif not raised:
        yield ok(f"none of {len(found)} is on")


def _runbook(alarm: str) -> str:
    """Return where the runbook of an alarm is."""
    return f"docs/runbooks.md#{alarm.lower()}"


def verdict_rules(patient: Patient) -> Iterator[Finding]:
    """The rules in force are valid; with others every image waits."""
    current = rules.history(patient.target)[0]
    try:
        rules.check(current.text)
    except LoupeError as error:
        yield problem(
            f"version {current.number}: {_short(str(error))}", f"loupe rules history{patient.options}"
        )
    else:
        yield ok(f"version {current.number} is valid")


def denied_calls(patient: Patient) -> Iterator[Finding]:
    """No function lacks a permission."""
    since = int((datetime.now(UTC) - _SINCE).timestamp() * 1000)
    denied: set[str] = set()
    for group in patient.log_groups:
        pages = patient.target.logs.get_paginator("filter_log_events").paginate(
            logGroupName=group,
            startTime=since,
            filterPattern=f'"{_DENIED}"',
            PaginationConfig={"MaxItems": 20},
        )
        try:
            denied |= {_action(event["message"]) for page in pages for event in page["events"]}
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
    if denied:
        names = ", ".join(sorted(denied))
        yield problem(
            f"in the last hour a function was denied {names}",
            f"loupe logs --errors --since 1h{patient.options}",
        )
    else:
        yield ok("none in the last hour")


def _action(message: str) -> str:
    words = message.partition(_DENIED)[2].lstrip(": ").split()
    return plain(words[0]) if words else "a call"


def retraining(patient: Patient) -> Iterator[Finding]:
    """The last retraining did what it was asked for."""
    last = next((run for run in runs(patient.target, 5) if run.status != "RUNNING"), None)
    if last is None:
        yield ok("no retraining has ended yet")
    elif last.status in _FAILED:
        when = f"{last.started.astimezone():%Y-%m-%d %H:%M}"
        name = last.run or last.execution.rpartition(":")[2]
        yield problem(
            f"{name} of {when} {last.status.lower().replace('_', ' ')}: {_short(last.why or 'no reason given')}",
            f"loupe logs training processing --errors --since 7d{patient.options}",
        )
    else:
        yield ok(f"the last run ended: {last.decision or last.status.lower()}")


def scheduled_retraining(patient: Patient) -> Iterator[Finding]:
    """A retraining that is scheduled has its container images."""
    by_time, by_labels = (
        patient.parameters.get("RetrainSchedule"),
        patient.parameters.get("NewLabelsForRetraining", "0"),
    )
    missing = [name for name in ("TrainingImageUri", "ServingImageUri") if not patient.parameters.get(name)]
    if (by_time or by_labels != "0") and missing:
        yield problem(
            f"retraining is scheduled, but {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} empty",
            patient.update,
        )
    else:
        yield ok("its container images are there" if not missing else "none is scheduled")


def log_retention(patient: Patient) -> Iterator[Finding]:
    """No log is kept for ever."""
    names = {*patient.log_groups, log_groups.of_endpoint(patient.endpoint_name), *log_groups.SHARED}
    days = patient.parameters.get("LogRetentionDays", "30")
    groups = {name: log_groups.find(patient.target.logs, name) for name in names}
    endless = sorted(name for name, group in groups.items() if group and "retentionInDays" not in group)
    for name in endless:
        yield warning(
            f"{name} is kept for ever",
            f"aws logs put-retention-policy --log-group-name {name} --retention-in-days {days}",
        )
    if not endless:
        yield ok(f"every log expires ({days} days)")


def _short(text: str) -> str:
    """Return a reason on one line, cut to a length that a terminal shows."""
    line = " ".join(plain(text).split())
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]} ..."


CHECKS: tuple[Check[Patient], ...] = (
    *(stack, endpoint, waiting_images, failed_messages, alarms, verdict_rules, denied_calls),
    *(retraining, scheduled_retraining, log_retention),
)
