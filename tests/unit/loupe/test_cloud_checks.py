"""What `loupe cloud create` looks at before it creates anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from contract.instances import UnsuitableInstanceError
from loupe.account import quotas, settings, tools
from loupe.account.account import Account
from loupe.account.checks import Checked
from loupe.account.cloudformation import Stack
from loupe.account.problem import Problem
from loupe.account.settings import Environment, Settings, Wishes
from loupe.errors import LoupeError
from loupe.stack.target import Target
from tests.unit.loupe.account import RefusedError, answering

REGION = "eu-central-1"
CODES = {
    "ml.g5.xlarge for endpoint usage": "L-1928E07B",
    "ml.g5.xlarge for spot training job usage": "L-C8282C5E",
    "ml.c5.2xlarge for processing job usage": "L-B63CF6AA",
}


@pytest.fixture
def account() -> Iterator[Account]:
    with mock_aws():
        yield Account(boto3.Session("testing", "testing", region_name=REGION), None, "loupe")


@pytest.fixture(autouse=True)
def images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings.images, "tag", lambda kind: "1")


def with_parameters(**parameters: str) -> Stack:
    return Stack("arn", "CREATE_COMPLETE", "", parameters, {"EndpointName": "press"}, "2026")


def problems(account: Account, wishes: Wishes | None = None) -> list[Problem]:
    checked = Checked(account, wishes or Wishes(serving_image="my/image:1", training_image="my/image:2"))
    checked.run(lambda name: None)
    return checked.problems


@pytest.mark.parametrize("name", ["Loupe", "9-lives", "under_score", "x" * 35, ""])
def test_a_name_that_buckets_and_endpoints_cannot_have_is_refused(account: Account, name: str):
    refused = problems(Account(account.session, None, name))
    assert any("cannot be a stack's name" in problem.message for problem in refused)


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(tools.shutil, "which", lambda name: None)
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    found = problems(
        Account(boto3.Session("a", "b"), None, "Bad Name"), Wishes(model=tmp_path / "none.tar.gz")
    )
    text = " ".join(problem.message for problem in found)
    for part in ("stack's name", "none.tar.gz is not a model", "make is not installed", "no AWS region"):
        assert part in text
    assert all(problem.hint for problem in found)


def test_the_region_is_that_of_the_variable_before_that_of_the_profile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "config").write_text("[default]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    assert Account.open("loupe").region == "eu-west-1"
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert Account.open("loupe").region == "eu-central-1"
    with mock_aws():
        boto3.client("cloudformation", "eu-central-1").create_stack(
            StackName="loupe", TemplateBody='{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
        )
        assert Target.aws("loupe").session.region_name == "eu-central-1"


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_a_part_of_aws_that_lacks_a_service_is_refused_by_name(region: str, partition: str):
    with mock_aws():
        found = problems(Account(boto3.Session("a", "b", region_name=region), None, "loupe"))
    assert any(partition in problem.message and problem.level == "error" for problem in found)


def existing(status: str, *resources: str, **outputs: str) -> dict[str, Callable[[dict[str, Any]], Any]]:
    """Return CloudFormation's answers about a stack."""
    described = {
        "StackId": "arn",
        "StackStatus": status,
        "StackStatusReason": "no such bucket",
        "CreationTime": datetime.now(UTC),
        "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()],
    }
    listed = [{"LogicalResourceId": name} for name in resources]
    return {
        "DescribeStacks": lambda request: {"Stacks": [described]},
        "ListStackResources": lambda request: {"StackResourceSummaries": listed},
    }


