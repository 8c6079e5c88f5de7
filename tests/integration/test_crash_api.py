"""`api` and `track`, killed at any call of AWS: who asks again, or the next delivery, leaves what one request does."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from moto.ssm.models import ssm_backends

import handlers
from api import aws, reviews
from api.app import app
from api.routes import reviews as routes
from contract.inspections import Verdict
from handlers import track
from inspection.records import Record
from inspection.rules import Reason
from retraining.documents import Documents
from review.decisions import FINISH_TIME
from review.items import from_item
from review.queue import CLAIM_TIME
from tests.api_support import Answer, call
from tests.crashes import Crash, Story, calls, is_reading
from tests.inspection_support import detection, jpeg, picture
from tests.integration.api_cloud import REGION, ApiCloud, start
from tests.promises import Tell
from tests.unit.api.factory import Runs
from tests.unit.tracking import stage as tracking

pytestmark = pytest.mark.promise(9)
DOUBT = Reason("doubtful", "possible defect: scratch 0.41", "scratch", 0.41, 0.5, "major", 0)
DEFECT = Reason("defect", "defect: scratch 0.91", "scratch", 0.91, 0.5, "major", 0)
BOX = [11.5, 20, 60, 80]
RULES: dict[str, Any] = {"version": "1", "default": {"fail_score": 0.5, "review_score": 0.3}}
STRICTER = {"version": "2", "default": {"fail_score": 0.4, "review_score": 0.2}}
PARAMETER = "/press/rules"
QUALITY = {"exposure": Decimal("0.5"), "sharpness": Decimal(120)}


@dataclass
class World:
    """What the API works on: the cloud, and retraining runs in memory.

    Attributes:
        cloud: Tables and buckets.
        runs: Step Functions and SageMaker.
        saved: What `begin` returns to.
    """

    cloud: ApiCloud
    runs: Runs
    saved: dict[str, Any] = field(default_factory=dict)

    def tables(self) -> dict[str, Any]:
        stored = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables
        return {name: stored[table] for name, table in self.cloud.tables.items()}

    def keys(self) -> Any:
        """Return moto's versions of the objects in the artefacts bucket, by key."""
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[self.cloud.artefacts].keys

    def parameters(self) -> Any:
        return ssm_backends[DEFAULT_ACCOUNT_ID][REGION]._parameters

    def save(self) -> None:
        """Remember everything."""
        self.saved = {
            "tables": {name: copy.deepcopy(table.items) for name, table in self.tables().items()},
            "keys": {key: list(versions) for key, versions in dict.items(self.keys())},
            "parameters": {name: list(versions) for name, versions in dict.items(self.parameters())},
            "runs": self.runs.saved(),
        }

    def begin(self) -> None:
        """Return to what was remembered, in a new process."""
        for name, table in self.tables().items():
            table.items = copy.deepcopy(self.saved["tables"][name])
        for kept, found in ((self.saved["keys"], self.keys()), (self.saved["parameters"], self.parameters())):
            dict.clear(found)
            for key, versions in kept.items():
                dict.__setitem__(found, key, list(versions))
        self.runs.restore(self.saved["runs"])
        track._stream.cache_clear()

    def left(self) -> Any:
        """Return what is in the tables, in the artefacts bucket, in the rules' parameter, and of the runs."""
        tables = {
            name: sorted((from_item(item.to_json()["Attributes"]) for item in table.all_items()), key=_key)
            for name, table in self.tables().items()
        }
        objects = {key: _content(key, versions[-1]) for key, versions in dict.items(self.keys())}
        parameters = {name: versions[-1].value for name, versions in dict.items(self.parameters())}
        return {"tables": tables, "objects": objects, "parameters": parameters, "runs": self.runs.left()}


def _key(item: dict[str, Any]) -> str:
    """Return what orders the items: everything but the moment at which they were written."""
    return json.dumps(
        {name: value for name, value in item.items() if name not in ("at_id", "at")}, default=repr
    )


def _content(key: str, stored: Any) -> Any:
    if not key.endswith(".json") or not hasattr(stored, "value"):
        return type(stored).__name__
    document = json.loads(stored.value)
    # A picture that is copied once more has a further version, of the same bytes.
    document.get("image", {}).pop("version_id", None)
    return document


