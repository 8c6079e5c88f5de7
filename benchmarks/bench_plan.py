"""How long the retraining's first step takes on a large data set: `loupe bench plan [--json]`.

The step reads the snapshot, merges what people have labelled since, and names every job; here with moto in the
place of the account, so the figure is the step's own work and no network.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

import boto3
from moto import mock_aws

from benchmarks.output import machine, show
from training.datasets.dataset import Object
from training.datasets.formats.coco import annotations_of, categories_of

sys.path.insert(0, "functions")  # as Lambda has it

from retraining.documents import Documents
from retraining.plan import Planner
from retraining.settings import Settings

BUCKET, REGION = "artefacts", "us-east-1"
LABELS = ("crazing", "inclusion")


def snapshot(images: int) -> dict[str, Any]:
    """A snapshot's document with two objects an image."""
    parts = ["train"] * 7 + ["validation"] + ["test"] * 2
    listed = []
    objects = [Object(LABELS[0], (10, 20, 60, 60)), Object(LABELS[1], (10, 100, 60, 140))]
    for number in range(1, images + 1):
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        uri = f"s3://{BUCKET}/labelled/images/{digest}.jpg"
        listed.append(
            {
                "id": number,
                "file_name": f"{number}.jpg",
                "uri": uri,
                "sha256": digest,
                "width": 200,
                "height": 200,
                "split": parts[number % len(parts)],
            }
        )
    content = {
        "loupe_snapshot": 1,
        "info": {"format": "coco", "previous": None, "split": "by image hash, 70/10/20"},
        "categories": categories_of(LABELS),
        "images": listed,
        "annotations": annotations_of([objects] * images, LABELS),
        "left_out": [],
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return {"id": hashlib.sha256(text.encode()).hexdigest(), **content}


def reviewed(number: int) -> dict[str, Any]:
    """An image as a person labelled it."""
    digest = hashlib.sha256(f"reviewed {number}".encode()).hexdigest()
    return {
        "image": {"bucket": "images", "key": f"incoming/line-1/top/{number}.jpg", "version_id": "null"},
        "sha256": digest,
        "width": 200,
        "height": 200,
        "objects": [{"label": LABELS[0], "box": [10, 10, 60, 50]}],
    }


@mock_aws
def measure(images: int, labels: int) -> dict[str, Any]:
    """Seconds of one plan, and the process's peak memory."""
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket=BUCKET)
    documents = Documents(s3, BUCKET)
    documents.write("labelled/snapshots/first.json", snapshot(images))
    for number in range(labels):
        each = reviewed(number)
        documents.write(f"labels/{each['sha256']}.json", each)
    settings = Settings(
        artefacts_bucket=BUCKET,
        name_prefix="benchmark",
        endpoint_name="loupe-detector",
        role_arn="arn:aws:iam::123456789012:role/training",
        families="ssdlite,gfl_efficientnet_lite0",
        training_image_uri="train",
        training_instance_type="ml.g5.xlarge",
        training_max_seconds=3600,
        volume_gib=30,
        spot=True,
        tuning_jobs=8,
        tuning_parallel_jobs=2,
        tuning_strategy="Bayesian",
        approval=False,
    )
    planner = Planner(
        settings,
        documents,
        boto3.client("sagemaker", region_name=REGION),
        boto3.client("stepfunctions", region_name=REGION),
    )
    began = time.perf_counter()
    plan = planner.plan({"tune": True}, "arn:aws:states:us-east-1:123456789012:execution:retrain:one")
    seconds = time.perf_counter() - began
    return {
        "images": plan["snapshot"]["images"],
        "reviewed": labels,
        "candidates": len(plan["candidates"]),
        "seconds": round(seconds, 2),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="loupe bench plan", description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument(
        "--labels", type=int, default=1_000, help="images that were reviewed since the import"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    figures = measure(options.images, options.labels)
    show(figures | machine(), options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
