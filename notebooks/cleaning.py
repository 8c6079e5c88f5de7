"""Deletes what the notebook has created, from any state, and says what is left.

In the notebook: its last section, which needs the first two cells only. In a terminal, also while no kernel runs:

    python notebooks/cleaning.py --name notebook                   # in the local cloud
    python notebooks/cleaning.py --name notebook --stack loupe     # in that stack on AWS
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from jobs import OPERATIONS, listed
from place import NotebookError, Place, connect

_NOT_FOUND = ("Could not find", "does not exist", "not found", "NotFound")
_CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack")
_BATCH = 1000  # DeleteObjects takes so many keys
# The tuning jobs first, so that they start nothing while the others are stopped.
_JOBS = {
    "HyperParameterTuningJob": "tuning job",
    "TrainingJob": "training job",
    "ProcessingJob": "processing job",
}


@dataclass
class Report:
    """What a clean-up has done.

    Attributes:
        deleted: What was deleted or stopped, in words.
        left: What stays, and why.
    """

    deleted: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        done = self.deleted or ["nothing: there was nothing to delete"]
        return "\n".join(
            ["Deleted:", *(f"  {line}" for line in done), "Left:", *(f"  {line}" for line in self.left)]
        )


def clean_up(place: Place) -> Report:
    """Stop what runs, and delete what the notebook has created under its name; return what was done.

    What is gone already is no error, so it can be interrupted and repeated.
    """
    report = Report()
    _stop_jobs(place, report)
    for name in sorted(
        {*names(place, "endpoints"), *names(place, "endpoint_configs"), *names(place, "models")}
    ):
        report.deleted += delete_hosting(place, name)
    _delete_objects(place, report)
    _delete_files(place, report)
    _say_what_stays(place, report)
    return report


def names(place: Place, kind: str) -> list[str]:
    """Return the names of the notebook's endpoints, endpoint_configs or models."""
    key = {"endpoints": "EndpointName", "endpoint_configs": "EndpointConfigName", "models": "ModelName"}[kind]
    beginning = f"{place.name}-"
    pages = place.sagemaker.get_paginator(f"list_{kind}").paginate(NameContains=beginning)
    found = [
        entry[key] for page in pages for value in page.values() if isinstance(value, list) for entry in value
    ]
    return [name for name in found if name.startswith(beginning)]


def delete_hosting(place: Place, name: str) -> list[str]:
    """Delete the endpoint, the endpoint configuration and the model of a name; return what there was of them."""
    client = place.sagemaker
    gone = []
    if settled(place, name):
        _gone_or(lambda: client.delete_endpoint(EndpointName=name))
        while settled(place, name):
            time.sleep(place.poll_seconds)
        gone.append(f"endpoint {name}")
    if _gone_or(lambda: client.describe_endpoint_config(EndpointConfigName=name)):
        _gone_or(lambda: client.delete_endpoint_config(EndpointConfigName=name))
        gone.append(f"endpoint configuration {name}")
    if _gone_or(lambda: client.describe_model(ModelName=name)):
        _gone_or(lambda: client.delete_model(ModelName=name))
        gone.append(f"model {name}")
    return gone


def settled(place: Place, name: str) -> dict[str, Any]:
    """Wait while an endpoint is created or updated, in which time it cannot be deleted; return its description.

    Returns:
        SageMaker's description; empty if there is no such endpoint.
    """
    while True:
        description = _gone_or(lambda: place.sagemaker.describe_endpoint(EndpointName=name))
        if description.get("EndpointStatus") not in _CHANGING:
            return description
        time.sleep(place.poll_seconds)


