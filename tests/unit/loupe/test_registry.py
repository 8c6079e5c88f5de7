"""The registry's versions, and the rollback to one of them, on moto's SageMaker."""

from typing import Any

import pytest

from loupe.errors import LoupeError
from loupe.stack import endpoint, registry
from loupe.stack.rollback import RollbackResult, rollback
from loupe.stack.target import Target
from tests.unit.loupe.account import answering
from tests.unit.loupe.serving_stack import HOSTING, IMAGE, Stack


def _versions(press: Stack) -> list[registry.Version]:
    return registry.versions(press.target, endpoint.describe(press.target))


def _roll_back(press: Stack, number: int | None = None, force: bool = False) -> RollbackResult:
    return rollback(press.target, number, force, lambda _: None, timeout_s=1)


def test_versions_come_newest_first_and_the_serving_one_is_marked(press: Stack):
    for name, status in [("a", "Approved"), ("b", "Approved"), ("c", "PendingManualApproval")]:
        press.register(name, status)
    press.serve("press-b")
    documents = [version.document() for version in _versions(press)]
    assert [(version["version"], version["status"], version["serving"]) for version in documents] == [
        (3, "PendingManualApproval", False),
        (2, "Approved", True),
        (1, "Approved", False),
    ]
    scores = {(version["family"], version["tuned"], version["map"]) for version in documents}
    assert scores == {("ssdlite", True, 0.4123)}


def test_after_a_rejection_and_a_rollback_only_what_the_endpoint_serves_is_shown_as_serving(press: Stack):
    """The rejected version has the same artefact as the approved one, because the run was repeated."""
    press.register("a", "Rejected")
    press.serve(press.register("b", artefact="a"))
    assert [version.number for version in _versions(press) if version.serving] == [2]
    press.register("c", before="press-b")
    press.target.sagemaker.delete_endpoint(EndpointName="press")
    press.serve("press-c")
    assert [version.number for version in _versions(press) if version.serving] == [3]
    _roll_back(press)
    assert [version.number for version in _versions(press) if version.serving] == [2]


def test_a_model_that_a_rollback_created_again_belongs_to_the_approved_version(press: Stack):
    for name, status in [("a", "Approved"), ("b", "Rejected")]:
        press.register(name, status, model=False, artefact="a")
    press.register("c")
    press.serve("press-c")
    result = _roll_back(press, 1)
    assert result.model not in ("press-a", "press-b")
    assert [version.number for version in _versions(press) if version.serving] == [1]


def test_during_a_swap_both_models_are_shown_with_their_share(press: Stack):
    for name in ("a", "b"):
        press.register(name, "Approved")
    press.serve("press-b")
    variant: Any = {**HOSTING, "ModelName": "press-b"}
    press.target.sagemaker.create_endpoint_config(EndpointConfigName="next", ProductionVariants=[variant])

    def swapping(request: Any) -> Any:
        return {
            "EndpointName": "press",
            "EndpointArn": "arn",
            "EndpointStatus": "Updating",
            "EndpointConfigName": "press-a-config",
            "ProductionVariants": [{"VariantName": "Line", "CurrentWeight": 0.9}],
            "PendingDeploymentSummary": {
                "EndpointConfigName": "next",
                "ProductionVariants": [{"VariantName": "Line", "CurrentWeight": 0.1}],
            },
        }

    first: Any = {**HOSTING, "ModelName": "press-a"}
    press.target.sagemaker.create_endpoint_config(
        EndpointConfigName="press-a-config", ProductionVariants=[first]
    )
    with answering(press.target, "sagemaker", DescribeEndpoint=swapping):
        shares = {version.number: version.share for version in _versions(press)}
    assert shares == {1: pytest.approx(0.9), 2: pytest.approx(0.1)}


@pytest.mark.parametrize("status", ["Creating", "Failed", "Deleting", "OutOfService"])
def test_an_endpoint_that_does_not_answer_serves_no_version(press: Stack, status: str):
    press.register("a")
    press.serve("press-a")
    press.endpoint.endpoint_status = status
    assert [version.serving for version in _versions(press)] == [False]


def test_before_the_first_run_there_is_neither_version_nor_endpoint(stack: Target):
    assert endpoint.describe(stack) is None
    assert registry.versions(stack, None) == []


def test_without_a_number_the_model_that_served_before_returns_not_the_next_in_the_list(press: Stack):
    for name, before in [("a", None), ("b", "press-a"), ("c", "press-a")]:
        press.register(name, before=before)
    press.serve("press-c")
    result = _roll_back(press)
    assert (result.model, result.version, result.changed) == ("press-a", 1, True)
    assert press.serves() == "press-a"


