"""How far alerts lag behind verdicts in a burst: `loupe bench alerts [--images 1000] [--json]`.

`loupe up` runs the local cloud in another process, with the starter model. All images are uploaded at once: the samples
of the demo, of which about half fail, again and again. The rates are those of the images that failed: until their
verdict, and until their alert was sent and has its picture and its thumbnail.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.local_cloud import ROOT, local_cloud
from benchmarks.output import machine, say, show
from contract.inspections import Verdict
from contract.keys import incoming
from loupe.stack import deployment, uploads
from loupe.stack.target import Target
from loupe.stack.uploads import Identity, Source

_PATIENCE_S = 600.0
_WARM_UP = 26


def _burst(target: Target, count: int, name: str) -> dict[str, Any]:
    """Upload images at once, and return the rates of those that failed."""
    bodies = [sample.read_bytes() for sample in sorted((ROOT / "samples").rglob("*.jpg"))]
    sources = [
        Source(
            incoming(f"line-{n % 4}", name, f"{n}.jpg"), partial(bodies.__getitem__, n % len(bodies)), str(n)
        )
        for n in range(count)
    ]
    began = time.time()
    uploaded = uploads.upload(target, sources, lambda _: None)
    records = uploads.follow(target, uploaded, lambda _: None, poll_every=1.0)
    failed = {
        identity: datetime.fromisoformat(record["inspected_at"]).timestamp()
        for identity, record in records.items()
        if record["verdict"] == Verdict.FAIL
    }
    sent = _alerts(target, list(failed))
    lags = sorted(sent[identity] - failed[identity] for identity in sent)
    verdicts_s, alerts_s = max(failed.values()) - began, max(sent.values()) - began
    return {
        "images": count,
        "lost": count - len(records),
        "failed": len(failed),
        "alerts": len(sent),
        "verdicts_per_s": round(len(records) / verdicts_s, 1),
        "failed_per_s": round(len(failed) / verdicts_s, 1),
        "alerts_per_s": round(len(sent) / alerts_s, 1),
        "alerts_to_verdicts": round(verdicts_s / alerts_s, 2),
        "lag_s": {"p50": round(statistics.median(lags), 1), "p95": round(lags[int(0.95 * len(lags))], 1)},
    }


def _alerts(target: Target, identities: list[Identity]) -> dict[Identity, float]:
    """Return when each alert was sent, once all are."""
    table, sent, began = target.output("InspectionsTableName"), dict[Identity, float](), time.monotonic()
    while len(sent) < len(identities) and time.monotonic() - began < _PATIENCE_S:
        missing = [identity for identity in identities if identity not in sent][:100]
        keys = [{"image": image, "version_id": version} for image, version in missing]
        reply: Any = target.dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})
        found = [item for item in reply["Responses"][table] if "alert" in item]
        for item in found:
            sent[item["image"], item["version_id"]] = datetime.fromisoformat(
                item["alert"]["sent_at"]
            ).timestamp()
        if not found:
            time.sleep(0.5)
    return sent


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(prog="loupe bench alerts", description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as folder:
        home = Path(folder) / "home"
        say("starting the local cloud with the starter model ...")
        with local_cloud(home, model=deployment.STARTER):
            target = Target.local(home)
            say("warming up ...")
            _burst(target, _WARM_UP, "warm")
            say(f"{options.images} images at once ...")
            result = {"machine": machine(), "burst": _burst(target, options.images, "burst")}
    show(result, options.json)


if __name__ == "__main__":
    main()
