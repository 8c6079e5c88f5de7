"""The rules as people change them: who wins, who did it, and what a crash leaves behind."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from inspection.rules_document import RulesDocumentError
from inspection.rules_store import CLAIM_SECONDS, RulesStore, StaleRulesError, UnknownVersionError
from tests.crashes import Crash

FIRST: dict[str, Any] = {"version": "1", "default": {"fail_score": 0.5, "review_score": 0.3}}
CANDIDATE = {"version": "run-1", "model": "onnx-2", "classes": {}}


class Clock:
    """The time, which tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def rules(version: str, fail_score: float = 0.5) -> dict[str, Any]:
    return {"version": version, "default": {"fail_score": fail_score, "review_score": 0.3}}


@pytest.fixture(scope="module")
def _session() -> Iterator[boto3.Session]:
    with mock_aws():
        yield boto3.Session("testing", "testing", region_name="eu-central-1")


@pytest.fixture(scope="module")
def _clients(_session: boto3.Session) -> tuple[Any, Any]:
    return _session.client("ssm"), _session.client("dynamodb")


@pytest.fixture
def store(_clients: tuple[Any, Any]) -> RulesStore:
    """The rules of a stack of its own."""
    ssm, dynamodb = _clients
    mark = uuid.uuid4().hex[:8]
    ssm.put_parameter(Name=f"/{mark}/rules", Value=json.dumps(FIRST), Type="String")
    keys = {"subject": "HASH", "at_id": "RANGE"}
    dynamodb.create_table(
        TableName=mark,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
    )
    return RulesStore(ssm, f"/{mark}/rules", dynamodb, mark, Clock())


def outside(store: RulesStore, document: Any) -> None:
    """Write as retraining and the console do: without a claim."""
    text = document if isinstance(document, str) else json.dumps(document)
    store.ssm.put_parameter(Name=store.parameter, Value=text, Type="String", Overwrite=True)


@contextmanager
def at_call(store: RulesStore, wanted: int, act: Callable[[], None], *, before: bool) -> Iterator[list[str]]:
    """Run something before or after the n-th AWS call of the store, once. Yields the names of the calls."""
    calls: list[str] = []
    busy = False

    def count(model: Any, **_: Any) -> None:
        nonlocal busy
        if not busy:
            calls.append(model.name)
            if before and len(calls) == wanted:
                busy = True
                act()
                busy = False

    def after(**_: Any) -> None:
        nonlocal busy
        if not busy and not before and len(calls) == wanted:
            busy = True
            act()
            busy = False

    handlers: list[tuple[str, Callable[..., None]]] = [("before-call", count), ("after-call", after)]
    clients = [store.ssm, store.dynamodb]
    for client in clients:
        for event, handler in handlers:
            client.meta.events.register(event, handler)
    try:
        yield calls
    finally:
        for client in clients:
            for event, handler in handlers:
                client.meta.events.unregister(event, handler)


def calls_of_a_change(store: RulesStore) -> list[str]:
    number = store.current().number
    with at_call(store, 0, lambda: None, before=True) as calls:
        store.change(rules("counted"), number, "anna")
    return calls


# ---------------------------------------------------------------- who did what


def test_a_change_is_in_force_and_says_who_made_it_when_and_why(store: RulesStore) -> None:
    made = store.change(rules("2", 0.6), 1, "anna", "fewer false alarms")
    assert (made.number, made.document) == (2, rules("2", 0.6))
    assert store.current().text == made.text
    newest, oldest = store.versions()
    assert (newest.number, newest.by, newest.action, newest.comment) == (
        2,
        "anna",
        "changed",
        "fewer false alarms",
    )
    assert newest.when == "2026-03-02T08:00:00.000Z"
    assert (oldest.number, oldest.by) == (1, None)


def test_the_history_holds_what_was_before(store: RulesStore) -> None:
    store.change(rules("2", 0.6), 1, "anna")
    (item,) = store.dynamodb.scan(TableName=store.history_table)["Items"]
    assert json.loads(item["old"]["S"]) == FIRST
    assert json.loads(item["new"]["S"]) == rules("2", 0.6)
    assert "until" not in item


def test_what_others_write_is_signed_by_their_aws_identity_and_not_by_a_person(store: RulesStore) -> None:
    store.change(rules("2"), 1, "anna")
    outside(store, rules("run", 0.4))
    assert [version.by for version in store.versions()] == [None, "anna", None]


def test_versions_that_ssm_has_forgotten_are_still_known(store: RulesStore) -> None:
    store.change(rules("2", 0.6), 1, "anna")
    store.change(rules("3", 0.7), 2, "bert")
    for number in range(100):
        outside(store, rules(f"run-{number}"))
    versions = store.versions()
    assert [version.number for version in versions] == [*range(103, 1, -1)]
    assert (versions[-1].name, versions[-1].by) == ("2", "anna")
    assert store.roll_back(2, 103, "bert").document == rules("2-2", 0.6)