@pytest.mark.parametrize(
    ("answers", "level", "message"),
    [
        (existing("CREATE_COMPLETE", TopicArn="arn"), "error", "is not Loupe"),
        (existing("ROLLBACK_COMPLETE", "Topic"), "error", "is not Loupe"),
        (
            existing("ROLLBACK_COMPLETE", "ImagesBucket"),
            "warning",
            "never created completely (ROLLBACK_COMPLETE)",
        ),
        (existing("UPDATE_ROLLBACK_FAILED", "ImagesBucket"), "error", "no such bucket"),
        (existing("DELETE_FAILED", "ImagesBucket"), "error", "half deleted"),
    ],
)
def test_a_stack_that_cannot_be_updated_is_noticed(
    account: Account, answers: dict[str, Any], level: str, message: str
):
    clients: Any = SimpleNamespace(stacks=account.client("cloudformation"))
    with answering(clients, "stacks", **answers):
        first = problems(account)[0]
    assert (first.level, message in first.message) == (level, True)
    assert first.hint


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"Nonsense": "1"}, "no parameter Nonsense"),
        ({"LogRetentionDays": "8"}, "must be one of"),
        ({"AlertEmail": "nobody"}, "e-mail"),
        ({"KeptModels": "many"}, "number"),
        ({"CanaryPercent": "80"}, "from 5 to 50"),
        ({"EndpointMinInstances": "3"}, "above EndpointMaxInstances"),
    ],
)
def test_a_parameter_that_cloudformation_would_refuse_is_refused_before_the_build(
    account: Account, parameters: dict[str, str], reason: str
):
    wishes = Wishes(parameters=parameters, serving_image="my/image:1", training_image="my/image:2")
    assert any(reason in problem.message for problem in problems(account, wishes))


def test_the_instance_type_chooses_image_and_host_image(account: Account):
    chosen = settings.settle(account, None, Wishes())
    assert chosen.value("ServingImageUri").endswith("/loupe/serve-gpu:1")
    assert chosen.value("InferenceAmiVersion") == "al2023-ami-sagemaker-inference-gpu-4-1"
    assert set(chosen.images) == {"serve-gpu", "train"}
    cpu = settings.settle(account, None, Wishes(parameters={"HostingInstanceType": "ml.c6i.xlarge"}))
    assert cpu.value("ServingImageUri").endswith("/loupe/serve:1")
    assert cpu.parameters["InferenceAmiVersion"] == ""
    with pytest.raises(UnsuitableInstanceError, match="Arm"):
        settings.settle(account, None, Wishes(parameters={"HostingInstanceType": "ml.c7g.xlarge"}))


def test_what_is_not_given_keeps_its_value_and_options_come_first(account: Account):
    had = with_parameters(LogRetentionDays="90", KeptModels="5", UniquePart="first", NoLongerThere="1")
    dev = Environment(
        "dev", "loupe-dev", {"LogRetentionDays": "7", "LogLevel": "DEBUG", "UniquePart": "first"}
    )
    chosen = settings.settle(account, had, Wishes(dev, {"LogLevel": "ERROR"}))
    names = ("LogRetentionDays", "KeptModels", "LogLevel")
    assert [chosen.parameters[name] for name in names] == ["7", "5", "ERROR"]
    assert "NoLongerThere" not in chosen.parameters


@pytest.mark.parametrize(
    ("existing", "part"),
    [
        (None, "first"),
        (with_parameters(UniquePart="last"), "last"),
        (with_parameters(KeptModels="3"), "last"),
    ],
)
def test_a_stack_keeps_the_names_of_its_buckets(account: Account, existing: Stack | None, part: str):
    dev = Environment("dev", "loupe-dev", {"UniquePart": "first"})
    assert settings.settle(account, existing, Wishes(dev)).parameters["UniquePart"] == part


def test_an_image_of_the_users_own_stays(account: Account):
    own = with_parameters(
        ServingImageUri="1.dkr.ecr.eu-central-1.amazonaws.com/theirs:7", InferenceAmiVersion="their-host"
    )
    chosen = settings.settle(account, own, Wishes())
    assert chosen.value("ServingImageUri").endswith("/theirs:7")
    assert chosen.value("InferenceAmiVersion") == "their-host"
    assert set(chosen.images) == {"train"}


