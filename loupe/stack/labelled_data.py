"""The labelled data of a stack: where `loupe import` puts a snapshot, and which data sets there are."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.keys import (
    DATASET_NAME_RULE,
    DEFAULT_DATASET,
    LABELLED,
    SNAPSHOTS,
    dataset_of,
    is_dataset_name,
)
from contract.s3 import join
from contract.snapshots import PARTS
from localcloud import NotRunningError, connection
from loupe.errors import LoupeError
from loupe.stack.target import Target

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectTypeDef


@dataclass(frozen=True)
class ImportOptions:
    """The options of `loupe import`.

    Attributes:
        path: A folder, a zip, an annotation file, or an S3 URI.
        format: The format; None to detect it.
        check: Report, and write nothing.
        repair: Repair what needs no decision.
        labels: The labels that are allowed, separated by commas.
        previous: The snapshot whose test images stay; "" for none, None for the newest of the data set.
        out: A folder or an S3 URI for the snapshot; None for the stack.
        dataset: The data set; None for the stack's own.
        add_classes: Whether the data set may become one of other classes.
        by_hash: Whether not to use the parts that the source has itself.
        yes: Whether to go on without a question.
        json: Print one JSON document.
    """

    path: str
    format: str | None = None
    check: bool = False
    repair: bool = False
    labels: str | None = None
    previous: str | None = None
    out: str | None = None
    dataset: str | None = None
    add_classes: bool = False
    by_hash: bool = False
    yes: bool = False
    json: bool = False

    def arguments(self) -> list[str]:
        """Return the options for the import program."""
        values = {
            "--format": self.format,
            "--labels": self.labels,
            "--previous": self.previous or None,
            "--out": self.out,
            "--dataset": self.dataset,
        }
        flags = {
            "--check": self.check,
            "--repair": self.repair,
            "--add-classes": self.add_classes,
            "--by-hash": self.by_hash,
            "--yes": self.yes,
            "--json": self.json,
        }
        given = [f"{name}={value}" for name, value in values.items() if value is not None]
        given += [name for name, is_set in flags.items() if is_set]
        # After "--", a path that starts with a hyphen is a path.
        return [*given, "--", self.path]


@dataclass(frozen=True)
class ProgramCall:
    """How to call a program of the container.

    Attributes:
        arguments: Its options.
        environment: Its whole environment.
        destination: The S3 URI that the snapshot goes to; None if it does not go into a cloud.
    """

    arguments: list[str]
    environment: dict[str, str]
    destination: str | None = None


def prepare(options: ImportOptions, stack: str | None, home: Path, home_required: bool) -> ProgramCall:
    """Return the call that puts the snapshot into the cloud, unless the options choose another place.

    The newest snapshot of the data set becomes the previous one, so that its test set stays the same.

    Args:
        options: What the user asks for.
        stack: A stack on AWS; None for the local cloud.
        home: The local cloud's private folder.
        home_required: Whether the command line names `home`: then a local cloud must run there.

    Raises:
        LoupeError: There is no such stack, or the data set's name is not valid.
        NotRunningError: No local cloud runs on `home`, and one is required.
    """
    if options.dataset is not None:
        check_dataset_name(options.dataset)
    if options.out or options.check:
        return ProgramCall(options.arguments(), dict(os.environ))
    try:
        target = Target.aws(stack) if stack else Target.local(home)
    except NotRunningError:
        if home_required:
            raise
        after = "--next=loupe up, the same import again, and then loupe retrain --wait"
        return ProgramCall([after, *options.arguments()], dict(os.environ))
    dataset = options.dataset or own_dataset(target)
    bucket = target.output("ArtefactsBucketName")
    destination = join(bucket, LABELLED)
    next_command = _next_command(options.dataset, stack, home if home_required else None)
    added = [f"--out={destination}", f"--next={next_command}"]
    if options.dataset is None:
        added.append(f"--dataset={dataset}")
    if options.previous is None and (newest := newest_snapshot(target, dataset)):
        added.append(f"--previous={newest}")
    environment = dict(os.environ) if stack else local_environment(home)
    return ProgramCall([*added, *options.arguments()], environment, destination)


def check_dataset_name(name: str) -> None:
    """Check the name of a data set.

    Raises:
        LoupeError: It is not a valid name.
    """
    if not is_dataset_name(name):
        raise LoupeError(f"{name!r} is not a name for a data set", f"Use {DATASET_NAME_RULE}.")


def require_dataset(target: Target, name: str) -> None:
    """Check that something was imported into a data set.

    Raises:
        LoupeError: There is no such data set.
    """
    known = _names(target)
    if name in known:
        return
    if known:
        raise LoupeError(f"there is no data set {name!r}", f"There are: {', '.join(known)} (loupe datasets).")
    raise LoupeError(f"there is no data set {name!r}", f"Import one: loupe import PATH --dataset {name}")


def own_dataset(target: Target) -> str:
    """Return the data set that the stack's retraining uses. An older stack does not name it."""
    return target.outputs.get("DatasetName", DEFAULT_DATASET)


