"""The functions of retraining, killed at any call of AWS: the state machine's next attempt leaves what one run does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.crashes import Story
from tests.inspection_support import detection, http, jpeg, prediction
from tests.integration import test_retraining_handlers as scenes
from tests.promises import Tell
from tests.unit.retraining.cloud import EXECUTION, HANDLERS, HOURS_PARAMETER, RULES_PARAMETER, Cloud, start
from tests.unit.retraining.snapshots import BOX, label, sha
from tests.unit.retraining.template import OWN

pytestmark = pytest.mark.promise(9, 18)


@pytest.fixture(scope="module")
def _cloud() -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch:
        yield from start(patch)


@pytest.fixture
def cloud(_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setattr("time.sleep", lambda _: None)
    return _cloud


def left(cloud: Cloud) -> Any:
    """Return the documents, the parameters, the notices, and what SageMaker has."""
    documents = {item["Key"]: _content(cloud, item["Key"]) for item in cloud.documents.listing("")}
    tags = {key: cloud.s3.get_object_tagging(Bucket="artefacts", Key=key)["TagSet"] for key in documents}
    names = HOURS_PARAMETER, RULES_PARAMETER
    parameters = {name: cloud.ssm.get_parameter(Name=name)["Parameter"]["Value"] for name in names}
    kept = [sorted(cloud.models), sorted(cloud.configs), cloud.endpoints, cloud.jobs]
    # A notice that was sent before the crash is sent again.
    notices = sorted({f"{subject}: {text.partition('X-Amz-')[0]}" for subject, text in cloud.published()})
    return {"documents": documents, "tags": tags, "parameters": parameters, "kept": kept, "notices": notices}


def _content(cloud: Cloud, key: str) -> Any:
    body = cloud.s3.get_object(Bucket="artefacts", Key=key)["Body"].read()
    return json.loads(body) if key.endswith(".json") else len(body)


def called(cloud: Cloud, name: str, prepare: Callable[[], Any]) -> Story:
    """Return the story of a function that is called with the event that `prepare` makes."""
    event: list[Any] = []

    def begin() -> None:
        # With its former versions, by which the rules of a run are found.
        cloud.ssm.delete_parameter(Name=RULES_PARAMETER)
        cloud.reset()
        event[:] = [prepare()]

    return Story(begin, lambda: cloud.call(name, event[0]), lambda: left(cloud))


def plan(cloud: Cloud) -> Story:
    """With new labels, a lock of a run that has failed, and jobs that it has left running."""

    def prepare() -> Any:
        scenes.imported(cloud)
        scenes.serving(cloud)
        for key in (sha("new"), sha("newer")):
            cloud.documents.write(f"labels/{key}.json", label(key, ("dent", BOX)))
        cloud.documents.write("retraining/lock.json", {"execution": scenes.OTHER})
        cloud.executions[scenes.OTHER] = "FAILED"
        request = {"tune": True, "families": ["ssdlite"]}
        planned = scenes.plan(cloud, request)
        cloud.documents.write("retraining/lock.json", {"execution": scenes.OTHER})
        for candidate in planned["candidates"]:
            cloud.job(candidate["name"], "InProgress")
        return {"request": request, "execution": EXECUTION}

    return called(cloud, "Plan", prepare)


def gate(cloud: Cloud) -> Story:
    def prepare() -> Any:
        scenes.imported(cloud)
        scenes.serving(cloud)
        planned = scenes.plan(cloud, {"families": ["ssdlite", "dfine_nano"]})
        candidates = scenes.results(cloud, planned, 0.4, 0.6)
        return {"candidates": candidates, "champion": scenes.champion(cloud, planned, 0.5)}

    return called(cloud, "Gate", prepare)


def approval(cloud: Cloud) -> Story:
    question = {"token": "t", "run": "r", "package": "arn/4", "winner": "a", "reasons": ["better"]}
    return called(cloud, "Approval", lambda: question)


def smoke(cloud: Cloud) -> Story:
    def prepare() -> Any:
        answer = prediction(detection(), model={"name": "steel", "version": scenes.VERSION})
        cloud.endpoint = lambda _: http(200, answer)
        return scenes.golden(cloud, jpeg())

    return called(cloud, "Smoke", prepare)


def rules(action: str) -> Callable[[Cloud], Story]:
    def of(cloud: Cloud) -> Story:
        def prepare() -> Any:
            event = scenes.rules_event(cloud, action)
            if action != "stage":
                cloud.call("Rules", scenes.rules_event(cloud, "stage"))
            return event

        return called(cloud, "Rules", prepare)

    return of


def report(cloud: Cloud) -> Story:
    """After a promotion, with former models and models that lost."""

    def prepare() -> Any:
        event = scenes.ended(cloud)
        scenes.registered(cloud)
        for name in ("loser", "winner"):
            cloud.documents.write(f"models/{event['plan']['run']}/{name}/output/model.tar.gz", {})
        return event

    return called(cloud, "Report", prepare)


def aftermath(cloud: Cloud) -> Story:
    def prepare() -> Any:
        cloud.executions[EXECUTION] = "ABORTED"
        for family in ("ssdlite", "dfine-nano"):
            cloud.job(f"{OWN}-{family}", "InProgress")
        return {"detail": {"executionArn": EXECUTION}}

    return called(cloud, "Aftermath", prepare)


STORIES: dict[str, Callable[[Cloud], Story]] = {
    "Plan": plan,
    "Gate": gate,
    "Approval": approval,
    "Smoke": smoke,
    "Rules, stage": rules("stage"),
    "Rules, apply": rules("apply"),
    "Rules, withdraw": rules("withdraw"),
    "Report": report,
    "Aftermath": aftermath,
}


def test_every_function_has_its_story() -> None:
    assert {name.partition(",")[0] for name in STORIES} == HANDLERS.keys()


@pytest.mark.parametrize(
    "name", [name for name in STORIES if name not in ("Rules, stage", "Rules, withdraw")]
)
def test_the_next_attempt_heals_a_crash(cloud: Cloud, name: str, tried: Tell) -> None:
    STORIES[name](cloud).converges(tried, everywhere=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
def test_the_next_attempt_heals_a_crash_at_any_call(cloud: Cloud, name: str, tried: Tell) -> None:
    STORIES[name](cloud).converges(tried, everywhere=True)
