"""Whether the simulation predicts the chain: `loupe bench simulation [--images 1200] [--out FILE] [--json]`.

A local cloud with a model that costs nothing gets images in three phases: one after the other, at random times with
about 40 % of what it takes, and all at once. 5 % of them fail, and raise an alert. The simulation then gets the times
at which they came, and the seconds that each part took in this run, and must say how many images a second were judged,
how long each waited, and how late the alerts were (docs/scale.md).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bench_inspect import _image
from benchmarks.local_cloud import local_cloud
from benchmarks.output import machine, say, show
from benchmarks.simulation.chain import Chain, Run, simulate
from benchmarks.simulation.observed import Seen, batches, gap_seconds, percentile, pickup_seconds
from contract.inspections import Verdict
from contract.keys import incoming
from loupe.cost.workload import template
from loupe.stack import uploads
from loupe.stack.target import Target
from loupe.stack.uploads import Source, Upload
from training.job.container import cores

_SURE, _NEVER = 0.9, 1.0  # the model's score, and one that no image reaches
_FAILING = 0.05
_LOAD = 0.4  # of the images a second that were judged when all came at once
_ALERT_SECONDS = 120  # within which every alert of a phase must have been sent
# A prediction that differs by more than this share of what was measured is wrong. Alerts are few, so chance is larger.
ALLOWED, ALLOWED_OF_ALERTS = _BOUNDS = (0.25, 0.5)


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure, measured and predicted, and by which share they may differ."""

    what: str
    measured: float
    predicted: float
    allowed: float = ALLOWED

    @property
    def error(self) -> float:
        return self.predicted / self.measured - 1 if self.measured else 0.0


@dataclass(frozen=True, slots=True)
class Times:
    """What the functions took in a phase, in seconds.

    Attributes:
        overhead: Of the inspect function for a batch, besides its images.
        alert: Of the alert function for an alert.
    """

    overhead: float
    alert: float


def main() -> None:
    """Run the phases, and print the figures."""
    options = _parser().parse_args()
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as folder:
        home = Path(folder) / "home"
        say("starting the local cloud ...")
        with local_cloud(home, _SURE) as _:
            target = Target.local(home)
            _judge_by_line(target)
            phases = dict(_phases(target, options.images, options.seconds))
            reports = _reports(target, "inspect"), _reports(target, "alert")
    times = {phase: times_of(seen, *reports) for phase, seen in phases.items()}
    result = _document(phases, compare(phases, times), times, busy)
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        say(f"{options.out} is written: python -m docs.scale")
    show(result, options.json)


def _phases(target: Target, images: int, seconds: float) -> Iterator[tuple[str, list[Seen]]]:
    say("warming up ...")
    _send(target, "warm", [0.0] * 40)
    say("one image after the other ...")
    yield "alone", _send(target, "alone", [number * 0.6 for number in range(40)])
    say(f"{images} images at once ...")
    burst = _send(target, "burst", [0.0] * images)
    yield "burst", burst
    rate = _LOAD * _rate(burst)
    chance = random.Random(0)  # noqa: S311 - no secret
    times, at = [], 0.0
    while at < seconds:
        at += chance.expovariate(rate)
        times.append(at)
    say(f"{rate:.0f} images a second for {seconds:g} s ...")
    yield "steady", _send(target, "steady", times)


def _send(target: Target, phase: str, times: Sequence[float]) -> list[Seen]:
    """Upload an image at each of some times, and return what their records say once all are judged and alerted."""
    bodies = [_image(seed) for seed in range(32)]
    every = round(1 / _FAILING)
    keys = [incoming("good" if n % every else "bad", phase, f"{n}.jpg") for n in range(len(times))]
    sources = [Source(key, partial(bodies.__getitem__, n % 32), key) for n, key in enumerate(keys)]
    uploaded = _upload(target, sources, times)
    records = uploads.follow(target, uploaded, lambda _: None, poll_every=1.0)
    if len(records) != len(sources):
        raise SystemExit(f"{len(sources) - len(records)} of {len(sources)} images got no record")
    return _with_alerts(target, list(records.values()))