def _next_command(dataset: str | None, stack: str | None, home: Path | None) -> str:
    """Return the command that trains on what was imported. home: None if it need not be named."""
    command = ["loupe", "retrain", "--wait"]
    command += ["--dataset", dataset] if dataset else []
    if stack:
        command += ["--stack", stack]
    elif home:
        command += ["--home", str(home)]
    return shlex.join(command)


@dataclass(frozen=True)
class DatasetSummary:
    """A data set, as its last import left it.

    Attributes:
        name: The data set's name.
        images: The number of images.
        classes: The number of objects of each class.
        parts: The number of images in train, validation and test.
        snapshot: The id of the last imported snapshot.
        uri: Its place.
        imported_at: When it was imported.
        is_retrained: Whether the stack's retraining uses this data set.
    """

    name: str
    images: int
    classes: dict[str, int]
    parts: dict[str, int]
    snapshot: str
    uri: str
    imported_at: datetime
    is_retrained: bool

    def document(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        return {
            "name": self.name,
            "images": self.images,
            "classes": self.classes,
            "parts": self.parts,
            "snapshot": self.snapshot,
            "uri": self.uri,
            "imported_at": self.imported_at.isoformat(timespec="seconds"),
            "is_retrained": self.is_retrained,
        }


def datasets(target: Target) -> list[DatasetSummary]:
    """Return the data sets of a stack, by name.

    Raises:
        LoupeError: A snapshot is not a JSON document.
    """
    return [summary for name in _names(target) if (summary := _summary(target, name))]


def _names(target: Target) -> list[str]:
    names = map(dataset_of, (entry["Key"] for entry in target.list_artefacts(SNAPSHOTS)))
    return sorted({name for name in names if name})


def _summary(target: Target, name: str) -> DatasetSummary | None:
    """Return the summary of a data set; None if it has no snapshot that was imported."""
    for entry in _snapshots(target, name):
        document = target.read_json(entry["Key"])
        if not isinstance(document, dict) or "loupe_snapshot" not in document:
            continue
        # A merged snapshot is an import with reviewed labels, which the retraining writes.
        if document["info"].get("format") == "merged":
            continue
        labels = {category["id"]: str(category["name"]) for category in document["categories"]}
        objects = Counter(labels[annotation["category_id"]] for annotation in document["annotations"])
        parts = Counter(image["split"] for image in document["images"])
        return DatasetSummary(
            name=name,
            images=len(document["images"]),
            classes={label: objects[label] for label in labels.values()},
            parts={part: parts[part] for part in PARTS},
            snapshot=str(document["id"]),
            uri=join(target.output("ArtefactsBucketName"), entry["Key"]),
            imported_at=entry["LastModified"],
            is_retrained=name == own_dataset(target),
        )
    return None


def newest_snapshot(target: Target, dataset: str) -> str | None:
    """Return the URI of a data set's newest snapshot; None if it has none."""
    newest = next(_snapshots(target, dataset), None)
    return join(target.output("ArtefactsBucketName"), newest["Key"]) if newest else None


def _snapshots(target: Target, dataset: str) -> Iterator[ObjectTypeDef]:
    """Yield the snapshots of a data set, newest first."""
    entries = [entry for entry in target.list_artefacts(SNAPSHOTS) if dataset_of(entry["Key"]) == dataset]
    yield from sorted(entries, key=lambda entry: (entry["LastModified"], entry["Key"]), reverse=True)


def local_environment(home: Path) -> dict[str, str]:
    """Return this process's environment with the local cloud's settings in place of all AWS settings."""
    cloud = connection(home)
    other_variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return other_variables | {
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_ACCESS_KEY_ID": cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_access_key,
        "AWS_REGION": cloud.region,
        "AWS_DEFAULT_REGION": cloud.region,
        # The user's profile must not interfere, and a proxy cannot reach this machine's loopback interface.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }
