"""The stack's CloudWatch alarms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from loupe.stack.target import Target

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
_RANDOM_END = re.compile(r"-[0-9A-Za-z]{8,16}$")


@dataclass(frozen=True)
class Alarm:
    """An alarm and its state.

    Attributes:
        name: Without the stack's name.
        state: OK, ALARM or INSUFFICIENT_DATA.
        reason: Why it has this state.
        since: When it took this state.
    """

    name: str
    state: str
    reason: str
    since: datetime


def alarms(target: Target) -> list[Alarm]:
    """Return the stack's alarms, by name."""
    pages = target.cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{target.name}-")
    found = [
        Alarm(
            short_name(alarm["AlarmName"], target.name),
            alarm["StateValue"],
            alarm.get("StateReason", ""),
            alarm["StateUpdatedTimestamp"],
        )
        for page in pages
        for alarm in page["MetricAlarms"]
    ]
    return sorted(found, key=lambda alarm: alarm.name)


def short_name(name: str, stack: str) -> str:
    """Return an alarm's name in the template, without the stack's name and CloudFormation's random end.

    >>> short_name("loupe-DeadLetterAlarm-1WKS4P0LKXIIG", "loupe")
    'DeadLetterAlarm'
    """
    return _RANDOM_END.sub("", name.removeprefix(f"{stack}-"))