def _upload(target: Target, sources: Sequence[Source], times: Sequence[float]) -> list[Upload]:
    if not any(times):
        return uploads.upload(target, list(sources), lambda _: None)
    began = time.monotonic()

    def one(source: Source, at: float) -> list[Upload]:
        time.sleep(max(0.0, began + at - time.monotonic()))
        return uploads.upload(target, [source], lambda _: None)

    with ThreadPoolExecutor(16) as pool:
        return [upload for found in pool.map(one, sources, times) for upload in found]


def _with_alerts(target: Target, records: list[dict[str, Any]]) -> list[Seen]:
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    until = time.monotonic() + _ALERT_SECONDS
    done = []
    for record in records:
        key = {"image": record["image"], "version_id": record["version_id"]}
        while record["verdict"] == Verdict.FAIL and "alert" not in record:
            if time.monotonic() > until:
                raise SystemExit("an alert was not sent")
            time.sleep(0.1)
            record = table.get_item(Key=key, ConsistentRead=True)["Item"]
        done.append(Seen.of(record))
    return sorted(done, key=lambda one: one.arrived)


def _judge_by_line(target: Target) -> None:
    """Let the images of one line fail, and those of the other pass."""
    name = target.output("RulesParameterName")
    document = json.loads(target.ssm.get_parameter(Name=name)["Parameter"]["Value"])
    document["lines"] = {"good": {"default": {"fail_score": _NEVER, "review_score": _NEVER}}}
    target.ssm.put_parameter(Name=name, Value=json.dumps(document), Type="String", Overwrite=True)


def _reports(target: Target, function: str) -> list[tuple[float, float]]:
    """Return when each invocation of a function ended, and how many seconds it took."""
    pages = target.logs.get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/{target.name}-{function}", filterPattern="REPORT"
    )
    return [
        (
            event["timestamp"] / 1000,
            float(event["message"].partition("Duration: ")[2].partition(" ms")[0]) / 1000,
        )
        for page in pages
        for event in page["events"]
    ]


def times_of(
    seen: Sequence[Seen], inspecting: Sequence[tuple[float, float]], alerting: Sequence[tuple[float, float]]
) -> Times:
    """Return what the reports of the functions say about the images of a phase."""
    alerted = [one.alerted for one in seen if one.alerted is not None]
    # A report is written shortly after the last record or alert of its batch.
    until = max(one.recorded for one in seen) + 1
    inspected = [took for ended, took in inspecting if seen[0].arrived <= ended <= until]
    spent = [took for ended, took in alerting if min(alerted) <= ended <= max(alerted) + 1]
    spans = [batch.ended - batch.started for batch in batches(seen)]
    return Times(
        overhead=max(0.0, statistics.fmean(inspected) - statistics.fmean(spans)),
        alert=sum(spent) / len(alerted),
    )


def chain_of(phases: Mapping[str, Sequence[Seen]], times: Mapping[str, Times], phase: str) -> Chain:
    """Return the local cloud's chain, as a phase shows it. How fast an idle chain begins, images alone show.

    Args:
        phases: The images of each phase.
        times: What the functions took in each.
        phase: The phase.
    """
    images, records = _mapping("InspectFunction", "Images"), _mapping("AlertFunction", "Records")
    places = max(2, cores())
    late = statistics.median(one.alerted - one.recorded for one in phases["alone"] if one.alerted is not None)
    return Chain(
        batch=int(images["BatchSize"]),
        at_once=places,
        workers=cores() + 1,
        pickup=pickup_seconds(phases["alone"]),
        # Where batches wait, one follows the other, which shows the whole gap.
        gap=gap_seconds(phases[phase]) if phase == "burst" else times[phase].overhead,
        alert_batch=int(records["BatchSize"]),
        alerts_at_once=min(int(records.get("ParallelizationFactor", 1)), places),
        alert_seconds=times[phase].alert,
        alert_sent=min(1.0, late / times["alone"].alert),
        stream_delay=max(0.0, late - times["alone"].alert),
    )


