"""The stack's CloudWatch alarms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from contract.alarms import belongs, prefix, short_name
from loupe.stack.target import Target


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
    pages = target.cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix(target.name))
    found = [
        Alarm(
            short_name(alarm["AlarmName"], target.name),
            alarm["StateValue"],
            alarm.get("StateReason", ""),
            alarm["StateUpdatedTimestamp"],
        )
        for page in pages
        for alarm in page["MetricAlarms"]
        if belongs(alarm["AlarmName"], target.name)
    ]
    return sorted(found, key=lambda alarm: alarm.name)