def test_a_model_that_was_deployed_by_hand_returns_too(press: Stack):
    press.create_model("press-starter", press.upload_artefact("starter"))
    press.register("a", before="press-starter")
    press.serve("press-a")
    result = _roll_back(press)
    assert (result.model, result.version, result.changed) == ("press-starter", None, True)
    assert press.serves() == "press-starter"


def test_without_a_report_the_newest_approved_version_returns(press: Stack):
    for name, status in [("a", "Approved"), ("b", "Approved"), ("c", "Rejected"), ("d", "Approved")]:
        press.register(name, status)
    press.target.s3.delete_object(Bucket="artefacts", Key="reports/d/report.json")
    press.serve("press-d")
    assert _roll_back(press).version == 2


def test_a_deleted_model_is_created_again_in_the_current_container(press: Stack):
    press.register("a", model=False)
    press.register("b")
    press.serve("press-b")
    result = _roll_back(press, 1)
    current = endpoint.describe(press.target)
    assert current is not None
    assert (current.model_name, result.version) == (result.model, 1)
    assert current.container == {
        "Image": IMAGE,
        "ModelDataUrl": "s3://artefacts/models/a/model.tar.gz",
        "Environment": {"LOG_LEVEL": "INFO"},
    }
    tags = press.target.sagemaker.list_tags(ResourceArn=current.model["ModelArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {
        "loupe:family": "ssdlite",
        "loupe:run": "a",
        "loupe:dataset": "bottles",
    }


def test_the_hosting_and_the_number_of_instances_stay(press: Stack):
    press.register("a")
    press.register("b")
    press.serve("press-b")
    _roll_back(press, 1)
    current = endpoint.describe(press.target)
    assert current is not None
    assert current.config["ProductionVariants"] == [{**HOSTING, "ModelName": "press-a"}]
    assert [update["RetainAllVariantProperties"] for update in press.updates] == [True]


def test_a_version_that_serves_already_changes_nothing(press: Stack):
    press.register("a")
    press.serve("press-a")
    assert _roll_back(press, 1) == RollbackResult("press-a", 1, False)
    assert press.updates == []


@pytest.mark.parametrize("status", ["Rejected", "PendingManualApproval"])
def test_a_version_without_approval_returns_with_force_only(press: Stack, status: str):
    press.register("a", status)
    press.register("b")
    press.serve("press-b")
    with pytest.raises(LoupeError, match=f"version 1 is {status}"):
        _roll_back(press, 1)
    assert press.updates == []
    assert _roll_back(press, 1, force=True).version == 1


def test_an_unknown_version_is_refused_with_the_known_ones(press: Stack):
    press.register("a")
    press.serve("press-a")
    with pytest.raises(LoupeError, match="no version 7") as caught:
        _roll_back(press, 7)
    assert "1" in caught.value.hint


def test_without_an_endpoint_a_rollback_is_refused(press: Stack):
    press.register("a")
    with pytest.raises(LoupeError, match="no endpoint"):
        _roll_back(press, 1)


def test_the_only_version_has_no_earlier_one(press: Stack):
    press.register("a")
    press.serve("press-a")
    with pytest.raises(LoupeError, match="no earlier version"):
        _roll_back(press)


def test_an_endpoint_that_is_updating_is_left_alone(press: Stack):
    press.register("a")
    press.register("b")
    press.serve("press-b")
    press.endpoint.endpoint_status = "Updating"
    with pytest.raises(LoupeError, match="Updating"):
        _roll_back(press, 1)
    assert press.updates == []


def test_a_missing_artefact_is_an_error_before_anything_is_created(press: Stack):
    press.register("a", model=False)
    press.register("b")
    press.serve("press-b")
    press.target.s3.delete_object(Bucket="artefacts", Key="models/a/model.tar.gz")
    with pytest.raises(LoupeError, match="cannot be read"):
        _roll_back(press, 1)
    assert press.serves() == "press-b"


def test_an_update_that_sagemaker_rolls_back_is_an_error(press: Stack):
    press.register("a")
    press.register("b")
    press.serve("press-b")
    # SageMaker accepts UpdateEndpoint, and returns to the old model.
    press.status = "the container does not answer"
    with pytest.raises(LoupeError, match="kept its previous model"):
        _roll_back(press, 1)
