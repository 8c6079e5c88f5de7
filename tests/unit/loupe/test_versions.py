"""The registry's versions, and the way back to one of them, on moto's SageMaker."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto.sagemaker.models import sagemaker_backends

from loupe.errors import LoupeError
from loupe.stack import endpoint as models
from loupe.stack import registry
from loupe.stack.target import Target
from tests.unit.loupe.account import answering

HOSTING = {
    "VariantName": "Line",
    "InstanceType": "ml.g4dn.xlarge",
    "InitialInstanceCount": 3,
    "InferenceAmiVersion": "al2-ami-sagemaker-inference-gpu-2",
}
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/serve:2"


class Line:
    """A stack whose endpoint serves, and its registry."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.updates: list[dict[str, Any]] = []
        self.status = "InService"
        target.sagemaker.create_model_package_group(ModelPackageGroupName="press")

    @property
    def endpoint(self) -> Any:
        """moto has no UpdateEndpoint."""
        return sagemaker_backends["123456789012"]["eu-central-1"].endpoints["press"]

    def update(self, request: dict[str, Any]) -> dict[str, str]:
        self.updates.append(request)
        if self.status == "InService":
            self.endpoint.endpoint_config_name = request["EndpointConfigName"]
        return {"EndpointArn": "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/press"}

    def artefact(self, name: str) -> str:
        key = f"models/{name}/model.tar.gz"
        self.target.s3.put_object(Bucket="artefacts", Key=key, Body=b"model")
        return f"s3://artefacts/{key}"

    def register(
        self, name: str, status: str = "Approved", before: str | None = None, model: bool = True
    ) -> str:
        """A version of the run `name`; `before` is what served until then. Returns its SageMaker model's name."""
        uri, made = self.artefact(name), f"press-{name}"
        about = {"run": name, "family": "ssdlite", "tuned": "true", "map": "0.4123", "model_name": made}
        self.target.sagemaker.create_model_package(
            ModelPackageGroupName="press",
            ModelApprovalStatus=status,  # type: ignore[arg-type]
            CustomerMetadataProperties=about,
            InferenceSpecification={"Containers": [{"Image": IMAGE, "ModelDataUrl": uri}]},
        )
        report = json.dumps({"champion_before": before}).encode()
        self.target.s3.put_object(Bucket="artefacts", Key=f"reports/{name}/report.json", Body=report)
        if model:
            self.model(made, uri)
        return made

    def model(self, name: str, uri: str) -> None:
        self.target.sagemaker.create_model(
            ModelName=name,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": uri, "Environment": {"LOG_LEVEL": "INFO"}},
            ExecutionRoleArn="arn:aws:iam::123456789012:role/sagemaker",
        )

    def serve(self, model: str) -> None:
        client, config = self.target.sagemaker, f"{model}-config"
        variant: Any = {**HOSTING, "ModelName": model}
        client.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant])
        client.create_endpoint(EndpointName="press", EndpointConfigName=config)

    def serves(self) -> str:
        now = models.serving(self.target)
        assert now is not None
        return now.name


@pytest.fixture
def line(stack: Target) -> Iterator[Line]:
    made = Line(stack)
    with answering(stack, "sagemaker", UpdateEndpoint=made.update):
        yield made


def _versions(line: Line) -> list[registry.Version]:
    return registry.versions(line.target, models.serving(line.target))


def _back(line: Line, number: int | None = None, force: bool = False) -> registry.Returned:
    return registry.rollback(line.target, number, force, lambda _: None, patience=1)


def test_versions_come_newest_first_and_tell_which_one_serves(line: Line):
    for name, status in [("a", "Approved"), ("b", "Approved"), ("c", "PendingManualApproval")]:
        line.register(name, status)
    line.serve("press-b")
    found = [version.document() for version in _versions(line)]
    assert [(each["version"], each["status"], each["serving"]) for each in found] == [
        (3, "PendingManualApproval", False),
        (2, "Approved", True),
        (1, "Approved", False),
    ]
    assert {(each["family"], each["tuned"], each["map"]) for each in found} == {("ssdlite", True, 0.4123)}


def test_before_the_first_run_there_is_neither_version_nor_endpoint(stack: Target):
    assert models.serving(stack) is None
    assert registry.versions(stack, None) == []


