"""The demo: the sample images through the whole system, in a temporary local cloud."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from contract.inspections import Verdict
from localcloud.cloud import LocalCloud
from localcloud.sources import REPOSITORY
from loupe.stack import deployment, pictures, uploads
from loupe.stack.alert_inbox import AlertInbox, DefectAlert
from loupe.stack.inspections import Inspection
from loupe.stack.target import Target
from loupe.stack.uploads import Upload

SAMPLES = REPOSITORY / "samples"
# So few images are shown that one in a hundred, as in a factory, would leave nothing to review.
_PARAMETERS = {"ReviewPassShare": "0.5", "ReviewFailShare": "0.5"}
# For the alerts and the pictures, which follow the verdicts.
_PATIENCE_SECONDS = 20.0
# In the order of the demo's last line.
_VERDICTS = (Verdict.PASS, Verdict.FAIL, Verdict.REVIEW, Verdict.UNREADABLE)


@dataclass(frozen=True)
class DemoReport:
    """The results of a demo.

    Attributes:
        uploaded: How many images.
        records: The inspection records, by image.
        alerts: The SNS messages.
        latencies_ms: From the end of each upload to the verdict.
        pictures: The pictures with what was found framed.
    """

    uploaded: int
    records: list[Inspection]
    alerts: list[DefectAlert]
    latencies_ms: list[float]
    pictures: list[Path]

    @property
    def lost(self) -> int:
        """How many images have no record."""
        return self.uploaded - len(self.records)

    def summary(self) -> dict[str, int | float]:
        """Return the figures of the demo's last line, in its order."""
        counts = Counter(record["verdict"] for record in self.records)
        return {
            "images": self.uploaded,
            "inspected": len(self.records),
            **{str(verdict): counts[verdict] for verdict in _VERDICTS},
            "alerts": len(self.alerts),
            "lost": self.lost,
            **percentiles(self.latencies_ms),
        }


def percentiles(latencies_ms: list[float]) -> dict[str, float]:
    """Return p50 and p95 in whole milliseconds; zeros if there are no latencies."""
    if len(latencies_ms) < 2:
        only = latencies_ms[0] if latencies_ms else 0.0
        return {"p50_ms": round(only), "p95_ms": round(only)}
    cuts = statistics.quantiles(latencies_ms, n=20, method="inclusive")
    return {"p50_ms": round(cuts[9]), "p95_ms": round(cuts[18])}


def latency_ms(upload: Upload, record: Inspection) -> float:
    """Return the time from the end of the upload to the verdict; both clocks are this machine's."""
    inspected = datetime.fromisoformat(record["inspected_at"]).timestamp()
    return max(0.0, (inspected - upload.uploaded_at) * 1000)


def run_demo(
    pictures_folder: Path,
    on_status: Callable[[str], None],
    on_total: Callable[[int], None],
    on_record: Callable[[Inspection], None],
    on_done: Callable[[DemoReport, Path], None] = lambda report, home: None,
) -> DemoReport:
    """Start a new local cloud, deploy the template and the starter model, and inspect the sample images.

    The cloud is in a temporary folder, so a demo does not touch a running `loupe up`.

    Args:
        pictures_folder: Where the framed pictures go.
        on_status: Receives a text for each step.
        on_total: Receives the number of images.
        on_record: Receives each record.
        on_done: Receives the results and the cloud's home, while the cloud still runs.

    Raises:
        OSError: The pictures' folder cannot be written.
    """
    pictures_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="loupe-demo-") as home:
        on_status("starting the local cloud")
        with LocalCloud(Path(home)) as cloud:
            on_status("deploying template.yaml")
            cloud.deploy(_PARAMETERS)
            target = Target.local(Path(home))
            deployment.deploy(target, deployment.STARTER, deployment.Hosting(), on_status)
            inbox = AlertInbox(target)
            sources, _ = uploads.find_images([SAMPLES], None, None)
            on_status(f"inspecting {len(sources)} sample images")
            on_total(len(sources))
            uploaded = uploads.upload(target, sources, lambda _: None)
            records = uploads.follow(target, uploaded, on_record)
            on_status("waiting for the alerts")
            failed = sum(record["verdict"] == Verdict.FAIL for record in records.values())
            alerts = receive_alerts(inbox, failed)
            framed = _framed(target, list(records.values()))
            files = [pictures.download(target, record, pictures_folder) for record in framed]
            by_identity = {upload.identity: upload for upload in uploaded}
            report = DemoReport(
                uploaded=len(uploaded),
                records=sorted(records.values(), key=lambda record: record["image"]),
                alerts=alerts,
                latencies_ms=[
                    latency_ms(by_identity[identity], record) for identity, record in records.items()
                ],
                pictures=sorted(files),
            )
            on_done(report, Path(home))
            on_status("stopping the local cloud")
    return report


def receive_alerts(inbox: AlertInbox, expected: int) -> list[DefectAlert]:
    """Return the alerts that arrive, until there are as many as expected or none has arrived for 30 seconds."""
    alerts: list[DefectAlert] = []
    last_alert = time.monotonic()
    while len(alerts) < expected and time.monotonic() - last_alert < _PATIENCE_SECONDS:
        if received := [message for message in inbox.receive() if isinstance(message, DefectAlert)]:
            alerts += received
            last_alert = time.monotonic()
    return alerts


def _framed(target: Target, records: list[Inspection]) -> list[Inspection]:
    """Return the failed and doubtful records once their pictures are stored; those without one are missing."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    waiting = [record for record in records if record["verdict"] in (Verdict.FAIL, Verdict.REVIEW)]
    found = (
        pictures.await_picture(target, record["image"], record["version_id"], deadline - time.monotonic())
        for record in waiting
    )
    return [record for record in found if record and "picture" in record]
