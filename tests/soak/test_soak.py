"""10,000 images through the local cloud while 5 % of all calls of AWS fail: nothing lost, nothing doubled, no slope.

`make soak`, or a small one: `SOAK_IMAGES=500 make soak`.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import psutil
import pytest

from tests.chaos.factory import Factory
from tests.chaos.oracle import check
from tests.chaos.traffic import Traffic
from tests.faults import Fault, by_share
from tests.promises import Tell
from tests.soak.memory import Memory

pytestmark = [pytest.mark.soak, pytest.mark.promise(1, 9, 11, 14, 27, 28), pytest.mark.timeout(3000)]
IMAGES = int(os.environ.get("SOAK_IMAGES", "10000"))
# So many rates are printed, and the first are compared with the last.
PARTS = 10
# Workers are killed less often than calls fail: each takes ten images or alerts along, which are delivered again.
SHARE, KILLS = 0.05, 0.001
# Pictures that wait: many, so that those which a killed worker has taken along for a time hold back no others.
WINDOW = 200
SERVICES = ("sns", "s3", "dynamodb", "sqs", "ssm", "sagemaker", "sagemaker-runtime")
ALERTS_AT_ONCE = 4  # of a worker: functions/inspection/alerts.py
# The cloud keeps a few KiB for each image (docs/local-cloud.md). Below this number of images what a process takes once,
# for its first images, hides the slope.
ENOUGH_FOR_SLOPES = 2000
CLOUD_KIB, WORKERS_KIB = 25.0, 5.0
SLOWEST = 0.7


@pytest.fixture
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    factory = Factory(tmp_path_factory.mktemp("soak") / "home", tmp_path_factory.mktemp("orders"))
    yield factory
    factory.stop()


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a line, also while the test runs and if it passes."""
    plugins = request.config.pluginmanager
    terminal: Any = plugins.get_plugin("terminalreporter")
    capture: Any = plugins.get_plugin("capturemanager")

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(line, flush=True)

    return write


def test_a_long_run_with_faults_loses_nothing_doubles_nothing_and_does_not_slow_down(
    factory: Factory, tried: Tell, say: Callable[[str], None]
) -> None:
    kills = [
        Fault("*", "*", what, KILLS / 2, function=function)
        for function in ("alert", "inspect", "track")
        for what in ("exit", "exit after")
    ]
    # SNS first, so that the calls are counted whose answer is lost although the alert was sent.
    calls = [replace(fault, service=service) for service in SERVICES for fault in by_share(SHARE)]
    factory.faults.order(*calls, *kills)
    sent_twice = [
        number for number, fault in enumerate(calls) if fault.service == "sns" and "after" in fault.what
    ]
    killed = [len(calls), len(calls) + 1]
    rates = []
    with Traffic(factory, "soak", WINDOW) as traffic:
        cloud = psutil.Process(factory.process.process.pid)
        with Memory(cloud, lambda: traffic.verdicts) as memory:
            for part in range(PARTS):
                traffic.judged(IMAGES // PARTS)
                traffic.phase(f"{part + 1}")
                # Otherwise the test's own queue would grow in the cloud.
                factory.receive_alerts()
                _, seconds, count = traffic.phases[-1]
                rates.append(count / seconds)
                say(
                    f"{traffic.verdicts:>6} of {IMAGES} images · {rates[-1]:.1f}/s · {memory.latest()} · "
                    f"{factory.faults.injected_now} faults"
                )
            factory.faults.clear()
            traffic.finish()
            injected = _happened(factory, range(len(calls) + len(kills)))
            # The last is for an update that marks the alert as sent, and fails in each of its attempts.
            repeated = (
                _happened(factory, sent_twice) + ALERTS_AT_ONCE * _happened(factory, killed) + IMAGES // 1000
            )
        records = check(factory, traffic, repeated=repeated)
    cloud_kib, workers_kib = memory.growth()
    lags = sorted(_alert_lag(record) for record in records if "alert" in record)
    say(
        f"{len(traffic.sent)} images, {injected} faults: 0 lost, 0 doubled · rate {rates[0]:.1f}/s first, "
        f"{rates[-1]:.1f}/s last · memory of the cloud +{cloud_kib:.1f} KiB an image, of the workers "
        f"{workers_kib:+.1f} KiB · {len(lags)} alerts, {statistics.median(lags):.1f} s after the verdict (median), "
        f"{lags[int(0.95 * len(lags))]:.1f} s (95 %)"
    )
    tried(images=len(traffic.sent), faults=injected)
    assert injected > IMAGES // 10
    if IMAGES >= ENOUGH_FOR_SLOPES:
        assert cloud_kib <= CLOUD_KIB
        assert workers_kib <= WORKERS_KIB
        # Three each, because chance decides how many workers are killed in one.
        assert statistics.harmonic_mean(rates[-3:]) >= SLOWEST * statistics.harmonic_mean(rates[:3])


def _happened(factory: Factory, numbers: Iterable[int]) -> int:
    """Return how often the latest orders of these numbers have happened."""
    folder = factory.faults.folder
    newest = max(int(file.name.split("-")[0]) for file in folder.glob("*.calls"))
    files = [folder / f"{newest}-{number}.injected" for number in numbers]
    return sum(file.stat().st_size for file in files if file.exists())


def _alert_lag(record: dict[str, Any]) -> float:
    sent, inspected = record["alert"]["sent_at"], record["inspected_at"]
    return (datetime.fromisoformat(sent) - datetime.fromisoformat(inspected)).total_seconds()