def _mapping(function: str, event: str) -> dict[str, Any]:
    properties: dict[str, Any] = template()["Resources"][function]["Properties"]["Events"][event][
        "Properties"
    ]
    return properties


def compare(phases: Mapping[str, list[Seen]], times: Mapping[str, Times]) -> list[Compared]:
    """Return what was measured beside what the simulation says."""
    found = []
    for phase in ("burst", "steady"):
        seen = phases[phase]
        since = seen[0].arrived
        run = simulate(chain_of(phases, times, phase), [one.image(since) for one in seen])
        found += list(_figures(phase, seen, run, since))
    return found


def _figures(phase: str, seen: list[Seen], run: Run, since: float) -> Iterator[Compared]:
    name = {"burst": "all at once", "steady": f"at {_LOAD:.0%} of that"}[phase]
    waits = [one.recorded - one.arrived for one in seen]
    expected = [at - (one.arrived - since) for one, at in zip(seen, run.records, strict=True)]
    if phase == "burst":
        yield Compared(f"{name}: images/s", _rate(seen), len(seen) / max(run.records))
    sizes = [batch.images for batch in batches(seen)]
    yield Compared(f"{name}: images of a batch", statistics.fmean(sizes), statistics.fmean(run.batches))
    for share in (0.5, 0.95):
        what = f"{name}: upload to verdict, p{share * 100:.0f}, ms"
        yield Compared(what, 1000 * percentile(waits, share), 1000 * percentile(expected, share))
    late = [one.alerted - one.recorded for one in seen if one.alerted is not None]
    records = [at for one, at in zip(seen, run.records, strict=True) if one.alerted is not None]
    later = [alerted - at for alerted, at in zip(run.alerts, records, strict=True)]
    what = f"{name}: verdict to alert, p50, ms"
    yield Compared(what, 1000 * percentile(late, 0.5), 1000 * percentile(later, 0.5), ALLOWED_OF_ALERTS)


def _rate(seen: Sequence[Seen]) -> float:
    """Return the images a second from the first upload to the last verdict."""
    return len(seen) / (max(one.recorded for one in seen) - min(one.arrived for one in seen))


def _document(
    phases: Mapping[str, list[Seen]], compared: list[Compared], times: Mapping[str, Times], busy: float
) -> dict[str, Any]:
    numbers = {phase: len(seen) for phase, seen in phases.items()}
    worst = {
        allowed: max(abs(one.error) for one in compared if one.allowed == allowed) for allowed in _BOUNDS
    }
    return {
        "about": (
            f"{datetime.now(UTC):%Y-%m-%d}, {cores()} cores, load average before it {busy:.1f}: "
            f"{numbers['burst']} images at once and "
            f"{numbers['steady']} at random times, {_FAILING:.0%} of them failing. The largest error is "
            f"{worst[ALLOWED]:.0%} ({ALLOWED:.0%} is allowed), of the alerts {worst[ALLOWED_OF_ALERTS]:.0%} "
            f"({ALLOWED_OF_ALERTS:.0%})."
        ),
        "machine": machine(),
        "images": numbers,
        "within": all(error <= allowed for allowed, error in worst.items()),
        "pickup_ms": round(1000 * pickup_seconds(phases["alone"]), 1),
        "gap_ms": round(1000 * gap_seconds(phases["burst"]), 1),
        "overhead_ms": {phase: round(1000 * one.overhead, 1) for phase, one in times.items()},
        "alert_ms": {phase: round(1000 * one.alert, 1) for phase, one in times.items()},
        "compared": [
            {
                "what": one.what,
                "measured": round(one.measured, 1),
                "predicted": round(one.predicted, 1),
                "error": round(one.error, 3),
            }
            for one in compared
        ],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="loupe bench simulation", description=__doc__)
    parser.add_argument("--images", type=int, default=1200, help="that come at once")
    parser.add_argument("--seconds", type=float, default=40, help="of the phase at random times")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the figures, for docs/scale.md")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    main()
