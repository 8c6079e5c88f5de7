"""Who wrote a parameter on the local cloud, and what a deployment leaves of it."""

import json
from typing import Any

import pytest
from ministack.core import iam_evaluator
from ministack.services import ssm
from ministack.services.cloudformation import provisioners

from localcloud.ministack import parameters

WRITERS = ["arn:aws:iam::000000000000:user/anna", "arn:aws:sts::000000000000:assumed-role/RulesRole/rules"]


RULES = {"Name": "/press/rules", "Type": "String", "Value": "the template's"}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """MiniStack with the changes, and without any parameter."""
    for store in ("_parameters", "_parameter_history"):
        monkeypatch.setattr(ssm, store, type(getattr(ssm, store))())
    monkeypatch.setattr(ssm, "_put_parameter", ssm._put_parameter)
    monkeypatch.setattr(provisioners, "_RESOURCE_HANDLERS", dict(provisioners._RESOURCE_HANDLERS))
    parameters.apply()


def update(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Create the parameter, let somebody change it, update the stack, and return the value."""
    provisioners._provision_resource("AWS::SSM::Parameter", "Rules", old, "press")
    ssm._put_parameter({"Name": "/press/rules", "Value": "somebody's", "Type": "String", "Overwrite": True})
    physical_id, _ = provisioners._update_resource(
        "AWS::SSM::Parameter", "/press/rules", old, new, "press", "Rules"
    )
    assert physical_id == "/press/rules"
    value: str = json.loads(ssm._get_parameter({"Name": "/press/rules"})[2])["Parameter"]["Value"]
    return value


def test_a_deployment_keeps_the_rules_that_somebody_has_changed() -> None:
    assert update(RULES | {"Tags": {"digest": "1"}}, RULES | {"Tags": {"digest": "2"}}) == "somebody's"


def test_a_deployment_of_other_rules_writes_them() -> None:
    assert update(RULES, RULES | {"Value": "the new template's"}) == "the new template's"


def test_the_history_names_who_wrote_each_version() -> None:
    for writer in WRITERS:
        token = iam_evaluator._request_caller_arn.set(writer)
        ssm._put_parameter({"Name": "/press/rules", "Value": "{}", "Type": "String", "Overwrite": True})
        iam_evaluator._request_caller_arn.reset(token)
    refused = ssm._put_parameter({"Name": "/press/rules", "Value": "{}", "Type": "String"})
    history: list[Any] = json.loads(ssm._get_parameter_history({"Name": "/press/rules"})[2])["Parameters"]
    assert refused[0] == 400
    assert [entry["LastModifiedUser"] for entry in history] == WRITERS
