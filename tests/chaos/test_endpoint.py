"""The endpoint fails under load in every way in which an endpoint fails."""

import pytest

from tests.chaos.conftest import Report
from tests.chaos.factory import Factory
from tests.chaos.oracle import check
from tests.chaos.traffic import Traffic
from tests.promises import Tell

pytestmark = [pytest.mark.system, pytest.mark.chaos, pytest.mark.timeout(900)]


def test_a_killed_endpoint(factory: Factory, report: Report, tried: Tell) -> None:
    with Traffic(factory, "killed-endpoint") as traffic:
        traffic.judged(40)
        traffic.phase("during")
        for _ in range(2):
            server = factory.serving()[0]
            server.kill()
            server.wait(60)
            traffic.acknowledged(10)
        traffic.phase("after")
        traffic.judged(40, sent_from_now=True)
        traffic.finish()
    check(factory, traffic)
    tried(images=len(traffic.sent), faults=2)
    report(traffic, kills=2)