@pytest.fixture(scope="module")
def _world() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        for cloud in start(patch):
            runs = Runs(Documents(boto3.client("s3"), cloud.artefacts))
            for name, value in {
                "ENDPOINT_NAME": "press-detector",
                "STATE_MACHINE_ARN": runs.machine,
                "MODEL_PACKAGE_GROUP": "press-0123",
                "DATASET_NAME": "default",
                "REVIEW_FAIL_SHARE": "1",
                "RULES_PARAMETER": PARAMETER,
                "RULES_CACHE_SECONDS": "30",
            }.items():
                patch.setenv(name, value)
            patch.setattr(aws, "sagemaker", lambda runs=runs: runs.account.sagemaker)
            patch.setattr(aws, "states", lambda runs=runs: runs.account.states)
            boto3.client("ssm").put_parameter(Name=PARAMETER, Value=json.dumps(RULES), Type="String")
            world = World(cloud, runs)
            world.save()
            yield world


@pytest.fixture
def world(_world: World) -> Iterator[World]:
    """A world without any record, with rules of one version."""
    empty = dict(_world.saved)
    _world.begin()
    yield _world
    _world.saved = empty


def doubtful(world: World, **options: Any) -> Record:
    options = {"data": jpeg(), "detections": (detection("scratch", 0.41),)} | options
    return world.cloud.add("incoming/line-1/top/SN1.jpg", Verdict.REVIEW, DOUBT, **options)


def asked(world: World, *request: Any, final: tuple[int, ...] = (200,), **parts: Any) -> Story:
    """Return the story of a request that is sent again after a crash.

    Args:
        world: What the request finds; remembered here.
        request: Method, path and group.
        final: How the repeated request may be answered.
        parts: The body.
    """
    world.save()

    def once() -> Answer:
        answer = call(*request, name="ada", **parts)
        assert answer.status < 300, answer.body
        return answer

    def again() -> Answer:
        answer = call(*request, name="ada", **parts)
        assert answer.status in final, answer.body
        return answer

    return Story(world.begin, once, world.left, again)


def claim_next(world: World) -> Story:
    doubtful(world)
    return asked(world, "POST", "/reviews/next", "reviewer", body={})


def claim(world: World) -> Story:
    return asked(world, "POST", f"/reviews/{doubtful(world)['id']}/claim", "reviewer")


def release(world: World) -> Story:
    path = f"/reviews/{doubtful(world)['id']}/claim"
    call("POST", path, "reviewer", name="ada")
    return asked(world, "DELETE", path, "reviewer", final=(204,))


def decide(world: World, decision: dict[str, Any], former: dict[str, Any] | None = None) -> Story:
    path, version = f"/reviews/{doubtful(world)['id']}", 1
    if former:
        call("POST", f"{path}/claim", "reviewer", name="bob")
        assert call("POST", f"{path}/decision", "reviewer", name="bob", body=former).status == 200
        version = 2
    call("POST", f"{path}/claim", "reviewer", name="ada")
    return asked(world, "POST", f"{path}/decision", "reviewer", body=decision | {"version": version})


def decide_fail(world: World) -> Story:
    objects = [{"label": "scratch", "box": BOX}]
    return decide(world, {"verdict": "fail", "objects": objects, "comment": "below the edge"})


def disagree(world: World) -> Story:
    former = {"verdict": "fail", "objects": [{"label": "dent", "box": BOX}], "version": 1}
    return decide(world, {"verdict": "pass"}, former)


def call_unusable(world: World) -> Story:
    return decide(world, {"verdict": "unusable"}, {"verdict": "pass", "version": 1})


def acknowledge(world: World) -> Story:
    record = world.cloud.add("incoming/line-1/top/SN1.jpg", Verdict.FAIL, DEFECT, data=jpeg())
    return asked(world, "POST", f"/inspections/{record['id']}/acknowledgement", "operator")


def make_thumbnails(world: World) -> Story:
    ids = [doubtful(world)["id"]]
    return asked(world, "POST", "/inspections/thumbnails", "viewer", body={"ids": ids})


