"""Services of AWS fail under load, and functions end in the middle of their work."""

from __future__ import annotations

import pytest

from tests.chaos.conftest import Report
from tests.chaos.factory import Factory
from tests.chaos.oracle import check
from tests.chaos.traffic import Traffic
from tests.faults import Fault, What, by_share
from tests.promises import Tell
from tests.system.cloud_process import eventually

pytestmark = [
    pytest.mark.system,
    pytest.mark.chaos,
    pytest.mark.timeout(900),
    pytest.mark.promise(1, 6, 9, 11, 28),
]
# An alert that was sent comes again if its function ends before it has noted that. A batch of them is sent at once.
BATCH = 10
_FUNCTIONS = ("inspect", "alert", "track")


def _faults(*whats: What, share: float, first: int, service: str = "*") -> list[Fault]:
    return [
        Fault(service, "*", what, share=share, first=first, function=function)
        for function in _FUNCTIONS
        for what in whats
    ]


@pytest.mark.parametrize(
    ("faults", "limit"),
    [
        pytest.param(
            _faults("throttle", share=0.7, first=40, service="dynamodb"), 120, id="DynamoDB throttles"
        ),
        pytest.param([*by_share(0.2, first=40)], 200, id="every service fails at every fifth call"),
    ],
)
def test_a_service_fails(
    factory: Factory,
    report: Report,
    tried: Tell,
    request: pytest.FixtureRequest,
    faults: list[Fault],
    limit: int,
) -> None:
    with Traffic(factory, request.node.callspec.id) as traffic:
        traffic.judged(40)
        traffic.phase("during")
        factory.faults.order(*faults)
        factory.faults.wait_for(limit)
        injected = factory.faults.injected_now
        factory.faults.clear()
        traffic.phase("after")
        traffic.judged(40, sent_from_now=True)
        traffic.finish()
    check(factory, traffic, repeated=injected)
    tried(images=len(traffic.sent), faults=injected)
    report(traffic, faults=injected)


def test_no_alert_is_lost_while_sns_is_down(factory: Factory, report: Report, tried: Tell) -> None:
    """Images are judged meanwhile as fast as ever."""
    with Traffic(factory, "SNS down") as traffic:
        traffic.judged(40)
        traffic.phase("during")
        factory.faults.order(Fault("sns", "*", "unavailable"))
        factory.faults.wait_for(100)
        traffic.judged(40, sent_from_now=True)
        injected = factory.faults.injected_now
        factory.faults.clear()
        traffic.phase("after")
        traffic.judged(40, sent_from_now=True)
        traffic.finish()
    check(factory, traffic)
    tried(images=len(traffic.sent), faults=injected)
    report(traffic, faults=injected)


def test_functions_are_killed_at_their_calls(factory: Factory, report: Report, tried: Tell) -> None:
    """As when a function runs out of memory: all of its batch comes again."""
    faults = [
        Fault("dynamodb", "PutItem", "exit", first=1, function="inspect"),
        Fault("dynamodb", "PutItem", "exit after", first=1, function="inspect"),
        Fault("sns", "Publish", "exit after", first=1),
        Fault("dynamodb", "TransactWriteItems", "exit", first=1, function="track"),
        Fault("dynamodb", "TransactWriteItems", "exit after", first=1, function="track"),
    ]
    with Traffic(factory, "killed-functions") as traffic:
        traffic.judged(40)
        traffic.phase("during")
        factory.faults.order(*faults)
        factory.faults.wait_for(len(faults))
        factory.faults.clear()
        traffic.phase("after")
        traffic.judged(40, sent_from_now=True)
        traffic.finish()
    check(factory, traffic, repeated=BATCH)
    tried(images=len(traffic.sent), faults=len(faults))
    report(traffic, faults=len(faults))


def test_functions_run_out_of_time(factory: Factory, report: Report, tried: Tell) -> None:
    """A call hangs for longer than the function may run, and the function is ended."""
    faults = [
        Fault("s3", "GetObject", "slow", first=1, seconds=600, function="inspect"),
        Fault("sns", "Publish", "slow", first=1, seconds=600, function="alert"),
        Fault("dynamodb", "TransactWriteItems", "slow", first=1, seconds=600, function="track"),
    ]
    log = factory.home / "logs" / "cloud.log"

    def ended() -> int:
        return log.read_text().count("timed out after") if log.exists() else 0

    before = ended()
    with Traffic(factory, "out-of-time") as traffic:
        traffic.judged(40)
        traffic.phase("during")
        for function in ("AlertFunctionName", "TrackFunctionName"):
            factory.set_timeout(function, 15)
        factory.faults.order(*faults)
        eventually(lambda: ended() - before >= len(faults), 300)
        factory.faults.clear()
        for function in ("AlertFunctionName", "TrackFunctionName"):
            factory.set_timeout(function, 60)
        traffic.phase("after")
        traffic.judged(40, sent_from_now=True)
        traffic.finish()
    check(factory, traffic, repeated=BATCH)
    tried(images=len(traffic.sent), faults=len(faults))
    report(traffic, faults=len(faults))
