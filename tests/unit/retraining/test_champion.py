"""The model that serves, as the endpoint tells it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from retraining import champion
from retraining.champion import Champion
from tests.unit.retraining.account import ENDPOINT, Account, RefusedError, model_arn


def find(account: Account) -> Champion | None:
    return champion.find(account.sagemaker, ENDPOINT)


def test_without_an_endpoint_there_is_none(account: Account) -> None:
    assert find(account) is None


@pytest.mark.parametrize("status", ["Creating", "Failed", "OutOfService", "Deleting"])
def test_an_endpoint_that_never_came_up_has_none(account: Account, status: str) -> None:
    account.deployed("press-1")
    account.serve("press-1", status)
    assert find(account) is None


@pytest.mark.parametrize(
    "status", ["InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"]
)
def test_what_serves_is_told_also_while_the_endpoint_changes(account: Account, status: str) -> None:
    account.deployed("press-1", config="press-1-a", artefact="s3://artefacts/models/1/model.tar.gz")
    account.serve("press-1-a", status)
    assert find(account) == Champion(
        "press-1", model_arn("press-1"), "press-1-a", "s3://artefacts/models/1/model.tar.gz"
    )


def test_the_state_machine_gets_all_of_it(account: Account) -> None:
    account.deployed("press-1")
    account.serve("press-1")
    found = find(account)
    assert found is not None
    assert found.document() == {
        "model": "press-1",
        "model_arn": model_arn("press-1"),
        "config": "press-1",
        "artefact": "s3://artefacts/models/press-1/model.tar.gz",
    }


def test_an_endpoint_that_may_not_be_seen_is_not_taken_for_none(account: Account) -> None:
    def refuse(_: Any) -> Any:
        raise RefusedError("AccessDeniedException")

    account.answers["DescribeEndpoint"] = refuse
    with pytest.raises(ClientError, match="AccessDenied"):
        find(account)