def look_at_a_tiff(world: World) -> Story:
    """The first look makes a picture that browsers show."""
    record = doubtful(world, data=picture("TIFF"))
    return asked(world, "GET", f"/inspections/{record['id']}", "viewer")


def change_rules(world: World) -> Story:
    body = {"document": STRICTER, "number": 1, "comment": "after the audit"}
    return asked(world, "PUT", "/rules", "admin", body=body)


def roll_back_rules(world: World) -> Story:
    call("PUT", "/rules", "admin", name="bob", body={"document": STRICTER, "number": 1})
    return asked(world, "POST", "/rules/rollback", "admin", body={"to": 1, "number": 2})


def start_run(world: World) -> Story:
    body = {"families": ["ssdlite"], "epochs": 5}
    return asked(world, "POST", "/runs", "admin", final=(202, 409), body=body)


def return_to_a_model(world: World) -> Story:
    world.runs.registered(1, 2)
    world.runs.serve(2)
    return asked(world, "POST", "/models/rollback", "admin", final=(202, 409), body={})


def approve(world: World) -> Story:
    world.runs.run("one")
    world.runs.waits("0123456789ab")
    return asked(world, "POST", "/runs/one/approval", "admin", final=(200, 409), body={"approve": True})


def reject(world: World) -> Story:
    world.runs.run("one")
    world.runs.waits("0123456789ab")
    body = {"approve": False, "comment": "too few pictures"}
    return asked(world, "POST", "/runs/one/approval", "admin", final=(200, 409), body=body)


STORIES: dict[str, Callable[[World], Story]] = {
    "POST /reviews/next": claim_next,
    "POST /reviews/<identity>/claim": claim,
    "DELETE /reviews/<identity>/claim": release,
    "POST /reviews/<identity>/decision": decide_fail,
    "POST /reviews/<identity>/decision, pass instead of fail": disagree,
    "POST /reviews/<identity>/decision, unusable instead of pass": call_unusable,
    "POST /inspections/<identity>/acknowledgement": acknowledge,
    "POST /inspections/thumbnails": make_thumbnails,
    "GET /inspections/<identity>": look_at_a_tiff,
    "PUT /rules": change_rules,
    "POST /rules/rollback": roll_back_rules,
    "POST /runs": start_run,
    "POST /models/rollback": return_to_a_model,
    "POST /runs/<name>/approval": approve,
    "POST /runs/<name>/approval, rejected": reject,
}


# Where each handler is killed at its calls.
KILLED = {
    "test_crash_inspection.py": ("inspect", "alert", "reconcile"),
    "test_crash_api.py": ("api", "track"),
    "test_crash_retraining.py": ("approval", "ended", "gate", "plan", "report", "rules", "smoke"),
    "test_keeper.py": ("hours",),
    "test_replays.py": ("replay",),
}


def test_every_handler_is_killed_somewhere() -> None:
    modules = (Path(handlers.__file__).parent).glob("*.py")
    found = {module.stem for module in modules if "def handler(" in module.read_text()}
    killed = {
        f"retrain_{name}" if file == "test_crash_retraining.py" else name
        for file, names in KILLED.items()
        for name in names
    }
    assert killed == found
    tests = Path(__file__).parents[1]
    assert [file for file in KILLED if "tests.crashes" not in next(tests.rglob(file)).read_text()] == []


READING = {
    "POST /rules/preview": {"document": STRICTER},
    "POST /rules/proposal": {"escape": 0.1},
}


def test_every_route_that_writes_has_its_story() -> None:
    """But those of the session, which keep nothing of ours: test_api_session.py."""
    routes = [*app._static_routes, *app._dynamic_routes]
    writing = {
        f"{route.method} {route.path.removeprefix('/api')}" for route in routes if route.method != "GET"
    }
    writing = {route for route in writing if not route.partition(" ")[2].startswith("/session")}
    told = {name.partition(",")[0] for name in STORIES if not name.startswith("GET")}
    assert writing == told | READING.keys()


@pytest.mark.parametrize("route", READING)
def test_a_question_changes_nothing(world: World, route: str) -> None:
    doubtful(world)
    with calls() as names:
        assert call(*route.split(), "reviewer", body=READING[route]).status == 200
    assert [name for name in names if not is_reading(name)] == []