def _gone_or(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the answer of a call; nothing if what it names does not exist."""
    try:
        return call() or {}
    except ClientError as error:
        if not any(text in str(error) for text in _NOT_FOUND):
            raise
        return {}


def running(place: Place) -> list[tuple[str, str]]:
    """Return kind and name of the notebook's jobs that have not ended."""
    found = []
    for kind in _JOBS:
        for name, status in listed(place, kind, f"{place.name}-"):
            if status in ("InProgress", "Stopping"):
                found.append((kind, name))
    return found


def _stop_jobs(place: Place, report: Report) -> None:
    """Stop the jobs, and wait until they write nothing more."""
    stopped: set[tuple[str, str]] = set()
    while jobs := running(place):
        for kind, name in jobs:
            if (kind, name) not in stopped:
                _stop(place, kind, name)
                stopped.add((kind, name))
                report.deleted.append(f"{_JOBS[kind]} {name}: stopped")
        time.sleep(place.poll_seconds)


def _stop(place: Place, kind: str, name: str) -> None:
    """Stop a job; one that has just ended, or that its tuning job is stopping, needs it no more."""
    try:
        getattr(place.sagemaker, f"stop_{OPERATIONS[kind]}")(**{f"{kind}Name": name})
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ValidationException", "ResourceNotFound"):
            raise


def versions(place: Place) -> Iterable[dict[str, str]]:
    """Yield key and version of every object under the notebook's prefix, also of those that are marked as deleted."""
    pages = place.s3.get_paginator("list_object_versions").paginate(Bucket=place.bucket, Prefix=place.prefix)
    for page in pages:
        for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            yield {"Key": entry["Key"], "VersionId": entry["VersionId"]}


def _delete_objects(place: Place, report: Report) -> None:
    found = list(versions(place))
    for first in range(0, len(found), _BATCH):
        batch = found[first : first + _BATCH]
        answer = place.s3.delete_objects(Bucket=place.bucket, Delete={"Objects": batch, "Quiet": True})
        if errors := answer.get("Errors"):
            raise NotebookError(
                f"{len(errors)} objects cannot be deleted, such as {errors[0]['Key']}: {errors[0]['Message']}",
                "Whoever cleans up needs s3:DeleteObjectVersion in the artefacts bucket.",
            )
    if found:
        report.deleted.append(f"{len(found)} objects below s3://{place.bucket}/{place.prefix}")


def _delete_files(place: Place, report: Report) -> None:
    if place.folder.is_dir():
        shutil.rmtree(place.folder)
        if not any(place.folder.parent.iterdir()):
            place.folder.parent.rmdir()
        report.deleted.append(f"the folder {place.folder}")


def _say_what_stays(place: Place, report: Report) -> None:
    jobs = sum(len(listed(place, kind, f"{place.name}-")) for kind in _JOBS)
    if jobs:
        report.left.append(
            f"the records of {jobs} jobs and their logs: SageMaker keeps them, and bills nothing for them"
        )
    for version in _versions_of_the_notebook(place):
        report.left.append(
            f"version {version} of {place.variables['LOUPE_MODEL_PACKAGE_GROUP']}: the champion"
        )
    if not report.left:
        report.left.append("nothing")


def _versions_of_the_notebook(place: Place) -> list[int]:
    return sorted(
        int(package["ModelPackageVersion"])
        for package in packages(place)
        if package.get("CustomerMetadataProperties", {}).get("notebook") == place.name
    )


def packages(place: Place) -> Iterable[dict[str, Any]]:
    """Yield the descriptions of the versions in the stack's model package group, the newest first."""
    pages = place.sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=place.variables["LOUPE_MODEL_PACKAGE_GROUP"],
        SortBy="CreationTime",
        SortOrder="Descending",
    )
    for page in pages:
        for summary in page["ModelPackageSummaryList"]:
            yield place.sagemaker.describe_model_package(ModelPackageName=summary["ModelPackageArn"])


def main() -> int:
    """Clean up from a terminal; return the exit status."""
    parser = argparse.ArgumentParser(description="Delete what the notebook has created.")
    parser.add_argument(
        "--name", default="notebook", help="the notebook's parameter `name` (default notebook)"
    )
    parser.add_argument("--stack", help="the stack on AWS; without it the local cloud")
    options = parser.parse_args()
    try:
        place = connect(f"--stack {options.stack}" if options.stack else "--local", options.name)
        sys.stdout.write(f"{clean_up(place)}\n")
    except NotebookError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
