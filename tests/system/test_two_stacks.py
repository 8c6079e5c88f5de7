"""Two stacks in one account: neither takes a name of the other, and each keeps to what is its own."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import Connection, deploy
from localcloud.sources import REPOSITORY
from tests.system.cloud_process import CloudProcess, eventually

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    process = CloudProcess(tmp_path_factory.mktemp("home"), REPOSITORY)
    yield process.connection
    assert process.stop() == 0


def deploy_again(cloud: Connection, stack: str) -> dict[str, str]:
    """Update a stack from its own template on S3, with all but one of its parameters as they are."""
    cloudformation, s3 = cloud.client("cloudformation"), cloud.client("s3")
    body = cloudformation.get_template(StackName=stack)["TemplateBody"]
    s3.put_object(
        Bucket=deploy.STAGING_BUCKET,
        Key="again.json",
        Body=(body if isinstance(body, str) else json.dumps(body)).encode(),
    )
    (description,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    names = [parameter["ParameterKey"] for parameter in description["Parameters"]]
    parameters = [
        {"ParameterKey": name, "ParameterValue": "7"}
        if name == "CanarySeconds"
        else {"ParameterKey": name, "UsePreviousValue": True}
        for name in names
    ]
    change_set = {"StackName": stack, "ChangeSetName": "again"}
    cloudformation.create_change_set(
        **change_set,
        ChangeSetType="UPDATE",
        TemplateURL=f"{cloud.endpoint_url}/{deploy.STAGING_BUCKET}/again.json",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=parameters,
    )
    eventually(lambda: cloudformation.describe_change_set(**change_set)["Status"] == "CREATE_COMPLETE")
    cloudformation.execute_change_set(**change_set)

    def updated() -> Any:
        (stack_now,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        return stack_now["StackStatus"] == "UPDATE_COMPLETE" and stack_now

    found = eventually(updated)
    return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in found["Parameters"]}


def inspected(cloud: Connection, outputs: dict[str, str]) -> int:
    """The number of records of a stack."""
    count: int = cloud.client("dynamodb").scan(TableName=outputs["InspectionsTableName"])["Count"]
    return count


def drop(cloud: Connection, outputs: dict[str, str], name: str) -> None:
    key = f"incoming/line/station/{name}.jpg"
    cloud.client("s3").put_object(Bucket=outputs["ImagesBucketName"], Key=key, Body=b"no image")


def test_two_stacks_live_side_by_side_and_one_leaves_alone(cloud: Connection) -> None:
    one = cloud.outputs
    two = deploy.deploy(replace(cloud, stack_name="second"), Path(REPOSITORY), {})
    named = [name for name in one if name.endswith(("Name", "Url", "Arn")) and name != "DatasetName"]
    assert [name for name in named if one[name] == two.get(name)] == []

    drop(cloud, two, "a")
    eventually(lambda: inspected(cloud, two) == 1)
    assert inspected(cloud, one) == 0

    parameters = deploy_again(cloud, "second")
    assert (parameters["CanarySeconds"], parameters["IndexShards"]) == ("7", "1")

    cloudformation = cloud.client("cloudformation")
    cloudformation.delete_stack(StackName="second")

    def gone() -> bool:
        try:
            (stack,) = cloudformation.describe_stacks(StackName="second")["Stacks"]
        except ClientError:
            return True
        assert stack["StackStatus"] == "DELETE_IN_PROGRESS", stack
        return False

    eventually(gone)
    drop(cloud, one, "b")
    eventually(lambda: inspected(cloud, one) == 1)
