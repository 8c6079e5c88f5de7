"""A person's data on moto: what the API wrote about a reviewer is exported, and removed without a trace of the name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from typer.testing import CliRunner, Result

from contract.inspections import Verdict
from loupe import cli
from loupe.commands import person as person_command
from loupe.errors import LoupeError
from loupe.stack import users
from loupe.stack.persons.person import Person
from loupe.stack.persons.removal import Removal, begin
from loupe.stack.target import Target
from tests.api_support import call, forget
from tests.inspection_support import jpeg
from tests.integration.api_cloud import REGION, ApiCloud, start

NAME, ADDRESS, OTHER = "maria", "maria@example.com", "bob"
REPORT = f"not approved: rejected by {NAME}: too many escapes"
DEFECT = {"verdict": "fail", "objects": [{"label": "scratch", "box": [1, 1, 9, 9]}]}
pytestmark = pytest.mark.promise(32)


class Registry:
    """The model registry, of which moto has no paginator: one version with a note."""

    def __init__(self) -> None:
        self.note = REPORT

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> Any:
        return [{"ModelPackageSummaryList": [{"ModelPackageArn": "arn/1"}]}]

    def describe_model_package(self, **_: Any) -> Any:
        return {"ApprovalDescription": self.note}

    def update_model_package(self, ApprovalDescription: str, **_: Any) -> None:
        self.note = ApprovalDescription


class Factory:
    """A stack in which Maria and Bob have worked.

    Attributes:
        cloud: The API's tables and buckets.
        target: The stack for the command.
        registry: The model registry.
    """

    def __init__(self, cloud: ApiCloud, patch: pytest.MonkeyPatch) -> None:
        self.cloud = cloud
        session = boto3.Session(region_name=REGION)
        cognito, sns = session.client("cognito-idp"), session.client("sns")
        pool = cognito.create_user_pool(PoolName="press")["UserPool"]["Id"]
        for group in users.Group:
            cognito.create_group(UserPoolId=pool, GroupName=group)
        topics = [sns.create_topic(Name=name)["TopicArn"] for name in ("defects", "operations")]
        sns.subscribe(TopicArn=topics[0], Protocol="email", Endpoint=ADDRESS)
        outputs = {
            "UserPoolId": pool,
            "DefectsTopicArn": topics[0],
            "OperationsTopicArn": topics[1],
            "ArtefactsBucketName": cloud.artefacts,
            "ModelPackageGroupName": "press",
            "InspectionsTableName": cloud.tables["TABLE_NAME"],
            "ReviewsTableName": cloud.tables["REVIEWS_TABLE"],
            "HistoryTableName": cloud.tables["HISTORY_TABLE"],
        }
        self.registry = Registry()
        patch.setattr(Target, "sagemaker", self.registry)
        self.target = Target(session, None, outputs)

    def work(self) -> tuple[str, str]:
        """Let Maria and Bob work. Return the ids of the inspections that they decided about."""
        users.add(self.target, NAME, users.Group.REVIEWER, ADDRESS)
        users.add(self.target, OTHER, users.Group.REVIEWER)
        first, second = (self._image(serial) for serial in ("SN1", "SN2"))
        self._decide(first, NAME, {**DEFECT, "comment": f"seen by me, {ADDRESS}"})
        self._decide(first, OTHER, {"verdict": "pass", "comment": f"{NAME} is wrong; marianne is right"})
        self._decide(second, OTHER, DEFECT)
        self._decide(second, NAME, {**DEFECT, "comment": "edge"})
        assert call("POST", f"/inspections/{first}/acknowledgement", "operator", name=NAME).status < 300
        claimed = self._image("SN3")
        assert call("POST", f"/reviews/{claimed}/claim", "reviewer", name=NAME, body={}).status == 200
        report = json.dumps({"reasons": [REPORT]}).encode()
        for name, body in (("report.json", report), ("report.html", f"<p>{REPORT}</p>".encode())):
            self.cloud.s3.put_object(Bucket=self.cloud.artefacts, Key=f"reports/r/{name}", Body=body)
        return first, second

    def _image(self, serial: str) -> str:
        key = f"incoming/line-1/top/{serial}.jpg"
        return str(self.cloud.add(key, Verdict.REVIEW, data=jpeg(shade=len(serial)))["id"])

    def _decide(self, identity: str, name: str, decision: dict[str, Any]) -> None:
        claimed = call("POST", f"/reviews/{identity}/claim", "reviewer", name=name, body={})
        assert claimed.status == 200, claimed.body
        body = {"version": claimed.body["version"], **decision}
        done = call("POST", f"/reviews/{identity}/decision", "reviewer", name=name, body=body)
        assert done.status == 200, done.body

    def everything(self) -> str:
        """Return all items of all tables, and all versions of all objects, as one text."""
        dynamodb, s3, tables = boto3.client("dynamodb"), self.cloud.s3, self.cloud.tables.values()
        parts = [self.registry.note, *(str(dynamodb.scan(TableName=table)["Items"]) for table in tables)]
        for version in s3.list_object_versions(Bucket=self.cloud.artefacts).get("Versions", []):
            stored = s3.get_object(
                Bucket=self.cloud.artefacts, Key=version["Key"], VersionId=version["VersionId"]
            )
            parts.append(stored["Body"].read().decode("latin-1"))
        return "\n".join(parts)


@pytest.fixture(scope="module")
def _factory() -> Iterator[Factory]:
    with pytest.MonkeyPatch.context() as patch:
        for cloud in start(patch):
            for name in ("ENDPOINT_NAME", "STATE_MACHINE_ARN", "MODEL_PACKAGE_GROUP"):
                patch.setenv(name, name.lower())
            patch.setenv("DATASET_NAME", "default")
            patch.setenv("REVIEW_FAIL_SHARE", "1")
            yield Factory(cloud, patch)


@pytest.fixture
def factory(_factory: Factory, monkeypatch: pytest.MonkeyPatch) -> Factory:
    _factory.cloud.empty()
    forget()
    for user in users.users(_factory.target):
        users.remove(_factory.target, user.name)
    _factory.cloud.empty()
    _factory.registry.note = REPORT
    monkeypatch.setattr(person_command, "open_target", lambda *_: _factory.target)
    return _factory


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["person", *arguments])


def removed(*arguments: str) -> dict[str, Any]:
    done = run("remove", NAME, "--yes", "--json", *arguments)
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_an_export_has_everything_about_the_person_and_nothing_about_others(factory: Factory) -> None:
    first, second = factory.work()
    done = run("export", ADDRESS.upper(), "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["person"], document["email"]) == (NAME, ADDRESS)
    assert {item["inspection"]: item["verdict"] for item in document["decisions"]} == {
        first: "fail",
        second: "fail",
    }
    assert [item["inspection"] for item in document["acknowledgements"]] == [first]
    assert len(document["claims"]) == 1
    assert {entry["action"] for entry in document["history"]} == {"added", "decided", "acknowledged"}
    assert [uri.rpartition("/")[2] for uri in document["labels"]] == sorted(
        f"{identity}.json" for identity in (first, second)
    )
    assert len(document["reports"]) == 2
    assert (document["model_versions"], len(document["alerts"])) == (["arn/1"], 1)
    assert {mention["text"] for mention in document["mentions"]} == {
        f"seen by me, {ADDRESS}",
        f"{NAME} is wrong; marianne is right",
    }
    assert (document["user"]["name"], document["user"]["email"]) == (NAME, ADDRESS)
    assert OTHER not in str(document["user"])
    assert run("export", NAME).stdout.startswith("maria: ")


def test_after_a_removal_the_name_stands_nowhere_and_the_decisions_are_kept(
    factory: Factory, tried: Any
) -> None:
    first, second = factory.work()
    before = factory.everything()
    assert before.count(NAME) > 20
    plan = json.loads(run("remove", NAME, "--plan", "--json").stdout)
    assert plan["reviews"] == 3
    assert factory.everything() == before

    answer = removed("--mentions")
    pseudonym = answer["pseudonym"]
    after = factory.everything()
    tried(inputs=before.count(NAME))
    assert NAME not in after.replace("marianne", "")
    assert ADDRESS not in after
    assert "marianne is right" in after
    assert OTHER in after

    shown = call("GET", f"/reviews/{first}", "viewer").body
    assert [(one["by"], one["verdict"]) for one in shown["decisions"]] == [
        (pseudonym, "fail"),
        (OTHER, "pass"),
    ]
    assert shown["disagreement"] is True
    record = call("GET", f"/inspections/{second}", "viewer").body
    assert (record["review"]["by"], record["review"]["comment"]) == (pseudonym, "edge")
    assert [user.name for user in users.users(factory.target)] == [OTHER]
    label = factory.cloud.s3.get_object(Bucket=factory.cloud.artefacts, Key=f"labels/{second}.json")
    assert json.loads(label["Body"].read())["by"] == pseudonym
    # The other export has the same decisions, under the pseudonym.
    again = json.loads(run("export", pseudonym, "--json").stdout)
    assert len(again["decisions"]) == 2
    assert "removed" in {entry["action"] for entry in again["history"]}


@pytest.mark.slow
def test_comments_keep_a_name_unless_they_are_meant(factory: Factory) -> None:
    factory.work()
    done = run("remove", NAME, "--yes")
    assert done.exit_code == 0, done.output
    assert "2 comments that mention the name" in done.stdout or "--mentions" in done.stdout
    left = factory.everything()
    assert f"{NAME} is wrong" in left
    assert ADDRESS not in left
    assert f"'{NAME}'" not in left


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param("UpdateItem", marks=pytest.mark.slow),
        *(
            pytest.param(name, marks=pytest.mark.nightly)
            for name in ("PutObject", "DeleteObject", "PutItem", "DeleteItem")
        ),
    ],
)
def test_an_interrupted_removal_goes_on_with_the_same_pseudonym(
    factory: Factory, monkeypatch: pytest.MonkeyPatch, operation: str, tried: Any
) -> None:
    factory.work()
    person = Person(NAME, ADDRESS)
    original, counter = BaseClient._make_api_call, iter(range(100))  # type: ignore[attr-defined]

    def die_at_the_second(client: Any, name: str, parameters: Any) -> Any:
        if name == operation and next(counter) == 1:
            raise KeyboardInterrupt
        return original(client, name, parameters)

    removal = begin(factory.target, person, None, mentions=True)
    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", die_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            removal.run(lambda _: None)
    tried(faults=1)
    assert removed("--mentions")["pseudonym"] == removal.pseudonym
    assert NAME not in factory.everything().replace("marianne", "")


@pytest.mark.slow
def test_what_somebody_does_meanwhile_is_kept_and_removed_too(
    factory: Factory, monkeypatch: pytest.MonkeyPatch, tried: Any
) -> None:
    first, _ = factory.work()
    original, done = Removal._update, []

    def decide_before(self: Removal, output: str, *arguments: Any) -> None:
        if not done and output == "ReviewsTableName":
            done.append(output)
            factory._decide(first, OTHER, {**DEFECT, "comment": "in between"})
        original(self, output, *arguments)

    monkeypatch.setattr(Removal, "_update", decide_before)
    pseudonym = removed("--mentions")["pseudonym"]
    tried(faults=1)
    decisions = call("GET", f"/reviews/{first}", "viewer").body["decisions"]
    assert [one["by"] for one in decisions] == [pseudonym, OTHER, OTHER]
    assert decisions[-1]["comment"] == "in between"


@pytest.mark.slow
def test_a_second_removal_may_use_the_same_pseudonym_and_no_other_word(factory: Factory) -> None:
    factory.work()
    first = removed()["pseudonym"]
    factory._decide(factory._image("SN4"), NAME, DEFECT)  # by a page that was still open
    assert removed("--as", first)["pseudonym"] == first
    refused = run("remove", NAME, "--as", "nobody", "--yes")
    assert isinstance(refused.exception, LoupeError)
    assert "no pseudonym" in str(refused.exception)


@pytest.mark.nightly
def test_nobody_is_removed_without_a_word(factory: Factory) -> None:
    factory.work()
    before = factory.everything()
    refused = run("remove", NAME)
    assert isinstance(refused.exception, LoupeError)
    assert refused.exception.hint == "Add --yes."
    assert factory.everything() == before
