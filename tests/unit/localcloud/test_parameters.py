"""Who wrote a parameter, as its history on the local cloud tells it."""

import json
from typing import Any

import pytest
from ministack.core import iam_evaluator
from ministack.services import ssm

from localcloud.ministack import parameters

WRITERS = ["arn:aws:iam::000000000000:user/anna", "arn:aws:sts::000000000000:assumed-role/RulesRole/rules"]


def test_the_history_names_who_wrote_each_version(monkeypatch: pytest.MonkeyPatch) -> None:
    for store in ("_parameters", "_parameter_history"):
        monkeypatch.setattr(ssm, store, type(getattr(ssm, store))())
    monkeypatch.setattr(ssm, "_put_parameter", ssm._put_parameter)
    parameters.apply()
    for writer in WRITERS:
        token = iam_evaluator._request_caller_arn.set(writer)
        ssm._put_parameter({"Name": "/press/rules", "Value": "{}", "Type": "String", "Overwrite": True})
        iam_evaluator._request_caller_arn.reset(token)
    refused = ssm._put_parameter({"Name": "/press/rules", "Value": "{}", "Type": "String"})
    history: list[Any] = json.loads(ssm._get_parameter_history({"Name": "/press/rules"})[2])["Parameters"]
    assert refused[0] == 400
    assert [entry["LastModifiedUser"] for entry in history] == WRITERS
