"""The endpoint's hours: whether it rests, and a person's wish to start or stop it (functions/hours/memory.py)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from contract.inspections import timestamp
from contract.shifts import Shifts, ShiftsError
from loupe.errors import LoupeError
from loupe.stack.invocations import ask
from loupe.stack.target import Target

ALWAYS = "always"


@dataclass(frozen=True)
class Rest:
    """The endpoint rests.

    Attributes:
        until: When it serves again; None until somebody starts it.
        hours: Its hours, as they are written; `always` if it has none.
        by_hand: Whether a person has stopped it.
    """

    until: datetime | None
    hours: str
    by_hand: bool

    @property
    def text(self) -> str:
        """One phrase for people, such as `rests until Mon 05:45`; in the time zone of the hours."""
        when = f"until {self.until:%a %d %b, %H:%M}" if self.until else "until it is started"
        return f"rests {when}" + (", stopped by hand" if self.by_hand else "")


@dataclass(frozen=True)
class Outcome:
    """What a start or a stop has done.

    Attributes:
        run: Whether the endpoint shall run.
        action: What the function did: none, stopped, created, ready or waits.
        until: How long the wish holds; None until the next one.
    """

    run: bool
    action: str
    until: datetime | None


def shifts(target: Target) -> Shifts | None:
    """Return the endpoint's hours; None for always, as of a stack that is older than hours."""
    text = target.outputs.get("EndpointHours", ALWAYS)
    if text == ALWAYS:
        return None
    try:
        return Shifts.parse(text, target.outputs.get("EndpointTimezone", "UTC"))
    except ShiftsError as error:
        raise LoupeError(
            f"the stack's EndpointHours are not valid: {error}",
            "Deploy the stack again with other ones (docs/shifts.md).",
        ) from error


def rest(target: Target, now: datetime | None = None) -> Rest | None:
    """Return how long an endpoint that is missing rests; None if nobody has deployed one, or it was deleted by hand."""
    hours, now = shifts(target), now or datetime.now(UTC)
    document = _read(target)
    if not document.get("resting"):
        return None
    wish = document.get("wish") or {"run": True, "until": None}
    stopped = not wish["run"]
    written = target.outputs.get("EndpointHours", ALWAYS)
    if stopped and not wish["until"]:
        return Rest(None, written, by_hand=True)
    if hours is None:
        return Rest(None, written, stopped) if stopped else None
    until = datetime.fromisoformat(wish["until"]) if stopped else hours.opens_at(now)
    return Rest(until.astimezone(hours.zone), written, stopped)


def closed_until(target: Target, now: datetime | None = None) -> datetime | None:
    """Return when the next shift begins, if none is on now; None during one, and for an endpoint that always runs."""
    hours, now = shifts(target), now or datetime.now(UTC)
    return None if hours is None or hours.is_open(now) else hours.opens_at(now)


def start(target: Target, now: datetime | None = None) -> Outcome:
    """Let the endpoint run now, outside its hours until the end of the next shift."""
    hours, now = shifts(target), now or datetime.now(UTC)
    until = hours.closes_at(now) if hours else None
    # Without hours it runs always, and within them until their end: then nothing need be wished for.
    needed = hours is not None and not hours.is_open(now)
    return _wish(target, {"run": True, "until": _text(until)} if needed else None, True, until)


def stop(target: Target, now: datetime | None = None) -> Outcome:
    """Let the endpoint rest now, until the next shift begins; without hours, until it is started."""
    hours, now = shifts(target), now or datetime.now(UTC)
    until = None
    if hours:
        until = hours.opens_at(hours.closes_at(now) if hours.is_open(now) else now)
    return _wish(target, {"run": False, "until": _text(until)}, False, until)


def _wish(target: Target, wish: dict[str, Any] | None, run: bool, until: datetime | None) -> Outcome:
    target.ssm.put_parameter(
        Name=target.output("HoursParameterName"),
        Value=json.dumps(_read(target) | {"wish": wish}),
        Type="String",
        Overwrite=True,
    )
    answer = ask(
        target,
        "HoursFunctionName",
        {},
        "the endpoint's hours are not kept",
        "It is tried again every five minutes. Its log says more: loupe logs hours",
    )
    return Outcome(run, str(answer["action"]), until)


def _read(target: Target) -> dict[str, Any]:
    name = target.outputs.get("HoursParameterName")
    if name is None:
        return {}
    document: dict[str, Any] = json.loads(target.ssm.get_parameter(Name=name)["Parameter"]["Value"])
    return document


def _text(time: datetime | None) -> str | None:
    return timestamp(time.astimezone(UTC)) if time else None
