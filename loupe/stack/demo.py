"""The sample images through the whole path, in a local cloud of the demo's own."""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from contract.keys import ANNOTATED
from localcloud import LocalCloud
from loupe.stack import endpoint as models
from loupe.stack import uploads as drop
from loupe.stack.alert_inbox import AlertInbox
from loupe.stack.inspections import Inspection
from loupe.stack.target import Target

SAMPLES = Path(__file__).parents[2] / "samples"
_ALERT_PATIENCE = 30.0  # seconds without a further alert


@dataclass(frozen=True)
class Report:
    """What came of the demo."""

    dropped: int
    records: list[Inspection]
    alerts: list[dict[str, Any]]
    latencies_ms: list[float]
    pictures: list[Path]

    @property
    def lost(self) -> int:
        return self.dropped - len(self.records)

    def summary(self) -> dict[str, int | float]:
        """The figures of the last line, in its order."""
        verdicts = Counter(record["verdict"] for record in self.records)
        return {
            "images": self.dropped,
            "inspected": len(self.records),
            **{verdict: verdicts[verdict] for verdict in ("pass", "fail", "review", "unreadable")},
            "alerts": len(self.alerts),
            "lost": self.lost,
            **percentiles(self.latencies_ms),
        }


def percentiles(latencies_ms: list[float]) -> dict[str, float]:
    """p50 and p95 in whole milliseconds; nothing to measure gives zeros."""
    if len(latencies_ms) < 2:
        only = latencies_ms[0] if latencies_ms else 0.0
        return {"p50_ms": round(only), "p95_ms": round(only)}
    cuts = statistics.quantiles(latencies_ms, n=20, method="inclusive")
    return {"p50_ms": round(cuts[9]), "p95_ms": round(cuts[18])}


def latency_ms(dropped: drop.Dropped, record: Inspection) -> float:
    """From the end of the upload to the verdict, both by this machine's clock."""
    inspected = datetime.fromisoformat(record["inspected_at"]).timestamp()
    return max(0.0, (inspected - dropped.at) * 1000)


def run(
    pictures_to: Path,
    on_status: Callable[[str], None],
    on_total: Callable[[int], None],
    on_record: Callable[[Inspection], None],
) -> Report:
    """Start a fresh local cloud, deploy template and starter model, drop the samples, wait for the results.

    The cloud lives in a temporary folder, so a demo neither sees nor disturbs a running `loupe up`.
    """
    with tempfile.TemporaryDirectory(prefix="loupe-demo-") as home:
        on_status("starting the local cloud")
        with LocalCloud(Path(home)) as cloud:
            on_status("deploying template.yaml")
            cloud.deploy()
            target = Target.local(Path(home))
            models.deploy(target, models.STARTER, models.Hosting(), on_status)
            inbox = AlertInbox(target)
            sources, _ = drop.find_images([SAMPLES], None, None)
            on_status(f"inspecting {len(sources)} sample images")
            on_total(len(sources))
            dropped = drop.upload(target, sources, lambda _: None)
            found = drop.follow(target, dropped, on_record)
            on_status("waiting for the alerts")
            alerts = gather(inbox, sum(record["verdict"] == "fail" for record in found.values()))
            pictures = _fetch_pictures(target, list(found.values()), pictures_to)
            on_status("stopping the local cloud")
    at = {(item.image, item.version_id): item for item in dropped}
    return Report(
        dropped=len(dropped),
        records=sorted(found.values(), key=lambda record: record["image"]),
        alerts=alerts,
        latencies_ms=[latency_ms(at[identity], record) for identity, record in found.items()],
        pictures=pictures,
    )


def gather(inbox: AlertInbox, expected: int) -> list[dict[str, Any]]:
    """The alerts that come, until there are as many as expected or none came for a while."""
    alerts: list[dict[str, Any]] = []
    last_news = time.monotonic()
    while len(alerts) < expected and time.monotonic() - last_news < _ALERT_PATIENCE:
        if came := inbox.receive():
            alerts += came
            last_news = time.monotonic()
    return alerts


def _fetch_pictures(target: Target, records: list[Inspection], folder: Path) -> list[Path]:
    """Bring the annotated pictures, which bear the records' ids, as `<line>-<station>-<serial>.jpg`."""
    bucket, found = target.output("ArtefactsBucketName"), []
    by_id = {record["id"]: record for record in records}
    folder.mkdir(parents=True, exist_ok=True)
    for entry in target.artefacts(ANNOTATED):
        record = by_id[PurePosixPath(entry["Key"]).stem]
        name = "-".join(record[part] for part in ("line", "station", "serial"))
        file = folder / (re.sub(r"[^\w.-]+", "-", name) + ".jpg")
        target.s3.download_file(bucket, entry["Key"], str(file))
        found.append(file)
    return sorted(found)
