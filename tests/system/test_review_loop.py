"""The review loop in the local cloud: from a doubtful image to the next snapshot, by two people, across a restart."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from contract.keys import snapshots_of
from loupe.stack import deployment
from loupe.stack.target import Target
from loupe.stack.uploads import Source, upload
from tests.system.cloud_process import CloudProcess, eventually, wait_until_saved
from tests.system.commands import loupe
from tests.system.site_client import Client, Reply
from tests.unit.retraining.snapshots import snapshot

pytestmark = pytest.mark.system
REPOSITORY = Path(__file__).parents[2]
PASSWORD = "Sufficient-1234"
BOX, MOVED = [10, 20, 60, 80], [12.5, 20, 64, 80]


@dataclass
class Factory:
    """A cloud of its own, which the test restarts, and the people who review in it."""

    home: Path
    process: CloudProcess

    @property
    def target(self) -> Target:
        return Target.local(self.home)

    def person(self, name: str) -> Client:
        """Return a signed-in reviewer, who is added if he is new."""
        cloud = self.process.connection
        cognito, pool = cloud.client("cognito-idp"), cloud.outputs["UserPoolId"]
        known = {user["Username"] for user in cognito.list_users(UserPoolId=pool)["Users"]}
        if name not in known:
            cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName="reviewer")
            cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)
        client = Client(cloud.site_url)
        assert client.sign_in(name, PASSWORD).status == 200
        return client

    def restart(self) -> None:
        self.process.kill()
        self.process = CloudProcess(self.home, REPOSITORY)

    def plan(self, required: int) -> Any:
        """Invoke the function that plans a training, as the state machine would."""
        functions = self.process.connection.client("lambda")
        names = [item["FunctionName"] for item in functions.list_functions()["Functions"]]
        (name,) = [name for name in names if "PlanFunction" in name]
        event = {"request": {"minimum_new_labels": required}, "execution": "arn:aws:states:::execution:x:y"}
        reply = functions.invoke(FunctionName=name, Payload=json.dumps(event))
        answer = json.loads(reply["Payload"].read())
        assert "FunctionError" not in reply, answer
        return answer

    def document(self, key: str) -> Any:
        bucket = self.target.output("ArtefactsBucketName")
        return json.loads(self.target.s3.get_object(Bucket=bucket, Key=key)["Body"].read())


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    home = tmp_path_factory.mktemp("review")
    factory = Factory(home, CloudProcess(home, REPOSITORY))
    deployment.deploy(factory.target, deployment.STARTER, deployment.Hosting(), lambda status: None)
    yield factory
    factory.process.stop()


def dark(shade: int) -> bytes:
    """Return a picture that is too dark to pass."""
    buffer = io.BytesIO()
    Image.new("L", (200, 100), shade).save(buffer, "JPEG")
    return buffer.getvalue()


def answer(reply: Reply, status: int = 200) -> Any:
    assert reply.status == status, reply.body
    return reply.json


def test_a_doubtful_image_is_decided_by_one_person_and_learned_from_also_after_a_restart(
    factory: Factory,
) -> None:
    ada, bob = factory.person("ada"), factory.person("bob")
    base = snapshot()
    factory.target.s3.put_object(
        Bucket=factory.target.output("ArtefactsBucketName"),
        Key=f"{snapshots_of('default')}{base['id'][:16]}.json",
        Body=json.dumps(base),
    )
    sources = [
        Source(f"incoming/line-7/top/{serial}.jpg", functools.partial(dark, shade), serial)
        for serial, shade in (("first", 3), ("second", 4))
    ]
    upload(factory.target, sources, lambda _: None)

    # Both enter the queue. Each of two people gets another one, and not the other's.
    eventually(lambda: answer(ada.send("GET", "/api/reviews?line=line-7"))["count"] == 2)
    mine = answer(ada.send("POST", "/api/reviews/next", {"line": "line-7"}))
    his = answer(bob.send("POST", "/api/reviews/next", {"line": "line-7"}))
    assert mine["id"] != his["id"]
    assert mine["verdict"] == mine["inspection"]["verdict"] == "review"
    path = f"/api/reviews/{mine['id']}"
    refused = answer(bob.send("POST", f"{path}/claim"), 409)["error"]
    assert (refused["code"], refused["details"][0]["by"]) == ("already_claimed", "ada")
    decision = {"version": mine["version"], "verdict": "fail", "objects": [{"label": "dent", "box": BOX}]}
    assert answer(bob.send("POST", f"{path}/decision", decision), 409)["error"]["code"] == "not_claimed"

    # Ada moves the box, and her decision is everywhere.
    decision["objects"][0]["box"] = MOVED
    decided = answer(ada.send("POST", f"{path}/decision", decision))
    assert decided["inspection"]["review"]["by"] == "ada"
    assert decided["no_label"] is None
    shown = answer(ada.send("GET", f"/api/inspections/{mine['id']}"))
    assert (shown["verdict"], shown["review"]["verdict"]) == ("review", "fail")
    assert shown["history"][0]["new"]["objects"][0]["box"] == MOVED
    rates = answer(ada.send("GET", "/api/statistics/rates?since=1h&line=line-7"))
    assert rates["decided"] == 1
    label = factory.document(f"labels/{mine['id']}.json")
    assert label["objects"] == [{"label": "dent", "box": MOVED}]
    # 60 images were imported, and the decision is new.
    assert factory.plan(62)["status"] == "nothing_new"
    planned = factory.plan(61)
    assert (planned["status"], planned["snapshot"]["new_labels"]) == ("train", 61)
    merged = factory.document(planned["snapshot"]["uri"].split("/", 3)[3])
    (image,) = [item for item in merged["images"] if item["sha256"] == label["sha256"]]
    (annotation,) = [item for item in merged["annotations"] if item["image_id"] == image["id"]]
    assert annotation["bbox"] == [12.5, 20, 51.5, 60]

    # The command is a reviewer, too. Its opinion is a second one.
    done = loupe("review", "decide", mine["id"], "pass", "--json", home=factory.home)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["disagreement"]

    # What was acknowledged survives a crash: decisions, counts, history, and Bob's claim.
    wait_until_saved(factory.home, json.loads(done.stdout)["decided_at"])
    factory.restart()
    ada, bob = factory.person("ada"), factory.person("bob")
    (differing,) = answer(ada.send("GET", "/api/reviews?state=disagreement"))["items"]
    assert [entry["verdict"] for entry in differing["decisions"]] == ["fail", "pass"]
    shown = answer(ada.send("GET", f"/api/inspections/{mine['id']}"))
    assert shown["review"]["disagreement"]
    assert [entry["by"] for entry in shown["history"]][-1] == "ada"
    rates = answer(ada.send("GET", "/api/statistics/rates?since=1h&line=line-7"))
    assert (rates["decided"], rates["disagreements"]) == (1, 1)
    assert factory.document(f"labels/{mine['id']}.json")["objects"] == []
    assert (
        answer(ada.send("POST", f"/api/reviews/{his['id']}/claim"), 409)["error"]["code"] == "already_claimed"
    )
    unusable = {"version": his["version"], "verdict": "unusable", "comment": "the lamp was off"}
    written = answer(bob.send("POST", f"/api/reviews/{his['id']}/decision", unusable))
    assert (written["label"], written["decisions"][0]["comment"]) == (None, "the lamp was off")
    assert (
        answer(ada.send("POST", "/api/reviews/next", {"line": "line-7"}), 404)["error"]["code"]
        == "queue_empty"
    )
