"""The review queue: order, claims, and lists."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from review.errors import AlreadyClaimedError, NotQueuedError, QueueEmptyError
from review.queue import shown
from review.sampling import Cause, Selection
from tests.unit.review.desk import REGION, Desk, reason, record

DOUBTFUL = Selection(Cause.VERDICT, 1.0)


def uncertain(score: float) -> dict[str, object]:
    return {"reasons": [reason("doubtful", score=score)]}


def test_the_most_deserving_open_item_of_all_lines_comes_first(desk: Desk) -> None:
    low = desk.enqueue("low", **uncertain(0.31))
    high = desk.enqueue("high", line="line-2", **uncertain(0.49))
    middle = desk.enqueue("middle", **uncertain(0.4))

    assert [item["id"] for item in desk.queue.open_items()] == [high, middle, low]
    assert [item["id"] for item in desk.queue.open_items("line-1")] == [middle, low]
    assert desk.queue.next("ada")["id"] == high
    assert desk.queue.next("bob")["id"] == middle
    assert desk.queue.next("bob", line="line-1")["id"] == middle
    assert desk.queue.next("bob", line="line-1", skip=[middle])["id"] == low
    with pytest.raises(QueueEmptyError):
        desk.queue.next("cy")


def test_a_record_that_is_delivered_again_changes_nothing(desk: Desk) -> None:
    inspected = record()
    assert desk.queue.enqueue(inspected, DOUBTFUL)
    desk.queue.claim(inspected["id"], "ada")
    before = desk.items("reviews")

    assert not desk.queue.enqueue(inspected, DOUBTFUL)
    assert desk.items("reviews") == before


def test_a_later_image_of_a_bucket_without_versions_replaces_what_waits(desk: Desk) -> None:
    identity = desk.enqueue(version_id="null", **uncertain(0.31))
    desk.queue.claim(identity, "ada")

    desk.enqueue(version_id="null", received_at="2026-01-31T09:00:00.000Z", **uncertain(0.49))

    item = desk.queue.get(identity)
    assert item["received_at"] == "2026-01-31T09:00:00.000Z"
    assert "claim" not in item


def test_nobody_else_gets_what_one_has_claimed(desk: Desk) -> None:
    identity = desk.enqueue()
    claimed = desk.queue.claim(identity, "ada")

    with pytest.raises(AlreadyClaimedError) as caught:
        desk.queue.claim(identity, "bob")

    assert claimed["claim"] == {"by": "ada", "until": "2026-01-31T08:05:00.000Z"}
    assert (caught.value.by, caught.value.until) == ("ada", "2026-01-31T08:05:00.000Z")
    desk.queue.release(identity, "bob")
    assert desk.queue.get(identity)["claim"]["by"] == "ada"


@pytest.mark.promise(10)
def test_a_claim_ends_after_five_minutes_unless_it_is_renewed(desk: Desk) -> None:
    identity = desk.enqueue()
    desk.queue.claim(identity, "ada")
    desk.wait(minutes=4, seconds=59)
    desk.queue.claim(identity, "ada")
    desk.wait(minutes=4, seconds=59)
    with pytest.raises(AlreadyClaimedError):
        desk.queue.claim(identity, "bob")
    assert not shown(desk.queue.get(identity), "bob", desk.now)["claimable"]

    desk.wait(seconds=1)

    assert shown(desk.queue.get(identity), "bob", desk.now)["claimable"]
    assert shown(desk.queue.get(identity), "bob", desk.now)["claim"] is None
    assert desk.queue.claim(identity, "bob")["claim"]["by"] == "bob"


def test_what_is_released_is_free(desk: Desk) -> None:
    identity = desk.enqueue()
    desk.queue.claim(identity, "ada")

    desk.queue.release(identity, "ada")
    desk.queue.release(identity, "ada")

    assert desk.queue.claim(identity, "bob")["claim"]["by"] == "bob"


@pytest.mark.parametrize("identity", ["0" * 32, "line#line-1", "pictures#line-1"])
def test_what_is_not_in_the_queue_cannot_be_claimed(desk: Desk, identity: str) -> None:
    desk.enqueue()

    for attempt in (desk.queue.get, lambda name: desk.queue.claim(name, "ada")):
        with pytest.raises(NotQueuedError):
            attempt(identity)
    with pytest.raises(NotQueuedError):
        desk.queue.release(identity, "ada")


def test_a_list_goes_on_where_it_stopped(desk: Desk) -> None:
    ids = [desk.enqueue(f"SN{n}", line=f"line-{n % 3}", **uncertain(0.3 + n / 1000)) for n in range(36)]

    first = [item for item, _ in zip(desk.queue.open_items(), range(30), strict=False)]
    rest = list(desk.queue.open_items(after=first[-1]["rank"]))

    assert [item["id"] for item in first + rest] == ids[::-1]
    assert desk.queue.count_open() == 36
    assert desk.queue.count_open("line-1") == 12
    assert desk.queue.lines() == ["line-0", "line-1", "line-2"]


def test_many_people_at_once_never_get_the_same_image(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # moto evaluates the condition of a write and writes in two steps, and a read meets the item between them; in
    # DynamoDB, nothing comes between them.
    backend, lock = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION], threading.RLock()

    def atomic(call: Callable[..., Any]) -> Callable[..., Any]:
        def locked(*arguments: Any, **options: Any) -> Any:
            with lock:
                return call(*arguments, **options)

        return locked

    for name in ("update_item", "query", "get_item"):
        monkeypatch.setattr(backend, name, atomic(getattr(backend, name)))
    for number in range(12):
        desk.enqueue(f"SN{number}", **uncertain(0.31))
    people = [f"user-{number}" for number in range(6)]
    gate = threading.Barrier(len(people))

    def work(name: str) -> list[str]:
        gate.wait()
        mine: list[str] = []
        while True:
            try:
                mine.append(desk.queue.next(name, skip=mine)["id"])
            except QueueEmptyError:
                return mine

    with ThreadPoolExecutor(len(people)) as pool:
        claimed = [identity for mine in pool.map(work, people) for identity in mine]

    assert len(claimed) == len(set(claimed)) == 12
