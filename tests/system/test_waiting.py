"""What keeps images waiting is named within seconds, and the wait goes on until it is mended."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loupe.stack import deployment, endpoint, uploads
from loupe.stack.target import Target
from loupe.stack.waiting import Cause
from tests.system.cloud_process import eventually
from tests.system.test_chain import waiting as in_queue

pytestmark = pytest.mark.system
REPOSITORY = Path(__file__).parents[2]
SAMPLE = REPOSITORY / "samples" / "line-1"


def deploy(target: Target) -> None:
    deployment.deploy(target, deployment.STARTER, deployment.Hosting(), lambda status: None)


@pytest.fixture
def valid(target: Target) -> Iterator[str]:
    """The rules of the stack, whose endpoint is deleted; the cloud is shared, so both are there again at the end."""
    target.sagemaker.delete_endpoint(EndpointName=target.output("EndpointName"))
    eventually(lambda: endpoint.describe(target) is None)
    parameter = target.output("RulesParameterName")
    rules = target.ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
    yield rules
    target.ssm.put_parameter(Name=parameter, Value=rules, Overwrite=True)
    if endpoint.describe(target) is None:
        deploy(target)


def test_a_missing_endpoint_and_then_invalid_rules_are_named_and_mended(target: Target, valid: str) -> None:
    parameter = target.output("RulesParameterName")
    target.ssm.put_parameter(Name=parameter, Value='{"default": {"fail": 7}}', Overwrite=True)
    sources, _ = uploads.find_images([SAMPLE], None, None)
    uploaded = uploads.upload(target, sources[:1], lambda _: None)
    shown: list[Cause] = []

    def mend(cause: Cause) -> None:
        shown.append(cause)
        if "no endpoint" in cause.message:
            deploy(target)
        elif "rules" in cause.message:
            target.ssm.put_parameter(Name=parameter, Value=valid, Overwrite=True)

    records = uploads.follow(target, uploaded, lambda _: None, 100, on_wait=mend)
    assert set(records) == {upload.identity for upload in uploaded}
    assert {record["verdict"] for record in records.values()} <= {"pass", "fail"}
    assert in_queue(target, "DeadLetterQueueUrl") == 0
    assert "there is no endpoint" in shown[0].message
    assert "loupe deploy" in shown[0].hint
    (rules,) = [cause for cause in shown if "rules" in cause.message]
    assert f"the rules in {parameter} are not valid" in rules.message
    assert "loupe rules check" in rules.hint
