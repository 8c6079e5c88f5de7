"""Whether the simulation predicts the chain: `loupe bench simulation [--images 1200] [--out FILE] [--json]`.

A local cloud with a model that costs nothing gets images in three phases: one after the other, at random times with
about 40 % of what it takes, and all at once. 5 % of them fail, and raise an alert. The simulation then gets the times
at which they came, and the seconds that each part took in this run, and must say how many images a second were judged,
how long each waited, and how late the alerts were (docs/scale.md).
"""

from __future__ import annotations

import argparse
import json
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
ALLOWED = 0.25  # of what was measured: a prediction that differs by more is wrong


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure, measured and predicted."""

    what: str
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        return self.predicted / self.measured - 1 if self.measured else 0.0


def main() -> None:
    """Run the phases, and print the figures."""
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as folder:
        home = Path(folder) / "home"
        say("starting the local cloud ...")
        with local_cloud(home, _SURE) as _:
            target = Target.local(home)
            _judge_by_line(target)
            phases = dict(_phases(target, options.images, options.seconds))
            reports = _reports(target)
    alerting = {phase: _alert_seconds(reports, seen) for phase, seen in phases.items()}
    result = _document(phases, compare(phases, alerting), alerting)
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


def _reports(target: Target) -> list[tuple[float, float]]:
    """Return when each invocation of the alert function ended, and how many seconds it took."""
    pages = target.logs.get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/{target.name}-alert", filterPattern="REPORT"
    )
    return [
        (
            event["timestamp"] / 1000,
            float(event["message"].partition("Duration: ")[2].partition(" ms")[0]) / 1000,
        )
        for page in pages
        for event in page["events"]
    ]


def _alert_seconds(reports: Sequence[tuple[float, float]], seen: Sequence[Seen]) -> float:
    """Return the seconds of the alert function for an alert of some images."""
    alerted = [one.alerted for one in seen if one.alerted is not None]
    # A report is written shortly after the last alert of its batch.
    spent = [took for ended, took in reports if min(alerted) <= ended <= max(alerted) + 1]
    return sum(spent) / len(alerted)


def chain_of(phases: Mapping[str, Sequence[Seen]], alerting: Mapping[str, float], phase: str) -> Chain:
    """Return the local cloud's chain, with what was measured of its gaps.

    Args:
        phases: The images of each phase.
        alerting: The seconds of the alert function for an alert, in each phase.
        phase: Whose alerts take as long.
    """
    images, records = _mapping("InspectFunction", "Images"), _mapping("AlertFunction", "Records")
    places = max(2, cores())
    pickup = pickup_seconds(phases["alone"])
    waited = [one.alerted - one.recorded for one in phases["alone"] if one.alerted is not None]
    return Chain(
        batch=int(images["BatchSize"]),
        at_once=places,
        workers=cores() + 1,
        batch_before=pickup,
        batch_after=max(0.0, gap_seconds(phases["burst"]) - pickup),
        alert_batch=int(records["BatchSize"]),
        alerts_at_once=min(int(records.get("ParallelizationFactor", 1)), places),
        alert_seconds=alerting[phase],
        stream_delay=max(0.0, statistics.median(waited) - alerting["alone"]),
    )


def _mapping(function: str, event: str) -> dict[str, Any]:
    properties: dict[str, Any] = template()["Resources"][function]["Properties"]["Events"][event][
        "Properties"
    ]
    return properties


def compare(phases: Mapping[str, list[Seen]], alerting: Mapping[str, float]) -> list[Compared]:
    """Return what was measured beside what the simulation says."""
    found = []
    for phase in ("burst", "steady"):
        seen = phases[phase]
        since = seen[0].arrived
        run = simulate(chain_of(phases, alerting, phase), [one.image(since) for one in seen])
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
    yield Compared(
        f"{name}: verdict to alert, p50, ms", 1000 * percentile(late, 0.5), 1000 * percentile(later, 0.5)
    )


def _rate(seen: Sequence[Seen]) -> float:
    """Return the images a second from the first upload to the last verdict."""
    return len(seen) / (max(one.recorded for one in seen) - min(one.arrived for one in seen))


def _document(
    phases: Mapping[str, list[Seen]], compared: list[Compared], alerting: Mapping[str, float]
) -> dict[str, Any]:
    numbers = {phase: len(seen) for phase, seen in phases.items()}
    worst = max(abs(one.error) for one in compared)
    return {
        "about": (
            f"{datetime.now(UTC):%Y-%m-%d}, {cores()} cores: {numbers['burst']} images at once and "
            f"{numbers['steady']} at random times, {_FAILING:.0%} of them failing. The largest error is {worst:.0%}; "
            f"{ALLOWED:.0%} is allowed."
        ),
        "machine": machine(),
        "images": numbers,
        "within": worst <= ALLOWED,
        "pickup_ms": round(1000 * pickup_seconds(phases["alone"]), 1),
        "gap_ms": round(1000 * gap_seconds(phases["burst"]), 1),
        "alert_ms": {phase: round(1000 * seconds, 1) for phase, seconds in alerting.items()},
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