@pytest.mark.parametrize("route", [route for route in STORIES if "," not in route])
def test_a_repeated_request_heals_a_crash(world: World, route: str, tried: Tell) -> None:
    STORIES[route](world).converges(tried, everywhere=False)


@pytest.mark.slow
@pytest.mark.parametrize("route", STORIES)
def test_a_repeated_request_heals_a_crash_at_any_call(world: World, route: str, tried: Tell) -> None:
    STORIES[route](world).converges(tried, everywhere=True)


@pytest.mark.promise(10)
@pytest.mark.parametrize(
    ("operation", "held"), [("CopyObject", CLAIM_TIME), ("TransactWriteItems", FINISH_TIME)]
)
def test_what_a_killed_request_holds_is_free_when_its_time_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch, operation: str, held: timedelta, tried: Tell
) -> None:
    """With a clock that stands still: nobody else gets the image a moment before, and then somebody does."""
    now = [datetime.now(UTC)]
    frozen = dataclasses.replace(reviews.queue(), clock=lambda: now[0])
    monkeypatch.setattr(reviews, "queue", lambda: frozen)
    monkeypatch.setattr(routes, "queue", lambda: frozen)
    reviews.decisions.cache_clear()
    path = f"/reviews/{doubtful(world)['id']}"
    body = {"verdict": "fail", "objects": [{"label": "scratch", "box": BOX}], "version": 1}

    def ask(action: str, name: str, **parts: Any) -> Answer:
        return call("POST", f"{path}/{action}", "reviewer", name=name, **parts)

    ask("claim", "ada")
    world.save()
    with calls() as names:
        assert ask("decision", "ada", body=body).status == 200
    world.begin()
    with calls(names.index(operation) + 1, before=False), pytest.raises(Crash):
        ask("decision", "ada", body=body)
    tried(faults=1)

    now[0] += held - timedelta(milliseconds=1)
    assert (ask("claim", "bob").status, ask("claim", "bob").code) == (409, "already_claimed")
    now[0] += timedelta(milliseconds=1)
    claimed = ask("claim", "bob")
    decided = ask("decision", "bob", body={"verdict": "pass", "version": claimed.body["version"]})
    assert decided.status == 200
    # She comes back too late, and overwrites nothing.
    assert (ask("decision", "ada", body=body).status, frozen.get(path[9:])["decisions"][-1]["by"]) == (
        409,
        "bob",
    )
    label = world.left()["objects"][f"labels/{path[9:]}.json"]
    assert (label["by"], label["objects"]) == ("bob", [])
    reviews.decisions.cache_clear()


def delivered(world: World, version: str, *former: Record) -> Story:
    """Return the story of a batch of the stream: two records for the review queue, one of another line."""
    world.save()
    batch = [
        tracking.record("A", "review", version_id=version, quality=QUALITY),
        tracking.record("B", "pass", version_id=version, at=tracking.START + timedelta(hours=3)),
        tracking.record("C", "fail", line="line-2", quality=QUALITY),
    ]
    if former:
        track.handler(tracking.stream_event([("INSERT", item) for item in former]), None)  # type: ignore[arg-type]
        world.save()

    def deliver() -> None:
        track._stream.cache_clear()  # a new process
        reply = track.handler(tracking.stream_event([("INSERT", item) for item in batch]), None)  # type: ignore[arg-type]
        assert reply == {"batchItemFailures": []}

    return Story(world.begin, deliver, world.left)


@pytest.mark.parametrize(
    ("kind", "everywhere"),
    [
        ("replaced", False),
        pytest.param("replaced", True, marks=pytest.mark.slow),
        pytest.param("with versions", True, marks=pytest.mark.slow),
    ],
)
def test_the_next_delivery_of_the_stream_heals_a_crash(
    world: World, kind: str, everywhere: bool, tried: Tell
) -> None:
    """Counters, feed, places, review queue, and what is usual on a line."""
    former = [tracking.record("B", "fail", version_id="null")] if kind == "replaced" else []
    version = "null" if kind == "replaced" else "v1"
    delivered(world, version, *former).converges(tried, everywhere=everywhere)
