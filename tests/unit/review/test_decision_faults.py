"""A crash at any call of AWS, before or after its effect, is healed by repeating the decision."""

from __future__ import annotations

from typing import Any

import pytest

from review.decision import Decision
from tests.crashes import Crash, calls
from tests.promises import Tell
from tests.unit.review.desk import PASSED, SCRATCH, UNUSABLE, Desk, failed

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


@pytest.mark.promise(9, 10)
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
    desk: Desk, decision: Decision, second: bool, tried: Tell
) -> None:
    identity = prepared(desk, second=second)
    saved, version = desk.save(), 2 if second else 1
    with calls() as undisturbed:
        desk.decisions.decide(identity, "ada", decision, version)
    oracle, number_of_calls = everything(desk, identity), len(undisturbed)
    assert number_of_calls >= 5
    # A crash after a call's effect is one before the next call.
    places = [*((number, True) for number in range(1, number_of_calls + 1)), (number_of_calls, False)]
    tried(faults=len(places))
    for number, before in places:
        desk.restore(saved)
        with calls(number, before=before), pytest.raises(Crash):
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
