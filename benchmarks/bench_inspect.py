"""The speed of the inspection path on this machine: `loupe bench inspect [--images 2000] [--json]`.

`loupe up` runs the local cloud in another process, with a model that finds nothing and costs nothing. So the chain
S3 → SQS → Lambda → endpoint → DynamoDB is measured, and not the model. This process uploads the images and reads the
records, on the same cores.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from benchmarks.local_cloud import ROOT, local_cloud
from benchmarks.output import machine, say, show
from contract.keys import incoming
from contract.s3 import join
from loupe.stack import uploads
from loupe.stack.target import Target
from loupe.stack.uploads import Source

_MIB = 1 << 20


def _image(seed: int) -> bytes:
    """Return a 200 × 200 grey JPEG, each different, of the size of a NEU-DET image (about 20 kB)."""
    picture = Image.effect_noise((200, 200), 40 + seed % 40)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _resident_mib(process: psutil.Process) -> dict[str, float]:
    """Return the resident memory of the cloud and of its children (functions and model server)."""
    children = process.children(recursive=True)
    return {
        "cloud": round(process.memory_info().rss / _MIB, 1),
        "children": round(sum(child.memory_info().rss for child in children) / _MIB, 1),
    }


def _single_images(target: Target, count: int) -> list[float]:
    """Return the milliseconds from the start of each upload until its record can be read, one image at a time."""
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    bucket, latencies = target.output("ImagesBucketName"), []
    for number in range(count):
        body, key = _image(number), incoming("bench", "single", f"{number}.jpg")
        began = time.perf_counter()
        version = target.s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]
        identity = {"image": join(bucket, key), "version_id": version}
        while "Item" not in table.get_item(Key=identity, ConsistentRead=True):
            time.sleep(0.005)
        latencies.append((time.perf_counter() - began) * 1000)
        # So that the next image finds the chain idle.
        time.sleep(0.3)
    return latencies


def _many_images(target: Target, process: psutil.Process, count: int) -> dict[str, Any]:
    """Upload all images at once, and return the images per second from the first upload to the last record."""
    bodies = [_image(seed) for seed in range(64)]
    sources = [
        Source(incoming("bench", "many", f"{n}.jpg"), partial(bodies.__getitem__, n % 64), str(n))
        for n in range(count)
    ]
    memory = [_resident_mib(process)]
    done = 0

    def on_record(_: object) -> None:
        nonlocal done
        done += 1
        if done % (count // 4) == 0:
            memory.append(_resident_mib(process))
            say(f"  {done} of {count} records, resident MiB {memory[-1]}")

    began = time.time()
    uploaded = uploads.upload(target, sources, lambda _: None)
    upload_ended = time.time()
    records = uploads.follow(target, uploaded, on_record, poll_every=1.0)
    last = max(datetime.fromisoformat(record["inspected_at"]).timestamp() for record in records.values())
    return {
        "images": count,
        "lost": count - len(records),
        "upload_s": round(upload_ended - began, 2),
        "total_s": round(last - began, 2),
        "images_per_s": round(len(records) / (last - began), 1),
        "resident_mib": memory,
    }


def _inspect_function() -> dict[str, Any]:
    """Return the function's own costs, measured in a new interpreter (benchmarks/inspect_cost.py)."""
    measured = subprocess.run(
        [sys.executable, "-m", "benchmarks.inspect_cost"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "functions")},
    )
    costs: dict[str, Any] = json.loads(measured.stdout)
    return costs


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(prog="loupe bench inspect", description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--single", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(system=platform.machine())}
    say("the inspect function on its own ...")
    result["inspect"] = _inspect_function()
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as folder:
        home = Path(folder) / "home"
        say("starting the local cloud with the null model ...")
        with local_cloud(home) as process:
            target = Target.local(home)
            say("warming up, then one image at a time ...")
            _single_images(target, 5)
            single = _single_images(target, options.single)
            cuts = statistics.quantiles(single, n=20, method="inclusive")
            result["single_image_ms"] = {"count": len(single), "p50": round(cuts[9]), "p95": round(cuts[18])}
            say(f"{options.images} images at once ...")
            result["chain"] = _many_images(target, process, options.images)
    show(result, options.json)


if __name__ == "__main__":
    main()
