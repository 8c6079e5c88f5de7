"""The simulation does what queueing theory says, and loses nothing."""

import doctest
import itertools
import random
import statistics
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gpu import train
from benchmarks.simulation import engine, observed, theory
from benchmarks.simulation.chain import Chain, Image, simulate
from benchmarks.simulation.engine import Gate, Process, Simulation, departures
from benchmarks.simulation.theory import mm_c_wait, workload_departures

seconds = st.floats(0, 100, allow_subnormal=False)
customers = st.lists(st.tuples(seconds, seconds), min_size=1, max_size=60)


def exponential(chance: random.Random, number: int, mean: float) -> list[float]:
    return [chance.expovariate(1 / mean) for _ in range(number)]


# ---------------------------------------------------------------- a queue


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (2, 0.7), (5, 0.8), (20, 0.8)])
def test_an_mm_c_queue_waits_as_long_as_erlang_says(servers: int, load: float) -> None:
    rate, number = load * servers, 15_000
    chance = random.Random(f"{servers} {load}")  # noqa: S311 - no secret
    arrivals = list(itertools.accumulate(exponential(chance, number, 1 / rate)))
    services = exponential(chance, number, 1.0)
    left = departures(arrivals, services, servers)
    waits = [end - at - service for at, service, end in zip(arrivals, services, left, strict=True)]
    assert statistics.fmean(waits[number // 20 :]) == pytest.approx(mm_c_wait(rate, 1.0, servers), rel=0.12)


@given(st.integers(1, 40), st.floats(0.1, 10), st.floats(0.1, 10))
def test_a_dd_1_queue_waits_by_as_much_longer_each_time_as_service_exceeds_the_interval(
    number: int, interval: float, service: float
) -> None:
    arrivals = [n * interval for n in range(number)]
    left = departures(arrivals, [service] * number, 1)
    for n, (at, end) in enumerate(zip(arrivals, left, strict=True)):
        assert end - at - service == pytest.approx(max(0.0, n * (service - interval)), abs=1e-6)


@given(customers, st.integers(1, 6))
def test_any_queue_empties_as_kiefer_and_wolfowitz_say(come: list[tuple[float, float]], servers: int) -> None:
    arrivals = list(itertools.accumulate(interval for interval, _ in come))
    services = [service for _, service in come]
    assert departures(arrivals, services, servers) == pytest.approx(
        workload_departures(arrivals, services, servers)
    )


def test_a_gate_that_is_open_holds_nobody() -> None:
    simulation, ends = Simulation(), []

    def passer(gate: Gate) -> Process:
        yield gate
        ends.append(simulation.now)

    simulation.start(passer(Gate(0)))
    assert ends == [0.0]


# ---------------------------------------------------------------- the chain

images = st.lists(
    st.builds(
        Image,
        arrives=st.floats(0, 5), before=st.floats(0, 1), model=st.floats(0, 1), after=st.floats(0, 1),
        fails=st.booleans(),
    ),
    min_size=1, max_size=60,
)  # fmt: skip
chains = st.builds(
    Chain,
    batch=st.integers(1, 12), at_once=st.integers(1, 6), workers=st.integers(1, 6),
    pickup=st.floats(0, 0.5), gap=st.floats(0, 0.5),
    alert_batch=st.integers(1, 10), alerts_at_once=st.integers(1, 4), alert_seconds=st.floats(0, 0.5),
)  # fmt: skip


@given(chains, images)
def test_every_image_gets_one_record_after_all_its_work_and_every_failed_one_an_alert_after_that(
    chain: Chain, come: list[Image]
) -> None:
    come.sort(key=lambda image: image.arrives)
    run = simulate(chain, come)
    assert sum(run.batches) == len(come) == len(run.records)
    assert max(run.batches) <= chain.batch
    for image, at in zip(come, run.records, strict=True):
        assert at >= image.arrives + image.before + image.model + image.after - 1e-9
    failed = [at for image, at in zip(come, run.records, strict=True) if image.fails]
    assert len(run.alerts) == len(failed)
    for at, alerted in zip(failed, run.alerts, strict=True):
        assert alerted >= at + chain.alert_seconds - 1e-9


@given(images, st.integers(1, 8))
def test_single_images_at_a_time_are_the_queue_of_kiefer_and_wolfowitz(
    come: list[Image], servers: int
) -> None:
    come.sort(key=lambda image: image.arrives)
    run = simulate(Chain(batch=1, at_once=servers, workers=servers), come)
    services = [image.before + image.model + image.after for image in come]
    expected = workload_departures([image.arrives for image in come], services, servers)
    assert run.records == pytest.approx(expected)


@pytest.mark.parametrize(
    ("at_once", "workers", "least", "most"),
    # Two batches of ten of half a second; one; four workers of 0.2 s, which wait a little for the next batch.
    [(2, 20, 39.999, 40.001), (1, 20, 19.999, 20.001), (2, 4, 14.0, 20.0)],
)
def test_a_backlog_drains_at_the_rate_of_its_bottleneck(
    at_once: int, workers: int, least: float, most: float
) -> None:
    come = [Image(0.0, before=0.1, model=0.2, after=0.2) for _ in range(1000)]
    run = simulate(Chain(batch=10, at_once=at_once, workers=workers), come)
    assert least <= 1000 / max(run.records) <= most


@given(images, chains)
def test_more_batches_at_once_end_no_later_when_the_endpoint_has_room(
    come: list[Image], chain: Chain
) -> None:
    """Without a shared endpoint, and without batches, nothing can be delayed by a further server."""
    come.sort(key=lambda image: image.arrives)
    few = simulate(Chain(batch=1, at_once=chain.at_once, workers=1000), come)
    more = simulate(Chain(batch=1, at_once=chain.at_once + 1, workers=1000), come)
    assert all(b <= a + 1e-9 for a, b in zip(few.records, more.records, strict=True))


@pytest.mark.parametrize("module", [engine, observed, theory, train], ids=lambda module: module.__name__)
def test_the_examples_hold(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0, "see above"