def test_the_same_rules_again_are_no_new_version(store: RulesStore) -> None:
    assert store.change(FIRST, 1, "anna").number == 1
    assert store.current().number == 1
    assert store.roll_back(1, 1, "anna").number == 1


# ---------------------------------------------------------------- what is refused


def test_a_stale_number_is_refused_and_changes_nothing(store: RulesStore) -> None:
    store.change(rules("2"), 1, "anna")
    with pytest.raises(StaleRulesError, match="by anna: version 2 is in force") as refused:
        store.change(rules("3"), 1, "bert")
    assert refused.value.number == 2
    assert store.current().name == "2"
    with pytest.raises(StaleRulesError):
        store.roll_back(1, 1, "bert")


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"version": "2", "default": {"fail_score": 7}}, "default.fail_score: must be at most 1"),
        ({"version": "1", "default": {"fail_score": 0.9}}, "already names other rules"),
        ({"version": "2", "classes": {"c" * 9000: {}}}, "a parameter holds 8,192"),
    ],
)
def test_a_document_that_is_not_valid_is_refused_and_claims_nothing(
    store: RulesStore, document: dict[str, Any], problem: str
) -> None:
    with pytest.raises(RulesDocumentError, match=problem):
        store.change(document, 1, "anna")
    assert store.dynamodb.scan(TableName=store.history_table)["Items"] == []
    assert store.current().number == 1


def test_a_document_above_4_kib_makes_the_parameter_an_advanced_one(store: RulesStore) -> None:
    classes = {f"class-{number}": {"fail_score": 0.5} for number in range(180)}
    store.change({"version": "2", "classes": classes}, 1, "anna")
    filters: Any = [{"Key": "Name", "Values": [store.parameter]}]
    (parameter,) = store.ssm.describe_parameters(ParameterFilters=filters)["Parameters"]
    assert parameter["Tier"] == "Intelligent-Tiering"  # moto keeps what was asked for


def test_invalid_rules_in_force_can_be_replaced(store: RulesStore) -> None:
    outside(store, '{"version": 5}')
    assert store.change(rules("3"), 2, "anna").number == 3


def test_a_swap_in_progress_keeps_its_scores(store: RulesStore) -> None:
    outside(store, FIRST | {"candidate": CANDIDATE})
    made = store.change(rules("2", 0.6), 2, "anna")
    assert made.document == rules("2", 0.6) | {"candidate": CANDIDATE}
    back = store.roll_back(1, 3, "anna")
    assert back.document == FIRST | {"version": "1-2", "candidate": CANDIDATE}
    outside(store, FIRST)
    assert store.roll_back(3, 5, "anna").document == rules("2-2", 0.6)


# ---------------------------------------------------------------- the way back


def test_a_rollback_is_a_new_version_with_a_name_of_its_own(store: RulesStore) -> None:
    store.change(rules("2", 0.6), 1, "anna")
    store.change(rules("3", 0.7), 2, "anna")
    back = store.roll_back(2, 3, "bert", "3 was too strict")
    assert (back.number, back.document) == (4, rules("2-2", 0.6))
    newest = store.versions()[0]
    assert (newest.by, newest.action, newest.comment) == ("bert", "rolled_back", "3 was too strict")


def test_a_rollback_to_what_is_unknown_or_not_valid_is_refused(store: RulesStore) -> None:
    with pytest.raises(UnknownVersionError):
        store.roll_back(7, 1, "anna")
    outside(store, '{"version": 5}')
    outside(store, rules("3"))
    with pytest.raises(RulesDocumentError):
        store.roll_back(2, 3, "anna")


# ---------------------------------------------------------------- two at the same time


def test_of_two_changes_at_the_same_time_one_wins_wherever_they_meet(store: RulesStore) -> None:
    for before in (True, False):
        for position in range(1, len(calls_of_a_change(store)) + 1):
            number = store.current().number
            outcomes: dict[str, int | None] = {}

            def bert(number: int = number, outcomes: dict[str, int | None] = outcomes) -> None:
                try:
                    outcomes["bert"] = store.change(rules(f"bert-{number}"), number, "bert").number
                except StaleRulesError:
                    outcomes["bert"] = None

            with at_call(store, position, bert, before=before):
                try:
                    outcomes["anna"] = store.change(rules(f"anna-{number}"), number, "anna").number
                except StaleRulesError:
                    outcomes["anna"] = None
            assert {*outcomes} == {"anna", "bert"}
            (winner,) = (name for name, made in outcomes.items() if made is not None)
            newest = store.versions()[0]
            assert (newest.number, newest.name, newest.by) == (number + 1, f"{winner}-{number}", winner)