@pytest.mark.parametrize("name", ["default", *settings.environments()])
def test_every_environment_of_samconfig_has_parameters_that_the_template_accepts(name: str):
    environment = settings.environment(name)
    assert settings.problems(environment.parameters) == []
    assert len(environment.stack) <= 34


def test_the_environments_are_development_staging_and_production():
    assert settings.environments() == ["dev", "staging", "production"]
    development, production = settings.environment("dev"), settings.environment("production")
    assert (development.stack, production.stack) == ("loupe-dev", "loupe")
    assert development.parameters["EndpointMaxInstances"] == "1"
    assert production.parameters["EndpointMinInstances"] == "2"
    with pytest.raises(LoupeError, match="no environment 'test'"):
        settings.environment("test")


def check_quotas(account: Account, values: dict[str, float], defaults: dict[str, float] | None = None) -> Any:
    def answer(quotas: dict[str, float]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        listed = [
            {"QuotaName": name, "QuotaCode": CODES[name], "Value": value} for name, value in quotas.items()
        ]
        return lambda request: {"Quotas": listed}

    chosen = Settings(
        {"EndpointMinInstances": "2", "EndpointMaxInstances": "2", "InspectConcurrency": "2"}, images={}
    )
    clients: Any = SimpleNamespace(
        quotas=account.client("service-quotas"), functions=account.client("lambda")
    )
    defaults = dict.fromkeys(CODES, 10.0) if defaults is None else defaults
    limit = {"AccountLimit": {"UnreservedConcurrentExecutions": 1000}}
    with (
        answering(
            clients, "quotas", ListServiceQuotas=answer(values), ListAWSDefaultServiceQuotas=answer(defaults)
        ),
        answering(clients, "functions", GetAccountSettings=lambda request: limit),
    ):
        return quotas.check(account, chosen)


def test_quotas_that_are_large_enough_are_no_problem(account: Account):
    assert check_quotas(account, {}) == []


def test_a_quota_under_the_first_fleet_is_an_error_and_one_under_a_swap_a_warning(account: Account):
    (none,) = check_quotas(account, {"ml.g5.xlarge for endpoint usage": 0})
    assert none.level == "error"
    assert "'ml.g5.xlarge for endpoint usage' (L-1928E07B) is 0" in none.message
    assert "request-service-quota-increase" in none.hint
    assert "--quota-code L-1928E07B --desired-value 4 --region eu-central-1" in none.hint
    (few,) = check_quotas(account, {"ml.g5.xlarge for endpoint usage": 2})
    assert (few.level, "a swap" in few.message) == ("warning", True)
    (training,) = check_quotas(account, {"ml.g5.xlarge for spot training job usage": 0})
    assert (training.level, "a retraining" in training.message) == ("warning", True)


def test_an_anomaly_model_needs_an_instance_without_a_gpu_to_train_on():
    def trainings(families: str) -> dict[str, int]:
        needed = quotas.needs(Settings({"RetrainFamilies": families}, images={}))
        return {need.name: need.later for need in needed if "training job" in need.name}

    anomaly, both = "patchcore_efficientnet_lite0", "patchcore_efficientnet_lite0, ssdlite"
    assert trainings(anomaly) == {"ml.c5.2xlarge for spot training job usage": 1}
    assert trainings(both) == {
        "ml.c5.2xlarge for spot training job usage": 1,
        "ml.g5.xlarge for spot training job usage": 2,
    }


def test_quotas_that_cannot_be_read_are_a_warning(account: Account):
    def refuse(request: dict[str, Any]) -> None:
        raise RefusedError("AccessDeniedException", "no")

    clients: Any = SimpleNamespace(quotas=account.client("service-quotas"))
    with answering(clients, "quotas", ListServiceQuotas=refuse, ListAWSDefaultServiceQuotas=refuse):
        found = quotas.check(account, Settings({}, {}))
    assert found[0].level == "warning"
    assert "cannot be read" in found[0].message
