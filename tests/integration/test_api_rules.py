"""The rules by the API: read, change, history, and the way back; on moto."""

import functools
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

from api import aws
from tests.api_support import IAM, call, event, forget, send
from tests.stack_template import stack_template

FIRST: dict[str, Any] = {"version": "1", "default": {"fail_score": 0.5, "review_score": 0.3}}
STRICTER = {"version": "2", "default": {"fail_score": 0.4, "review_score": 0.2}}


@dataclass(frozen=True)
class Rules:
    """The parameter of one test."""

    ssm: Any
    name: str

    def put(self, document: Any) -> None:
        """Write as retraining and the console do."""
        self.ssm.put_parameter(Name=self.name, Value=json.dumps(document), Type="String", Overwrite=True)

    @property
    def parameter(self) -> dict[str, Any]:
        parameter: dict[str, Any] = self.ssm.get_parameter(Name=self.name)["Parameter"]
        return parameter


@functools.cache
def declared() -> Any:
    template = stack_template()
    return template["Resources"]["HistoryTable"]["Properties"]


@pytest.fixture(scope="module")
def _account() -> Iterator[Any]:
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        forget()
        yield boto3.client("ssm")
    forget()


@pytest.fixture
def rules(_account: Any, monkeypatch: pytest.MonkeyPatch) -> Rules:
    mark = uuid.uuid4().hex[:8]
    monkeypatch.setenv("RULES_PARAMETER", f"/press-{mark}/rules")
    monkeypatch.setenv("RULES_CACHE_SECONDS", "30")
    monkeypatch.setenv("REVIEWS_TABLE", f"reviews-{mark}")
    monkeypatch.setenv("HISTORY_TABLE", f"history-{mark}")
    aws.dynamodb().create_table(
        TableName=f"history-{mark}",
        **{name: declared()[name] for name in ("BillingMode", "AttributeDefinitions", "KeySchema")},
    )
    created = Rules(_account, f"/press-{mark}/rules")
    created.put(FIRST)
    return created


def change(document: Any, number: int = 1, *, name: str = "anna", **body: Any) -> Any:
    return call("PUT", "/rules", "admin", name=name, body={"document": document, "number": number, **body})


def history(**query: Any) -> Any:
    return call("GET", "/rules/history", "viewer", query=query).body


def test_everybody_sees_the_rules_with_their_number_and_every_value(rules: Rules) -> None:
    answer = call("GET", "/rules", "viewer")
    assert answer.status == 200
    body = answer.body
    assert (body["number"], body["version"], body["document"], body["notes"]) == (1, "1", FIRST, [])
    assert body["complete"]["default"]["smallest_area"] == 0


def test_a_change_is_in_force_and_the_history_names_who_made_it(rules: Rules) -> None:
    answer = change(STRICTER, comment="after\x1b[31m the audit")
    assert answer.status == 200
    assert (answer.body["number"], answer.body["document"]) == (2, STRICTER)
    assert json.loads(rules.parameter["Value"]) == STRICTER
    newest, oldest = history()["items"]
    assert (newest["number"], newest["by"], newest["action"]) == (2, "anna", "changed")
    assert newest["comment"] == "after the audit"
    assert newest["changes"] == [
        {"place": "default.fail_score", "before": 0.5, "after": 0.4},
        {"place": "default.review_score", "before": 0.3, "after": 0.2},
    ]
    assert (oldest["number"], oldest["changes"], oldest["document"]) == (1, [], FIRST)


def test_the_command_changes_rules_by_its_aws_identity(rules: Rules) -> None:
    request = event("PUT", "/rules", body={"document": STRICTER, "number": 1}, authorizer=IAM)
    assert send(request).status == 200
    assert history()["items"][0]["by"] == "maria"


