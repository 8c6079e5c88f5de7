"""Images that the model has not seen, through the whole local cloud.

loupe bench real --model PATH.tar.gz --dataset NEU-DET.zip [--json]

Takes the test part of a labelled data set (COCO or Pascal VOC, folder or zip), drops every image into a local
cloud that serves the model, follows each to its record and its alert, and measures mAP on the same part.
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
from localcloud import LocalCloud
from loupe.stack import demo
from loupe.stack import endpoint as models
from loupe.stack import uploads as drop
from loupe.stack.alert_inbox import AlertInbox
from loupe.stack.target import Target
from training.datasets import Dataset, open_dataset


def _run(home: Path, model: Path, part: Dataset) -> dict[str, Any]:
    with LocalCloud(home) as cloud:
        cloud.deploy()
        target = Target.local(home)
        models.deploy(target, model, models.Hosting(), say)
        inbox = AlertInbox(target)
        sources = [
            drop.Source(f"incoming/line-1/top/{Path(s.name).name}", partial(part.read, s), s.name)
            for s in part.samples
        ]
        began = time.time()
        dropped = drop.upload(target, sources, lambda _: None)
        found = drop.follow(target, dropped, lambda _: None)
        fails = sum(record["verdict"] == "fail" for record in found.values())
        alerts = demo.gather(inbox, fails)
    labelled = {sample.name: {o.label for o in sample.objects} for sample in part.samples}
    seen = [
        (labelled[item.origin], found[key])
        for item in dropped
        if (key := (item.image, item.version_id)) in found
    ]
    latencies = [demo.latency_ms(i, found[k]) for i in dropped if (k := (i.image, i.version_id)) in found]
    ids = [json.loads(alert["Message"])["alert_id"] for alert in alerts]
    return {
        "images": len(dropped),
        "records": len(found),
        "lost": len(dropped) - len(found),
        "verdicts": dict(Counter(record["verdict"] for record in found.values())),
        "alerts": len(alerts),
        "alert_ids": len(set(ids)),
        "defective_images_passed": sum(bool(labels) and r["verdict"] == "pass" for labels, r in seen),
        "seconds": round(time.time() - began, 1),
        "model_ms_median": round(
            statistics.median(r["timings_ms"]["total"] for _, r in seen if "timings_ms" in r), 1
        ),
        **demo.percentiles(latencies),
    }


def _evaluate(model: Path, dataset: Path) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "training.evaluate",
        "--model",
        str(model),
        "--dataset",
        str(dataset),
        "--json",
    ]
    scores: dict[str, Any] = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    )
    return scores


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(prog="loupe bench real", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    part = open_dataset(options.dataset).part("test")
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as home:
        result = {"chain": _run(Path(home), options.model, part)}
    result["evaluation"] = _evaluate(options.model, options.dataset)
    show(result, options.json)


if __name__ == "__main__":
    main()
