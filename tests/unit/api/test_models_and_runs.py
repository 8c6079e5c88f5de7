"""The routes about models and runs: what they start, what they refuse, and what the history keeps."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from api import aws
from retraining.documents import Documents
from tests.api_support import call, forget
from tests.unit.api.factory import NOW, REGION, Runs
from tests.unit.retraining.account import RefusedError

_ARTEFACTS = "press-artefacts"
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "TABLE_NAME": "press-inspections",
    "INDEX_SHARDS": "1",
    "IMAGES_BUCKET": "press-images",
    "ARTEFACTS_BUCKET": _ARTEFACTS,
    "MAX_IMAGE_BYTES": "1000000",
    "MAX_IMAGE_PIXELS": "1000000",
    "ENDPOINT_NAME": "press-detector",
    "STATE_MACHINE_ARN": Runs.machine,
    "MODEL_PACKAGE_GROUP": "press-0123",
    "DATASET_NAME": "default",
    "REVIEWS_TABLE": "press-reviews",
    "HISTORY_TABLE": "press-history",
}


class Factory(Runs):
    """The runs of the stack, and the history of what people did."""

    def history(self, subject: str) -> list[tuple[str, str]]:
        items = boto3.client("dynamodb").scan(TableName="press-history")["Items"]
        return [(item["by"]["S"], item["action"]["S"]) for item in items if item["subject"]["S"] == subject]


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Factory]:
    for name, value in _ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    forget()
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=_ARTEFACTS, CreateBucketConfiguration={"LocationConstraint": REGION})
        boto3.client("dynamodb").create_table(
            TableName="press-history",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("subject", "at_id")
            ],
            KeySchema=[
                {"AttributeName": "subject", "KeyType": "HASH"},
                {"AttributeName": "at_id", "KeyType": "RANGE"},
            ],
        )
        built = Factory(Documents(aws.s3(), _ARTEFACTS))
        monkeypatch.setattr(aws, "sagemaker", lambda: built.account.sagemaker)
        monkeypatch.setattr(aws, "states", lambda: built.account.states)
        yield built
    forget()


def test_a_run_is_started_with_what_was_asked_and_by_whom(factory: Factory) -> None:
    answer = call("POST", "/runs", "admin", body={"families": ["ssdlite"], "epochs": 5, "force": True})
    ((name, execution),) = factory.executions.items()
    assert (answer.status, answer.body) == (202, {"name": name})
    asked = json.loads(execution["input"])
    assert asked == {
        "trigger": "manual",
        "tune": False,
        "force": True,
        "families": ["ssdlite"],
        "hyperparameters": {"epochs": "5"},
    }
    assert factory.history(f"run#{name}") == [("maria", "started")]


def test_a_second_run_is_not_started(factory: Factory) -> None:
    factory.run("one")
    answer = call("POST", "/runs", "admin", body={})
    assert (answer.status, answer.code) == (409, "already_running")
    assert list(factory.executions) == ["one"]


@pytest.mark.parametrize(
    "body", [{"families": ["no such"]}, {"dataset": "Press 2"}, {"serve": 3}, {"epochs": 0}]
)
def test_what_no_run_can_do_is_refused_before_it_starts(factory: Factory, body: dict[str, Any]) -> None:
    assert call("POST", "/runs", "admin", body=body).status == 400
    assert not factory.executions


def test_the_list_says_how_runs_ended(factory: Factory) -> None:
    output = {"decision": "kept", "reasons": ["no better"], "candidates": [{"map": 0.4}, {"map": None}]}
    factory.run("one", "SUCCEEDED", output=json.dumps(output), stopDate=NOW)
    factory.run("two", "FAILED", error="LabelledDataError", cause="no images", stopDate=NOW)
    factory.run("three", "ABORTED", stopDate=NOW)
    items = {item["name"]: item for item in call("GET", "/runs", "viewer").body["items"]}
    assert (items["one"]["status"], items["one"]["decision"], items["one"]["map"]) == (
        "succeeded",
        "kept",
        0.4,
    )
    assert (items["two"]["status"], items["two"]["reasons"]) == ("failed", ["no images"])
    assert items["three"]["status"] == "stopped"


def test_the_list_says_how_well_a_run_has_learned_from_boxes_or_from_whole_images(factory: Factory) -> None:
    learned = [{"map": None, "image_auroc": 0.98}, {"map": None, "image_auroc": 0.99}, {"error": "no images"}]
    factory.run("one", "SUCCEEDED", output=json.dumps({"candidates": learned}), stopDate=NOW)
    factory.run("two", "RUNNING")
    items = {item["name"]: item for item in call("GET", "/runs", "viewer").body["items"]}
    assert (items["one"]["map"], items["one"]["image_auroc"]) == (None, 0.99)
    assert (items["two"]["map"], items["two"]["image_auroc"]) == (None, None)


def test_a_person_approves_and_the_run_and_the_history_know_who(factory: Factory) -> None:
    factory.run("one")
    factory.waits("0123456789ab")
    assert call("GET", "/runs/one", "viewer").body["waiting_for_approval"]
    answer = call("POST", "/runs/one/approval", "admin", body={"approve": True})
    assert (answer.status, answer.body["version"]) == (200, "3")
    ((kind, request),) = factory.answers
    assert (kind, json.loads(request["output"])["by"]) == ("success", "maria")
    assert factory.history("run#one") == [("maria", "approved")]
    again = call("POST", "/runs/one/approval", "admin", body={"approve": True})
    assert (again.status, again.code) == (409, "already_answered")


def test_a_rejection_has_the_persons_reason(factory: Factory) -> None:
    factory.run("one")
    factory.waits("0123456789ab")
    call("POST", "/runs/one/approval", "admin", body={"approve": False, "comment": "too few pictures"})
    ((kind, request),) = factory.answers
    assert (kind, request["cause"]) == ("failure", "rejected by maria: too few pictures")


def test_a_run_that_was_stopped_meanwhile_is_answered_no_more(factory: Factory) -> None:
    factory.run("one")
    factory.waits("0123456789ab")

    def refuse(_: Any) -> Any:
        raise RefusedError("TaskTimedOut")

    factory.account.answers["SendTaskSuccess"] = refuse
    answer = call("POST", "/runs/one/approval", "admin", body={"approve": True})
    assert (answer.status, answer.code) == (409, "already_answered")
    assert factory.history("run#one") == []


@pytest.mark.parametrize("path", ["/runs/none", "/datasets/none", "/models/compare?versions=1,2"])
def test_what_does_not_exist_is_not_found(factory: Factory, path: str) -> None:
    path, _, query = path.partition("?")
    parts = dict([query.split("=")]) if query else None
    answer = call("GET", path, "viewer", query=parts)
    assert (answer.status, answer.code) == (404, "not_found")


def test_the_model_that_served_before_returns_by_a_run(factory: Factory) -> None:
    factory.registered(1, 2, 3)
    factory.serve(3)
    items = call("GET", "/models", "viewer").body["items"]
    assert [(item["version"], item["status"]) for item in items] == [
        (3, "serving"),
        (2, "former"),
        (1, "former"),
    ]
    answer = call("POST", "/models/rollback", "admin", body={})
    ((name, execution),) = factory.executions.items()
    assert (answer.status, answer.body) == (202, {"name": name, "from": 3, "to": 2})
    assert json.loads(execution["input"]) == {"serve": 2, "trigger": "manual"}
    assert factory.history("model") == [("maria", "rollback")]


@pytest.mark.parametrize(("to", "status", "code"), [(3, 409, "already_serving"), (9, 404, "not_found")])
def test_a_return_that_makes_no_sense_starts_nothing(
    factory: Factory, to: int, status: int, code: str
) -> None:
    factory.registered(1, 2, 3)
    factory.serve(3)
    answer = call("POST", "/models/rollback", "admin", body={"to": to})
    assert (answer.status, answer.code) == (status, code)
    assert not factory.executions
