"""The champion: the model that serves, read from the endpoint."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from retraining import champion
from retraining.champion import Champion
from tests.unit.retraining.account import ENDPOINT, Account, RefusedError, model_arn


def find(account: Account) -> Champion | None:
    return champion.find(account.sagemaker, ENDPOINT)


def test_without_an_endpoint_there_is_no_champion(account: Account) -> None:
    assert find(account) is None


@pytest.mark.parametrize("status", ["Creating", "Failed", "OutOfService", "Deleting"])
def test_an_endpoint_that_never_came_into_service_has_no_champion(account: Account, status: str) -> None:
    account.deployed("press-1")
    account.serve("press-1", status)
    assert find(account) is None


@pytest.mark.parametrize(
    "status", ["InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"]
)
def test_the_champion_is_found_even_while_the_endpoint_changes(account: Account, status: str) -> None:
    account.deployed("press-1", config="press-1-a", artefact="s3://artefacts/models/1/model.tar.gz")
    account.serve("press-1-a", status)
    assert find(account) == Champion(
        "press-1", model_arn("press-1"), "press-1-a", "s3://artefacts/models/1/model.tar.gz"
    )


def test_the_state_machine_gets_all_fields_of_the_champion(account: Account) -> None:
    account.deployed("press-1")
    account.serve("press-1")
    serving = find(account)
    assert serving is not None
    assert serving.document() == {
        "model": "press-1",
        "model_arn": model_arn("press-1"),
        "config": "press-1",
        "artefact": "s3://artefacts/models/press-1/model.tar.gz",
    }


@pytest.mark.parametrize("status", [None, "Creating", "Deleting"])
def test_while_the_endpoint_rests_its_next_model_is_the_champion(
    account: Account, status: str | None
) -> None:
    account.deployed("press-1", config="press-1-a")
    if status:
        account.serve("press-1-a", status)
    resting = champion.find(account.sagemaker, ENDPOINT, lambda: "press-1-a")
    assert resting
    assert (resting.model, resting.config) == ("press-1", "press-1-a")


def test_the_model_that_serves_is_the_champion_whatever_is_remembered(account: Account) -> None:
    account.deployed("press-1")
    account.serve("press-1")
    serving = champion.find(account.sagemaker, ENDPOINT, lambda: pytest.fail("nothing else is asked"))
    assert serving
    assert serving.config == "press-1"


def test_an_endpoint_that_cannot_be_described_is_not_taken_for_a_missing_one(account: Account) -> None:
    def refuse(_: Any) -> Any:
        raise RefusedError("AccessDeniedException")

    account.answers["DescribeEndpoint"] = refuse
    with pytest.raises(ClientError, match="AccessDenied"):
        find(account)
