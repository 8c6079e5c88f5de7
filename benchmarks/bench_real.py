"""Images that the model has not seen, through the whole local cloud.

loupe bench real --model PATH.tar.gz --dataset NEU-DET.zip [--json]

Takes the test part of a labelled data set (COCO or Pascal VOC, folder or zip), uploads every image to a local cloud
that serves the model, follows each to its record and its alert, and measures mAP on the same part.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.output import say, show
from contract.inspections import Verdict
from contract.keys import incoming
from localcloud.cloud import LocalCloud
from loupe.stack import demo, deployment, uploads
from loupe.stack.alert_inbox import AlertInbox
from loupe.stack.inspections import Inspection
from loupe.stack.target import Target
from loupe.stack.uploads import Source, Upload
from training.datasets import Dataset, open_dataset


def _inspect(home: Path, model: Path, part: Dataset) -> dict[str, Any]:
    """Inspect the images of a part in a new local cloud, and return the figures."""
    with LocalCloud(home) as cloud:
        cloud.deploy()
        target = Target.local(home)
        deployment.deploy(target, model, deployment.Hosting(), say)
        inbox = AlertInbox(target)
        sources = [
            Source(incoming("line-1", "top", Path(sample.name).name), partial(part.read, sample), sample.name)
            for sample in part.samples
        ]
        began = time.time()
        uploaded = uploads.upload(target, sources, lambda _: None)
        records = uploads.follow(target, uploaded, lambda _: None)
        failed = sum(record["verdict"] == Verdict.FAIL for record in records.values())
        alerts = demo.receive_alerts(inbox, failed)
    alert_ids = {alert.document["alert_id"] for alert in alerts}
    inspected = [(item, records[item.identity]) for item in uploaded if item.identity in records]
    return {
        "images": len(uploaded),
        "records": len(records),
        "lost": len(uploaded) - len(records),
        "verdicts": dict(Counter(record["verdict"] for record in records.values())),
        "alerts": len(alerts),
        "alert_ids": len(alert_ids),
        "defective_images_passed": _escaped(part, inspected),
        "seconds": round(time.time() - began, 1),
        "model_ms_median": round(_median_model_ms(inspected), 1),
        **demo.percentiles([demo.latency_ms(upload, record) for upload, record in inspected]),
    }


def _escaped(part: Dataset, inspected: list[tuple[Upload, Inspection]]) -> int:
    """Return how many images with a labelled defect have passed."""
    defective = {sample.name for sample in part.samples if sample.objects}
    return sum(
        upload.origin in defective and record["verdict"] == Verdict.PASS for upload, record in inspected
    )


def _median_model_ms(inspected: list[tuple[Upload, Inspection]]) -> float:
    timings: list[float] = [
        record["timings_ms"]["total"] for _, record in inspected if "timings_ms" in record
    ]
    return statistics.median(timings)


def _evaluate(model: Path, dataset: Path) -> dict[str, Any]:
    program = [sys.executable, "-m", "training.evaluate"]
    command = [*program, "--model", str(model), "--dataset", str(dataset), "--json"]
    evaluated = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    scores: dict[str, Any] = json.loads(evaluated.stdout)
    return scores


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(prog="loupe bench real", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    part = open_dataset(options.dataset).part("test")
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as home:
        result = {"chain": _inspect(Path(home), options.model, part)}
    result["evaluation"] = _evaluate(options.model, options.dataset)
    show(result, options.json)


if __name__ == "__main__":
    main()
