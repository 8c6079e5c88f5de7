"""The duration of the retraining's first step on a large data set: `loupe bench plan [--json]`.

The step reads the snapshot, merges the labels that people have added since, and names every job. Here moto takes the
place of AWS, so the figure is the step's own work without any network.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

import boto3
from moto import mock_aws

from benchmarks.output import machine, show
from contract import snapshots
from contract.keys import LABELLED, LABELS, SNAPSHOTS, incoming
from contract.s3 import join
from training.datasets.dataset import Object
from training.datasets.formats.coco import annotations_of, categories_of

# As in the Lambda packages.
sys.path.insert(0, "functions")

from retraining.documents import Documents
from retraining.plan import Planner
from retraining.settings import Settings

BUCKET, REGION = "artefacts", "us-east-1"
CLASSES = ("crazing", "inclusion")


def snapshot(images: int) -> dict[str, Any]:
    """Return a snapshot's document with two objects in each image."""
    parts = ["train"] * 7 + ["validation"] + ["test"] * 2
    entries = []
    objects = [Object(CLASSES[0], (10, 20, 60, 60)), Object(CLASSES[1], (10, 100, 60, 140))]
    for number in range(1, images + 1):
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        uri = join(BUCKET, f"{LABELLED}/images/{digest}.jpg")
        entries.append(
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
        "loupe_snapshot": snapshots.VERSION,
        "info": {"format": "coco", "previous": None, "split": "by image hash, 70/10/20"},
        "categories": categories_of(CLASSES),
        "images": entries,
        "annotations": annotations_of([objects] * images, CLASSES),
        "left_out": [],
    }
    return {"id": snapshots.identity(content), **content}


def reviewed(number: int) -> dict[str, Any]:
    """Return the document of an image that a person has labelled."""
    digest = hashlib.sha256(f"reviewed {number}".encode()).hexdigest()
    return {
        "image": {
            "bucket": "images",
            "key": incoming("line-1", "top", f"{number}.jpg"),
            "version_id": "null",
        },
        "sha256": digest,
        "width": 200,
        "height": 200,
        "objects": [{"label": CLASSES[0], "box": [10, 10, 60, 50]}],
    }


@mock_aws
def measure(images: int, labels: int) -> dict[str, Any]:
    """Return the seconds of one plan, and the process's peak memory."""
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket=BUCKET)
    documents = Documents(s3, BUCKET)
    documents.write(f"{SNAPSHOTS}first.json", snapshot(images))
    for number in range(labels):
        document = reviewed(number)
        documents.write(f"{LABELS}{document['sha256']}.json", document)
    planner = _planner(documents)
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


def _planner(documents: Documents) -> Planner:
    settings = Settings(
        artefacts_bucket=BUCKET,
        name_prefix="benchmark",
        dataset_name="default",
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
    return Planner(
        settings,
        documents,
        boto3.client("sagemaker", region_name=REGION),
        boto3.client("stepfunctions", region_name=REGION),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, print the figures, and return the exit status."""
    parser = argparse.ArgumentParser(prog="loupe bench plan", description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument(
        "--labels", type=int, default=1_000, help="images that have been reviewed since the import"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    figures = measure(options.images, options.labels)
    show(figures | machine(), options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
