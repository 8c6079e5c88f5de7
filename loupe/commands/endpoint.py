"""`loupe endpoint`: start and stop it by hand."""

from __future__ import annotations

from datetime import datetime

from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target
from loupe.stack import hours
from loupe.stack.hours import Outcome
from loupe.stack.target import Target
from loupe.views.console import out, print_json

app = commands(
    "Start and stop the endpoint by hand.\n\n"
    "Its hours (EndpointHours) start and stop it by themselves; docs/shifts.md tells more."
)
_STARTED = {
    "none": "It serves, or no model is deployed yet: loupe status",
    "created": "It is being created from its last configuration: five to ten minutes on AWS. See: loupe status",
    "waits": "It is changing just now: loupe status",
    "ready": "It serves.",
}
_STOPPED = {
    "none": "There is no endpoint that runs.",
    "stopped": "It is deleted; its configuration is remembered. Images wait.",
    "waits": "It is changing just now, or a retraining exchanges its model; it stops within five minutes after that.",
}


@app.command(epilog=epilog("loupe endpoint start", "loupe endpoint start --stack loupe"))
def start(home: Home, stack: Stack = None, json_: Json = False) -> None:
    """Let the endpoint run now. Outside its hours it runs until the end of the next shift."""
    target = open_target(stack, home)
    _show(target, hours.start(target), _STARTED, json_)


@app.command(epilog=epilog("loupe endpoint stop", "loupe endpoint stop --stack loupe"))
def stop(home: Home, stack: Stack = None, json_: Json = False) -> None:
    """Let the endpoint rest now: until the next shift begins, or without hours until it is started."""
    target = open_target(stack, home)
    _show(target, hours.stop(target), _STOPPED, json_)


def _show(target: Target, outcome: Outcome, texts: dict[str, str], json_: bool) -> None:
    name = target.output("EndpointName")
    if json_:
        until = outcome.until.isoformat() if outcome.until else None
        print_json({"endpoint": name, "run": outcome.run, "action": outcome.action, "until": until})
        return
    out.print(f"{name}: {texts[outcome.action]}", soft_wrap=True)
    if outcome.until:
        verb = "rests again at" if outcome.run else "serves again from"
        out.print(f"By its hours it {verb} {_time(outcome.until)}.", soft_wrap=True)


def _time(time: datetime) -> str:
    return f"{time:%a %d %b, %H:%M} ({time.tzinfo})"
