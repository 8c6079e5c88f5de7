"""Whatever three people do, in any order: two never hold the same image, and nobody decides what another one holds."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from review.errors import (
    AlreadyClaimedError,
    ClaimExpiredError,
    NotClaimedError,
    QueueEmptyError,
    StaleVersionError,
)
from review.queue import CLAIM_TIME, is_claimable, live_claim
from tests.unit.review.desk import PASSED, SCRATCH, Desk, failed

PEOPLE = st.sampled_from(["ada", "bob", "cy"])
IMAGES = st.integers(0, 1)


@pytest.mark.promise(10)
@pytest.mark.parametrize("examples", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_two_people_never_hold_the_same_image(desk: Desk, examples: int) -> None:
    class Reviewing(RuleBasedStateMachine):
        """The model: who holds which image until when, and how often each was decided about."""

        @initialize()
        def start(self) -> None:
            desk.reset()
            self.ids = [desk.upload(f"SN{number}")["id"] for number in range(2)]
            self.holders: dict[str, tuple[str, datetime]] = {}
            self.decided = dict.fromkeys(self.ids, 0)
            self.seen: dict[tuple[str, str], int] = {}

        def holder(self, identity: str) -> str | None:
            by, until = self.holders.get(identity, ("", desk.now))
            return by if until > desk.now else None

        def hold(self, identity: str, by: str) -> None:
            self.holders[identity] = (by, desk.now + CLAIM_TIME)
            self.seen[identity, by] = self.decided[identity] + 1

        @rule(by=PEOPLE, image=IMAGES)
        def claim(self, by: str, image: int) -> None:
            identity = self.ids[image]
            free = self.holder(identity) in (None, by)
            try:
                desk.queue.claim(identity, by)
            except AlreadyClaimedError:
                assert not free
            else:
                assert free
                self.hold(identity, by)

        @rule(by=PEOPLE)
        def take_the_next(self, by: str) -> None:
            free = [
                name
                for name in self.ids
                if self.holder(name) in (None, by) and desk.queue.get(name)["state"] == "open"
            ]
            try:
                item = desk.queue.next(by)
            except QueueEmptyError:
                assert not free
            else:
                assert item["id"] in free
                self.hold(item["id"], by)

        @rule(by=PEOPLE, image=IMAGES)
        def release(self, by: str, image: int) -> None:
            identity = self.ids[image]
            desk.queue.release(identity, by)
            if self.holders.get(identity, ("",))[0] == by:
                del self.holders[identity]

        @rule(seconds=st.sampled_from([1, 150, 299, 300]))
        def wait(self, seconds: int) -> None:
            desk.now += timedelta(seconds=seconds)

        @rule(by=PEOPLE, image=IMAGES, good=st.booleans())
        def decide(self, by: str, image: int, good: bool) -> None:
            identity = self.ids[image]
            version = self.seen.get((identity, by), 1)
            fresh = version == self.decided[identity] + 1
            decision = PASSED if good else failed(SCRATCH)
            last = desk.queue.get(identity)["decisions"][-1:]
            repeated = any(decision.repeats(entry, by, version) for entry in last)
            try:
                desk.decisions.decide(identity, by, decision, version)
            except (NotClaimedError, ClaimExpiredError):
                assert self.holder(identity) != by
                assert fresh
            except StaleVersionError:
                assert not fresh
            except AlreadyClaimedError:
                assert repeated
                assert self.holder(identity) not in (None, by)
            else:
                assert repeated or (fresh and self.holder(identity) == by)
                self.decided[identity] += not repeated
                self.holders.pop(identity, None)

        @invariant()
        def one_holder(self) -> None:
            for identity in self.ids:
                item = desk.queue.get(identity)
                claim = live_claim(item, desk.now)
                assert (claim["by"] if claim else None) == self.holder(identity)
                claimable = [by for by in ("ada", "bob", "cy") if is_claimable(item, by, desk.now)]
                assert claimable == ([claim["by"]] if claim else ["ada", "bob", "cy"])
                assert len(item["decisions"]) == self.decided[identity] == item["version"] - 1

        def teardown(self) -> None:
            assert sum(
                desk.counters().get(f"decided:review:{verdict}", 0) for verdict in ("pass", "fail")
            ) == sum(count > 0 for count in self.decided.values())

    run_state_machine_as_test(
        Reviewing, settings=settings(max_examples=examples, stateful_step_count=15, deadline=None)
    )
