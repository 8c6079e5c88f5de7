"""What a run has shown goes into the simulation, and what comes out is compared with the run."""

import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from benchmarks.bench_simulation import Times, chain_of, compare, times_of
from benchmarks.simulation.chain import Chain, Image, simulate
from benchmarks.simulation.observed import Seen, batches, gap_seconds, percentile, pickup_seconds

BEGAN = 1_800_000_000.0


def seen(batch: str, arrived: float, started: float, recorded: float, **more: float | None) -> Seen:
    fields = {"alerted": None, "before": 0.01, "model": 0.01, "after": 0.01} | more
    return Seen(batch, BEGAN + arrived, BEGAN + started, BEGAN + recorded, **fields)


def record(**timings: float) -> dict[str, object]:
    def at(seconds: float) -> str:
        return datetime.fromtimestamp(BEGAN + seconds, UTC).isoformat()

    return {
        "id": "1", "trace": "1-a", "received_at": at(0), "inspected_at": at(0.25), "timings_ms": timings,
        "alert": {"sent_at": at(0.75)},
    }  # fmt: skip


def test_a_record_says_when_each_part_was_done_and_leaves_out_the_waiting_for_a_worker() -> None:
    found = Seen.of(
        record(queued=30, read=20, endpoint=100, total=150, model_total=80, model_queue=50, model_wait=5)
    )
    assert (found.arrived, found.recorded, found.alerted) == (BEGAN, BEGAN + 0.25, BEGAN + 0.75)
    assert found.started == pytest.approx(BEGAN + 0.03)
    # 20 ms of reading, 20 ms around the model's 80, of which it waited for 55.
    assert found.before == pytest.approx(0.030, abs=1e-5)
    assert found.model == pytest.approx(0.025, abs=1e-5)
    assert found.after == pytest.approx(0.150 - 0.030 - 0.025 - 0.055, abs=1e-5)
    assert found.image(BEGAN).fails


def test_images_of_an_invocation_are_one_batch_and_the_next_one_follows_after_the_gap() -> None:
    run = [
        seen("a", 0, 0.1, 0.5), seen("a", 0, 0.1, 0.6), seen("b", 0, 0.1, 0.8),
        seen("c", 0, 0.7, 1.2), seen("d", 0, 0.95, 1.5),
    ]  # fmt: skip
    assert [batch.images for batch in batches(run)] == [2, 1, 1, 1]
    # a ends at 0.6 and c begins at 0.7; b ends at 0.8 and d begins at 0.95.
    assert gap_seconds(run) == pytest.approx(0.125, abs=1e-5)
    assert pickup_seconds(run) == pytest.approx(0.1, abs=1e-5)


def test_percentiles_are_values_that_were_seen() -> None:
    assert percentile([5.0, 1.0, 3.0], 0.5) == 3.0
    assert percentile([5.0, 1.0, 3.0], 0.95) == 5.0


def a_run(chain: Chain, name: str, arrivals: list[float]) -> list[Seen]:
    """Return a run of a chain, as its records would show it."""
    chance = random.Random(name)  # noqa: S311 - no secret
    images = [
        Image(at, chance.uniform(0.02, 0.06), chance.uniform(0.002, 0.01), chance.uniform(0.01, 0.03), n % 20 == 0)
        for n, at in enumerate(arrivals)
    ]  # fmt: skip
    run = simulate(chain, images)
    alerts = iter(run.alerts)
    ends: dict[float, int] = {}
    found = []
    for image, at in zip(images, run.records, strict=True):
        # Images of a batch begin together; the endpoint has room, so each waits for nothing else.
        started = at - image.before - image.model - image.after
        batch = ends.setdefault(round(started, 6), len(ends))
        alerted = next(alerts) if image.fails else None
        more = {"before": image.before, "model": image.model, "after": image.after}
        found.append(
            seen(str(batch), image.arrives, started, at, alerted=alerted and BEGAN + alerted, **more)
        )
    return found


def test_a_chain_of_known_times_is_found_out_and_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.bench_simulation.cores", lambda: 2)
    chance = random.Random(1)  # noqa: S311 - no secret
    known = chain_of(
        {"alone": [seen("a", 0, 0.012, 0.1, alerted=BEGAN + 0.2)]},
        {"alone": Times(0.02, 0.1), "steady": Times(0.02, 0.1)}, "steady",
    )  # fmt: skip
    known = replace(known, workers=100)
    phases = {
        "alone": a_run(known, "alone", [n * 1.0 for n in range(40)]),
        "burst": a_run(known, "burst", [0.0] * 600),
        "steady": a_run(
            known, "steady", list(itertools.accumulate(chance.expovariate(40) for _ in range(600)))
        ),
    }
    assert pickup_seconds(phases["alone"]) == pytest.approx(0.012, abs=1e-5)
    assert gap_seconds(phases["burst"]) == pytest.approx(0.02, rel=0.02)
    times = {name: Times(0.02, 0.1) for name in phases}
    for one in compare(phases, times):
        assert abs(one.error) < 0.06, one


def test_a_wrong_gap_is_noticed() -> None:
    """The comparison can fail: with twice the gap, the prediction is beyond what is allowed."""
    chain = Chain(batch=10, at_once=2, workers=100, pickup=0.01, gap=0.1)
    run = a_run(chain, "burst", [0.0] * 600)
    wrong = simulate(replace(chain, gap=0.2), [one.image(BEGAN) for one in run])
    assert max(wrong.records) > 1.25 * (max(one.recorded for one in run) - BEGAN)


def test_the_reports_of_a_phase_say_what_the_functions_took_besides_its_images() -> None:
    run = [seen("a", 0, 0.1, 0.5, alerted=BEGAN + 0.9), seen("b", 1, 1.1, 1.5)]
    inspecting = [(BEGAN + 0.55, 0.43), (BEGAN + 1.55, 0.45), (BEGAN + 9, 5.0)]
    found = times_of(run, inspecting, [(BEGAN + 1.0, 0.3), (BEGAN - 5, 9.0)])
    assert found.overhead == pytest.approx(0.04, abs=1e-5)
    assert found.alert == pytest.approx(0.3)
