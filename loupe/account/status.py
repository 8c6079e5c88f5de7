"""What a stack in an account is: its parts, who receives messages, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from contract.text import counted
from localcloud.sources import REPOSITORY
from loupe.account import cloudformation, model_step, retention, sam, stack_step, subscriptions
from loupe.account.account import Account
from loupe.account.cloudformation import Stack
from loupe.account.subscriptions import Subscription
from loupe.cost import estimate
from loupe.errors import LoupeError
from loupe.stack import alarms, queues
from loupe.stack.target import Target


@dataclass(frozen=True)
class State:
    """What a stack is.

    Attributes:
        rows: For people: what, and its state in words.
        document: The same for programs.
    """

    rows: list[tuple[str, str]] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)


def read(account: Account) -> State:
    """Ask the account what the stack is.

    Raises:
        LoupeError: There is no such stack.
    """
    stack = cloudformation.describe(account)
    if stack is None:
        raise LoupeError(
            f"there is no stack {account.stack} in {_where(account)}",
            f"Create it: loupe cloud create --stack {account.stack}{' --local' if account.home else ''}",
        )
    state = State()
    _add(state, "Stack", "stack", f"{account.stack} in {_where(account)}: {stack.status}")
    _add(state, "Version", "version", _version(account, stack))
    if not stack.outputs:
        _add(state, "Next", "next", f"loupe cloud create --stack {account.stack}")
        return state
    target = Target(account.session, account.endpoint_url, stack.outputs, account.stack)
    _add(state, "Endpoint", "endpoint", model_step.serving(target))
    for name in ("Serving", "Training"):
        uri = stack.outputs.get(f"{name}ImageUri", "none")
        _add(state, f"{name} image", f"{name.lower()}_image", uri)
    _add(state, "Images", "waiting", _waiting(target))
    _add(state, "Alarms", "alarms", _alarms(target))
    _add(state, "Dashboard", "dashboard", stack.outputs.get("DashboardUrl", "none"))
    _add_subscriptions(state, subscriptions.emails(target))
    if endless := retention.endless(account, target):
        text = f"kept for ever: {', '.join(endless)}; loupe cloud update --stack {account.stack} ends that"
        _add(state, "Logs", "logs", text)
    if cost := per_hour(account, stack.parameters):
        _add(state, "Costs", "cost", cost)
    return state


def _where(account: Account) -> str:
    return "the local cloud" if account.local else f"account {account.account_id}, {account.region}"


def _add(state: State, title: str, key: str, text: str) -> None:
    state.rows.append((title, text))
    state.document[key] = text


def _version(account: Account, stack: Stack) -> str:
    note = stack_step.read_note(account)
    if note is None or note.stack_id != stack.stack_id:
        return "not known: it was not deployed by `loupe cloud`"
    text = f"Loupe {note.version}, template {note.source}"
    if note.changed != stack.changed:
        text += ", changed since by somebody else"
    own = sam.digest()
    same = "the same" if note.source == own else own
    return f"{text}; {REPOSITORY} has {same}"


def _waiting(target: Target) -> str:
    waiting, failed = sum(queues.count(target, "QueueUrl")), sum(queues.count(target, "DeadLetterQueueUrl"))
    text = f"{counted(waiting, 'image')} waiting" if waiting else "none waits"
    return f"{text}, {failed} could not be processed" if failed else text


def _alarms(target: Target) -> str:
    on = [alarm.name for alarm in alarms.alarms(target) if alarm.state == "ALARM"]
    return f"on: {', '.join(on)}" if on else "none is on"


def _add_subscriptions(state: State, found: list[Subscription]) -> None:
    state.document["subscriptions"] = [
        {"address": each.address, "topic": each.topic, "confirmed": each.confirmed} for each in found
    ]
    for each in found:
        text = f"{each.address} receives {each.topic}"
        if not each.confirmed:
            text = (
                f"{each.address} ({each.topic}): pending confirmation; follow the link in the e-mail of AWS"
            )
        state.rows.append(("E-mail", text))
    if not found:
        state.rows.append(("E-mail", "nobody receives any: --alert-email, --operations-email"))


def per_hour(account: Account, parameters: dict[str, str]) -> str:
    """Return what a stack costs per hour while no image comes, in words; empty if it is not known."""
    if account.local:
        return ""
    try:
        hourly = estimate.hourly(parameters, account.region)
    except LoupeError:
        return ""
    return f"${hourly.dollars:.2f} an hour without images, ${hourly.endpoint:.2f} of it the endpoint's"
