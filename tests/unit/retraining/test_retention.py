"""Deletion of former models: the last few stay, and nothing of another owner is touched."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from retraining.retention import keep_last
from tests.unit.retraining.account import ENDPOINT, Account, RefusedError


def name(number: int, endpoint: str = ENDPOINT) -> str:
    """Return the name that the state machine gives to a model and its configuration."""
    return f"{endpoint}-{number:012x}-{number:06x}"


def deleted(account: Account, kept: int) -> list[str]:
    return sorted(keep_last(account.sagemaker, ENDPOINT, kept))


def with_models(account: Account, count: int, serving: int) -> None:
    for number in range(count):
        account.deployed(name(number), day=number)
    account.serve(name(serving))


def test_the_newest_models_and_the_serving_one_stay(account: Account) -> None:
    with_models(account, 6, serving=5)
    deleted(account, 2)
    assert sorted(account.models) == sorted(account.configs) == [name(3), name(4), name(5)]


def test_an_old_model_that_serves_again_stays_besides_the_newest(account: Account) -> None:
    with_models(account, 6, serving=0)
    deleted(account, 2)
    assert sorted(account.models) == [name(0), name(4), name(5)]


@given(count=st.integers(1, 12), kept=st.integers(1, 12), serving=st.integers(0, 11), other=st.integers(0, 5))
def test_of_any_number_of_models_the_serving_one_and_the_newest_stay(
    count: int, kept: int, serving: int, other: int
) -> None:
    account = Account()
    serving = serving % count
    with_models(account, count, serving)
    account.deployed("their-own", day=other)
    names = deleted(account, kept)
    newest = [name(number) for number in reversed(range(count)) if number != serving]
    assert set(account.models) == {name(serving), *newest[:kept], "their-own"}
    assert set(account.models) == set(account.configs)
    assert names == sorted(2 * newest[kept:])


@pytest.mark.parametrize(
    "theirs",
    [
        f"{ENDPOINT}-two-{'a' * 12}-{'b' * 6}",  # of an endpoint whose name starts with ours
        f"{ENDPOINT}-two",
        f"{ENDPOINT}-",
        f"{ENDPOINT}2-{'a' * 12}-{'b' * 6}",
        f"other-{ENDPOINT}-{'a' * 12}-{'b' * 6}",
        f"{ENDPOINT}-{'A' * 12}-{'b' * 6}",
        f"{ENDPOINT}",
    ],
)
def test_names_that_may_belong_to_another_endpoint_are_neither_described_nor_deleted(
    account: Account, theirs: str
) -> None:
    """The function's role allows no more, so the call would fail."""
    with_models(account, 4, serving=3)
    account.deployed(theirs, day=-1)
    assert theirs not in deleted(account, 1)
    assert theirs in account.models
    assert theirs in account.configs
    assert ("DescribeEndpointConfig", {"EndpointConfigName": theirs}) not in account.calls


def test_a_dot_in_the_endpoint_s_name_matches_only_a_dot(account: Account) -> None:
    account.deployed("press-1", day=0)
    account.serve("press-1", endpoint="pre.s")
    account.deployed(name(1, "preXs"))
    assert keep_last(account.sagemaker, "pre.s", 1) == []


def test_models_of_loupe_deploy_are_deleted_too(account: Account) -> None:
    for number in range(4):
        model = f"{ENDPOINT}-{number:012x}"
        account.deployed(model, day=number, config=f"{model}-{number:06x}")
    account.serve(f"{ENDPOINT}-{3:012x}-{3:06x}")
    deleted(account, 1)
    assert sorted(account.models) == [f"{ENDPOINT}-{number:012x}" for number in (2, 3)]
    assert sorted(account.configs) == [f"{ENDPOINT}-{number:012x}-{number:06x}" for number in (2, 3)]


def test_a_model_that_serves_with_a_foreign_configuration_stays(account: Account) -> None:
    with_models(account, 4, serving=0)
    account.configs["by-hand"] = account.configs[name(0)] | {"EndpointConfigName": "by-hand"}
    account.serve("by-hand")
    deleted(account, 1)
    assert sorted(account.models) == [name(0), name(3)]
    assert sorted(account.configs) == ["by-hand", name(0), name(3)]


def test_a_foreign_model_in_a_configuration_of_ours_is_not_deleted(account: Account) -> None:
    with_models(account, 3, serving=2)
    account.deployed("their-own", day=-1, config=name(9))
    names = deleted(account, 1)
    assert "their-own" in account.models
    assert name(9) in names


@pytest.mark.parametrize("operation", ["DescribeEndpointConfig", "DeleteEndpointConfig", "DeleteModel"])
def test_a_resource_deleted_meanwhile_is_no_error(account: Account, operation: str) -> None:
    with_models(account, 5, serving=4)
    own = getattr(account, f"_{operation}")

    def deleted_first(request: dict[str, Any]) -> Any:
        if name(0) in request.values():
            account.configs.pop(name(0), None)
            account.models.pop(name(0), None)
        return own(request)

    account.answers[operation] = deleted_first
    deleted(account, 1)
    assert sorted(account.configs) == [name(3), name(4)]
    assert sorted(set(account.models) - {name(0)}) == [name(3), name(4)]


def test_a_missing_permission_is_an_error(account: Account) -> None:
    def refuse(_: Any) -> Any:
        raise RefusedError("AccessDeniedException")

    with_models(account, 3, serving=2)
    account.answers["DeleteModel"] = refuse
    with pytest.raises(ClientError, match="AccessDenied"):
        deleted(account, 1)
