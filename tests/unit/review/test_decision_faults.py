"""A crash at any call of AWS, before or after its effect, is healed by repeating the decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from review.decision import Decision
from review.sampling import Cause, Selection
from tests.unit.review.desk import PASSED, SCRATCH, UNUSABLE, Desk, failed, record


class Crash(BaseException):
    """The function is killed. No code of it can catch this."""


class Calls:
    """Counts the calls of a desk's clients, and kills the caller at one of them."""

    def __init__(self, crash_at: int | None, *, before: bool) -> None:
        self.names: list[str] = []
        self._crash_at, self._before = crash_at, before

    def before_call(self, model: Any, **_: Any) -> None:
        self.names.append(model.name)
        if self._before and len(self.names) == self._crash_at:
            raise Crash

    def after_call(self, **_: Any) -> None:
        if not self._before and len(self.names) == self._crash_at:
            raise Crash


@contextmanager
def counting(desk: Desk, crash_at: int | None = None, *, before: bool = True) -> Iterator[Calls]:
    calls = Calls(crash_at, before=before)
    hooks: list[tuple[str, Callable[..., None]]] = [
        ("before-call", calls.before_call),
        ("after-call", calls.after_call),
    ]
    for client in (desk.client, desk.s3):
        for event, hook in hooks:
            client.meta.events.register(event, hook)
    try:
        yield calls
    finally:
        for client in (desk.client, desk.s3):
            for event, hook in hooks:
                client.meta.events.unregister(event, hook)


_DIFFERENT = ("decided_at", "decisions", "rank")  # times


def everything(desk: Desk, identity: str) -> dict[str, Any]:
    """Return all that a decision writes, without the times and the random ids."""
    item = desk.queue.get(identity)
    history = desk.history.read(f"inspection#{identity}")
    label = desk.label(identity)
    return {
        "item": {name: value for name, value in item.items() if name not in _DIFFERENT},
        "decisions": [{**entry, "at": None} for entry in item["decisions"]],
        "counters": desk.counters(),
        "labelled": [item for item in desk.items("reviews") if item["id"].startswith("labelled#")],
        "history": [{**entry, "id": None, "at": None} for entry in history],
        "label": label
        and {name: label[name] for name in ("sha256", "objects", "width", "height", "image")}
        | {"image": label["image"]["key"]},
        "review": {**desk.items("inspections")[0]["review"], "at": None},
    }


def prepared(desk: Desk, *, second: bool) -> str:
    """Queue an image, let Bob decide about it if a second opinion is tested, and let Ada claim it."""
    identity: str = desk.upload()["id"]
    if second:
        desk.decide(identity, "bob", failed(("dent", (1, 1, 9, 9))))
        desk.wait(seconds=1)
    desk.queue.claim(identity, "ada")
    return identity


@pytest.mark.parametrize(
    ("decision", "second"),
    [
        (failed(SCRATCH), False),
        (PASSED, True),
        pytest.param(UNUSABLE, True, marks=pytest.mark.slow),
    ],
    ids=["fail", "pass instead of fail", "unusable instead of fail"],
)
def test_a_crash_at_any_call_is_healed_by_the_same_decision(
    desk: Desk, decision: Decision, second: bool
) -> None:
    identity = prepared(desk, second=second)
    saved, version = desk.save(), 2 if second else 1
    with counting(desk) as undisturbed:
        desk.decisions.decide(identity, "ada", decision, version)
    oracle, calls = everything(desk, identity), len(undisturbed.names)
    assert calls >= 5
    # A crash after a call's effect is one before the next call.
    for number, before in [*((number, True) for number in range(1, calls + 1)), (calls, False)]:
        desk.restore(saved)
        with counting(desk, number, before=before), pytest.raises(Crash):
            desk.decisions.decide(identity, "ada", decision, version)
        # No label without a decision.
        decided = desk.queue.get(identity)["version"] > version
        assert decided or (desk.label(identity) is not None) == second

        # At once, while the claim holds; or later, after the page has claimed the image again.
        if number % 2:
            desk.wait(minutes=10)
            desk.queue.claim(identity, "ada")
        desk.decisions.decide(identity, "ada", decision, version)

        assert everything(desk, identity) == oracle, (number, before)


def test_a_crash_on_the_way_into_the_queue_is_healed_by_the_next_delivery(desk: Desk) -> None:
    doubtful = Selection(Cause.VERDICT, 1.0)
    with counting(desk) as calls:
        desk.queue.enqueue(record(), doubtful)
    for number in range(1, len(calls.names) + 1):
        desk.reset()
        with counting(desk, number), pytest.raises(Crash):
            desk.queue.enqueue(record(), doubtful)

        desk.queue.enqueue(record(), doubtful)

        assert [item["id"] for item in desk.queue.open_items()] == [record()["id"]]
