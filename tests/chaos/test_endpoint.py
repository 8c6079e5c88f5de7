"""The endpoint fails under load in every way in which an endpoint fails."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from loupe.stack import deployment, endpoint
from tests.chaos.conftest import Report
from tests.chaos.factory import Factory
from tests.chaos.oracle import check
from tests.chaos.traffic import WINDOW, Traffic
from tests.faults import Fault
from tests.inspection_support import detection, prediction
from tests.promises import Tell
from tests.system.cloud_process import eventually

pytestmark = [pytest.mark.system, pytest.mark.chaos, pytest.mark.timeout(900), pytest.mark.promise(12, 14)]
_RUNTIME = ("sagemaker-runtime", "InvokeEndpoint")


def answer(**changes: object) -> str:
    return json.dumps(prediction(**changes))


# What no model may say. Each is valid HTTP.
NONSENSE = (
    "this is not JSON",
    "[]",
    answer(detections="none"),
    answer(detections=[detection(score=float("nan"))]),
    answer(detections=[detection(score=7)]),
    answer(detections=[detection(box=(5000, 5000, 5100, 5100))]),
    answer(detections=[detection(box=(60, 80, 10, 20))]),
)


@pytest.mark.parametrize(
    "victim", [Factory.model_server, Factory.serving_worker], ids=["the endpoint", "a worker of it"]
)
def test_what_serves_is_killed(
    factory: Factory, report: Report, tried: Tell, victim: Callable[[Factory], object]
) -> None:
    kills = 3
    with Traffic(factory, f"killed-{victim.__name__}") as traffic:
        traffic.judged(40)
        traffic.phase("during")
        for _ in range(kills):
            process = victim(factory)
            process.kill()
            process.wait(60)
            traffic.judged(8)
        traffic.phase("after")
        traffic.judged(40, sent_from_now=True)
        traffic.finish()
    check(factory, traffic)
    tried(images=len(traffic.sent), faults=kills)
    report(traffic, kills=kills)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([Fault(*_RUNTIME, "slow", share=0.5, seconds=3, first=30)], id="slow"),
        pytest.param([Fault(*_RUNTIME, "throttle", share=0.8, first=60)], id="throttles"),
        pytest.param(
            [
                Fault(*_RUNTIME, what, share=0.3, first=20)
                for what in ("error", "unavailable", "reset", "time-out")
            ],
            id="down",
        ),
        pytest.param([Fault(*_RUNTIME, "answer", first=2, body=body) for body in NONSENSE], id="nonsense"),
    ],
)
def test_the_endpoint_is_or_answers(
    factory: Factory, report: Report, tried: Tell, request: pytest.FixtureRequest, faults: list[Fault]
) -> None:
    limit = sum(fault.first or 0 for fault in faults)
    with Traffic(factory, f"endpoint-{request.node.callspec.id}") as traffic:
        traffic.judged(40)
        traffic.phase("during")
        factory.faults.order(*faults)
        factory.faults.wait_for(limit)
        factory.faults.clear()
        traffic.phase("after")
        traffic.judged(40, sent_from_now=True)
        traffic.finish()
    check(factory, traffic)
    tried(images=len(traffic.sent), faults=limit)
    report(traffic, faults=limit)


def test_the_endpoint_is_deleted_and_made_again(factory: Factory, report: Report, tried: Tell) -> None:
    """The images of an outage wait, and none of them is given up for that."""
    with Traffic(factory, "no-endpoint") as traffic:
        traffic.judged(40)
        traffic.phase("during")
        factory.target.sagemaker.delete_endpoint(EndpointName=factory.target.output("EndpointName"))
        eventually(lambda: endpoint.describe(factory.target) is None)
        eventually(lambda: factory.waiting() >= WINDOW // 2, 240)
        deployment.deploy(factory.target, deployment.STARTER, deployment.Hosting(), lambda _: None)
        traffic.phase("after")
        traffic.judged(40, sent_from_now=True)
        traffic.finish()
    check(factory, traffic)
    tried(images=len(traffic.sent), faults=1)
    report(traffic, outages=1)