def test_without_a_number_comes_back_what_served_before_not_what_is_next_in_the_list(line: Line):
    for name, before in [("a", None), ("b", "press-a"), ("c", "press-a")]:
        line.register(name, before=before)
    line.serve("press-c")
    assert _back(line) == registry.Returned("press-a", 1, True)
    assert line.serves() == "press-a"


def test_a_model_that_was_deployed_by_hand_comes_back_too(line: Line):
    line.model("press-starter", line.artefact("starter"))
    line.register("a", before="press-starter")
    line.serve("press-a")
    assert _back(line) == registry.Returned("press-starter", None, True)
    assert line.serves() == "press-starter"


def test_without_a_trace_of_what_served_before_the_newest_approved_version_comes_back(line: Line):
    for name, status in [("a", "Approved"), ("b", "Approved"), ("c", "Rejected"), ("d", "Approved")]:
        line.register(name, status)
    line.target.s3.delete_object(Bucket="artefacts", Key="reports/d/report.json")
    line.serve("press-d")
    assert _back(line).version == 2


def test_a_version_whose_model_was_deleted_is_made_again_in_the_present_container(line: Line):
    line.register("a", model=False)
    line.register("b")
    line.serve("press-b")
    done = _back(line, 1)
    now = models.serving(line.target)
    assert now is not None
    assert (now.name, done.version) == (done.model, 1)
    assert now.container == {
        "Image": IMAGE,
        "ModelDataUrl": "s3://artefacts/models/a/model.tar.gz",
        "Environment": {"LOG_LEVEL": "INFO"},
    }
    tags = line.target.sagemaker.list_tags(ResourceArn=now.model["ModelArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"loupe:family": "ssdlite", "loupe:run": "a"}


def test_hosting_stays_as_it_is_and_so_does_the_number_of_instances(line: Line):
    line.register("a")
    line.register("b")
    line.serve("press-b")
    _back(line, 1)
    now = models.serving(line.target)
    assert now is not None
    assert now.config["ProductionVariants"] == [{**HOSTING, "ModelName": "press-a"}]
    assert [update["RetainAllVariantProperties"] for update in line.updates] == [True]


def test_what_serves_already_is_left_alone(line: Line):
    line.register("a")
    line.serve("press-a")
    assert _back(line, 1) == registry.Returned("press-a", 1, False)
    assert line.updates == []


@pytest.mark.parametrize("status", ["Rejected", "PendingManualApproval"])
def test_what_nobody_approved_comes_back_by_force_only(line: Line, status: str):
    line.register("a", status)
    line.register("b")
    line.serve("press-b")
    with pytest.raises(LoupeError, match=f"version 1 is {status}"):
        _back(line, 1)
    assert line.updates == []
    assert _back(line, 1, force=True).version == 1


def test_an_unknown_version_is_refused_with_those_that_there_are(line: Line):
    line.register("a")
    line.serve("press-a")
    with pytest.raises(LoupeError, match="no version 7") as caught:
        _back(line, 7)
    assert "1" in caught.value.hint


def test_without_an_endpoint_there_is_nothing_to_return(line: Line):
    line.register("a")
    with pytest.raises(LoupeError, match="no endpoint"):
        _back(line, 1)


def test_with_one_version_only_there_is_no_way_back(line: Line):
    line.register("a")
    line.serve("press-a")
    with pytest.raises(LoupeError, match="no earlier version"):
        _back(line)


def test_an_endpoint_that_changes_is_not_disturbed(line: Line):
    line.register("a")
    line.register("b")
    line.serve("press-b")
    line.endpoint.endpoint_status = "Updating"
    with pytest.raises(LoupeError, match="Updating"):
        _back(line, 1)
    assert line.updates == []


def test_an_artefact_that_is_gone_is_told_before_anything_is_made(line: Line):
    line.register("a", model=False)
    line.register("b")
    line.serve("press-b")
    line.target.s3.delete_object(Bucket="artefacts", Key="models/a/model.tar.gz")
    with pytest.raises(LoupeError, match="cannot be read"):
        _back(line, 1)
    assert line.serves() == "press-b"


def test_an_endpoint_that_keeps_its_model_is_an_error(line: Line):
    line.register("a")
    line.register("b")
    line.serve("press-b")
    line.status = "the container does not answer"  # UpdateEndpoint is taken, and SageMaker falls back
    with pytest.raises(LoupeError, match="kept its former model"):
        _back(line, 1)