@pytest.mark.parametrize("group", ["viewer", "operator", "reviewer"])
def test_only_administrators_change_rules(rules: Rules, group: str) -> None:
    for method, path, body in [
        ("PUT", "/rules", {"document": STRICTER, "number": 1}),
        ("POST", "/rules/rollback", {"to": 1, "number": 1}),
    ]:
        assert call(method, path, group, body=body).status == 403
    assert rules.parameter["Version"] == 1


def test_a_stale_number_is_a_conflict_that_names_the_newest(rules: Rules) -> None:
    assert change(STRICTER).status == 200
    answer = change({"version": "3"}, name="bert")
    assert (answer.status, answer.code) == (409, "stale_version")
    assert answer.body["error"]["details"] == [{"number": 2}]
    assert "by anna" in answer.body["error"]["message"]
    assert call("POST", "/rules/rollback", "admin", body={"to": 1, "number": 1}).code == "stale_version"


def test_every_problem_of_a_document_is_named_in_words(rules: Rules) -> None:
    crossed = [[0, 0], [1, 1], [1, 0], [0, 0.9]]
    document = {
        "version": "2",
        "default": {"fail_score": 7},
        "zones": {"line-1": {"ignored": [crossed]}},
        "<b>": 1,
    }
    answer = change(document)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.body["error"]["details"] == [
        "default.fail_score: must be at most 1",
        "zones.line-1.ignored.0: two edges of the polygon meet or cross each other",
        "<b>: is not a known name",
    ]
    assert rules.parameter["Version"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {"document": [], "number": 1},
        {"document": STRICTER},
        {"document": STRICTER, "number": 0},
        {"document": STRICTER, "number": 1, "force": True},
        {"document": STRICTER, "number": 1, "comment": "x" * 1001},
    ],
)
def test_a_request_that_is_not_as_it_must_be_is_refused(rules: Rules, body: Any) -> None:
    assert call("PUT", "/rules", "admin", body=body).status == 400


def test_a_rollback_writes_the_old_rules_under_a_new_number_and_name(rules: Rules) -> None:
    change(STRICTER)
    answer = call("POST", "/rules/rollback", "admin", body={"to": 1, "number": 2, "comment": "too strict"})
    assert (answer.status, answer.body["number"]) == (200, 3)
    assert answer.body["document"] == FIRST | {"version": "1-2"}
    newest = history()["items"][0]
    assert (newest["action"], newest["comment"]) == ("rolled_back", "too strict")
    missing = call("POST", "/rules/rollback", "admin", body={"to": 9, "number": 3})
    assert (missing.status, missing.body["error"]["message"]) == (404, "There is no version 9 of the rules.")


def test_rules_that_are_not_valid_are_shown_and_can_be_replaced(rules: Rules) -> None:
    rules.put({"version": "2", "clases": {}})
    body = call("GET", "/rules", "viewer").body
    assert (body["complete"], body["document"]) == (None, {"version": "2", "clases": {}})
    assert body["notes"] == ["The rules are not valid, so images wait: clases: is not a known name"]
    assert change({"version": "3"}, 2).status == 200


def test_a_swap_in_progress_is_told(rules: Rules) -> None:
    candidate = {"version": "run-1", "model": "onnx-2", "classes": {}}
    rules.put(FIRST | {"candidate": candidate})
    (note,) = call("GET", "/rules", "viewer").body["notes"]
    assert "the answers of model onnx-2 are judged by its own scores" in note


def test_the_history_is_read_in_parts(rules: Rules) -> None:
    for number in range(1, 6):
        change({"version": f"v{number}"}, number)
    found, cursor = [], None
    while True:
        part = history(limit=2, **({"cursor": cursor} if cursor else {}))
        found += part["items"]
        if (cursor := part["next"]) is None:
            break
    assert [entry["number"] for entry in found] == [6, 5, 4, 3, 2, 1]
    assert found[1] == history()["items"][1], "changes also reach over the end of a part"
    assert call("GET", "/rules/history", "viewer", query={"cursor": "x"}).status == 400
