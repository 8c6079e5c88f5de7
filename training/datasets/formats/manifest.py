"""Manifests: one JSON object per line, whose `source-ref` is the S3 URI of the image."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from training.datasets.formats.annotations import image_of
from training.datasets.formats.contents import Contents, numbered_lines
from training.datasets.problems import Problems
from training.datasets.storage.files import Files

# In the folder of a labelling job, they contain what manifests/output/output.manifest contains in the end.
_NOT_FINAL = {"intermediate", "temp", "input"}


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """One line of a manifest whose image exists.

    Attributes:
        manifest: The manifest's name.
        place: The line's number, for messages.
        image: The image's name among the source's files.
        fields: The JSON object.
    """

    manifest: str
    place: str
    image: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """The labels that one job gave to a line.

    Attributes:
        name: The attribute of the line.
        kind: "boxes", "classes", "mask", or "other".
        value: The labels.
        metadata: What the job says about them.
    """

    name: str
    kind: str
    value: Any
    metadata: dict[str, Any]

    @property
    def date(self) -> str:
        """When the labels were made, to compare."""
        return str(self.metadata.get("creation-date", ""))


def find(contents: Contents) -> dict[str, list[list[Job]]]:
    """Return the manifests, each with the jobs of its first lines. Those of a job that is not done do not count."""
    found = {
        name: [jobs_of(line) for line in lines]
        for name, lines in contents.lines.items()
        if any("source-ref" in line for line in lines)
    }
    final = {
        name: jobs for name, jobs in found.items() if _NOT_FINAL.isdisjoint(PurePosixPath(name).parts[:-1])
    }
    return {name: jobs for name, jobs in (final or found).items() if any(jobs)} or final or found


def jobs_of(fields: Mapping[str, Any]) -> list[Job]:
    """Return the jobs that labelled a line, the latest first."""
    jobs = []
    for name, metadata in fields.items():
        attribute = name.removesuffix("-metadata")
        if attribute != name and isinstance(metadata, dict):
            value = fields.get(attribute)
            jobs.append(Job(attribute, _kind(value, metadata), value, metadata))
    return sorted(jobs, key=lambda job: (job.date, job.name), reverse=True)


def _kind(value: Any, metadata: dict[str, Any]) -> str:
    kind = str(metadata.get("type", ""))
    if "internal-color-map" in metadata or kind.endswith("semantic-segmentation"):
        return "mask"
    if kind.endswith("object-detection") or (isinstance(value, dict) and "annotations" in value):
        return "boxes"
    if "verification" in kind:
        return "other"
    has_class = "class-name" in metadata or "image-classification" in kind
    return "classes" if has_class or (isinstance(value, list) and "class-map" in metadata) else "other"


def latest(jobs: list[Job], *kinds: str) -> Job | None:
    """Return the latest job of some kinds."""
    return next((job for job in jobs if job.kind in kinds), None)


def report_others(line: ManifestLine, jobs: list[Job], used: list[Job], problems: Problems) -> None:
    """Report the jobs of a line whose labels are not read."""
    for job in jobs:
        if job not in used:
            problems.tally("other-job", line.manifest, f"has labels of another job, {job.name!r}")


def classes_of(job: Job) -> tuple[str, ...] | None:
    """Return the labels that a classification job gave to the image; None if it has none."""
    if name := job.metadata.get("class-name"):
        return (str(name),)
    names = job.metadata.get("class-map")
    return tuple(str(name) for name in names.values()) if isinstance(names, dict) else None


def count_lines(files: Files, manifests: tuple[str, ...]) -> int:
    """Return the number of lines that are not empty."""
    return sum(1 for name in manifests for _ in numbered_lines(files, name))


def read_lines(files: Files, manifests: tuple[str, ...], problems: Problems) -> Iterator[ManifestLine]:
    """Yield every line whose image exists; every other line is reported as a problem."""
    for manifest in manifests:
        for place, text in numbered_lines(files, manifest):
            try:
                fields = json.loads(text)
                reference = str(fields["source-ref"])
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                message = f"is not a JSON object with source-ref: {type(error).__name__} {error}"
                problems.report("bad-annotation", manifest, message, place)
                continue
            if image := image_of(files, reference, manifest, problems, place):
                yield ManifestLine(manifest, place, image, fields)