def test_what_another_writer_writes_is_never_lost_wherever_it_comes_in(store: RulesStore) -> None:
    for before in (True, False):
        for position in range(1, len(calls_of_a_change(store)) + 1):
            number = store.current().number

            def interfere(number: int = number) -> None:
                outside(store, rules(f"run-{number}"))

            with at_call(store, position, interfere, before=before) as calls, suppress(StaleRulesError):
                store.change(rules(f"anna-{number}"), number, "anna")
            assert store.current().name == f"run-{number}", (position, before, calls)
            store.change(rules(f"next-{number}"), store.current().number, "bert")


def test_what_two_other_writers_write_while_the_first_is_put_back_is_in_force(store: RulesStore) -> None:
    puts = 0

    def interfere(model: Any, **_: Any) -> None:
        nonlocal puts
        if model.name == "PutParameter":
            puts += 1
            if puts in (1, 3):  # before the change itself, and before the first is put back
                outside(store, rules(f"run-{puts}"))

    store.ssm.meta.events.register("before-call", interfere)
    with pytest.raises(StaleRulesError):
        store.change(rules("anna"), 1, "anna")
    store.ssm.meta.events.unregister("before-call", interfere)
    assert [version.name for version in store.versions()] == ["run-3", "run-1", "run-3", "anna", "run-1", "1"]


def test_a_call_that_was_repeated_by_itself_is_one_change(store: RulesStore) -> None:
    text = '{"version":"2"}'
    with at_call(store, 4, lambda: outside(store, text), before=True) as calls:
        made = store.change({"version": "2"}, 1, "anna")
    assert calls[3] == "PutParameter"
    assert (made.number, store.current().text) == (3, text)


# ---------------------------------------------------------------- crashes and faults


def kill() -> None:
    raise Crash


@pytest.mark.promise(9, 10)
def test_after_a_crash_the_rules_are_the_old_or_the_new_and_can_be_changed_again(store: RulesStore) -> None:
    clock = store.clock
    assert isinstance(clock, Clock)
    for before in (True, False):
        for position in range(1, len(calls_of_a_change(store)) + 1):
            number, old = store.current().number, store.current().name
            with at_call(store, position, kill, before=before), suppress(Crash):
                store.change(rules(f"anna-{number}"), number, "anna")
            newest = store.versions()[0]
            if newest.number == number:
                assert newest.name == old
            else:
                assert (newest.number, newest.name, newest.by) == (number + 1, f"anna-{number}", "anna")
            clock.now += timedelta(seconds=CLAIM_SECONDS + 1)
            made = store.change(rules(f"bert-{number}"), newest.number, "bert")
            assert (made.number, store.versions()[0].by) == (newest.number + 1, "bert")


@pytest.mark.promise(10)
def test_a_claim_of_somebody_who_was_killed_holds_others_up_for_a_minute(store: RulesStore) -> None:
    clock = store.clock
    assert isinstance(clock, Clock)
    with at_call(store, 4, kill, before=True) as calls, pytest.raises(Crash):
        store.change(rules("2"), 1, "anna")
    assert calls[-1] == "PutParameter"
    with pytest.raises(StaleRulesError, match="just now"):
        store.change(rules("3"), 1, "bert")
    clock.now += timedelta(seconds=CLAIM_SECONDS + 1)
    assert store.change(rules("3"), 1, "bert").number == 2
    assert store.versions()[0].by == "bert"


def test_a_change_that_ssm_refuses_holds_nobody_up(store: RulesStore) -> None:

    def refuse(**_: Any) -> None:
        raise store.ssm.exceptions.ClientError({"Error": {"Code": "TooManyUpdates"}}, "PutParameter")

    store.ssm.meta.events.register("before-call.ssm.PutParameter", refuse)
    with pytest.raises(store.ssm.exceptions.ClientError):
        store.change(rules("2"), 1, "anna")
    store.ssm.meta.events.unregister("before-call.ssm.PutParameter", refuse)
    store.clock.now += timedelta(seconds=1)  # type: ignore[attr-defined]
    assert store.change(rules("3"), 1, "bert").number == 2


def test_a_change_is_made_even_if_its_last_entry_cannot_be_written(store: RulesStore) -> None:
    def refuse(params: Any, **_: Any) -> None:
        if "ConditionExpression" not in str(params["body"]):
            raise store.dynamodb.exceptions.ClientError({"Error": {"Code": "Throttling"}}, "PutItem")

    store.dynamodb.meta.events.register("before-call.dynamodb.PutItem", refuse)
    made = store.change(rules("2"), 1, "anna")
    store.dynamodb.meta.events.unregister("before-call.dynamodb.PutItem", refuse)
    assert (made.number, store.versions()[0].number, store.versions()[0].by) == (2, 2, "anna")
