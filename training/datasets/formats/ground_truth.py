"""SageMaker Ground Truth: the output manifest of a bounding-box job (an augmented manifest).

A line: {"source-ref", "<job>": {"image_size": [{width, height, depth}], "annotations": [{class_id, left, top,
width, height}]}, "<job>-metadata": {"class-map": {"0": name}}}. If a line went through several jobs, such as
an adjustment of the first labels, the latest one counts.
Source: docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html, "Bounding box job output".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from training.datasets.dataset import Object
from training.datasets.entries import Entry, Source
from training.datasets.files import Files
from training.datasets.formats import manifest as manifests
from training.datasets.problems import Problems


def find(files: Files) -> list[str] | None:
    """The manifests, if their first line was labelled by a bounding-box job."""
    found = manifests.find(files)
    return found if found and _job(manifests.first(files, found)) else None


def read(files: Files, found: list[str], problems: Problems) -> Source:
    """Every line of the manifests."""
    labels: list[str] = []
    entries = _entries(files, found, labels, problems)
    return Source(files, entries, manifests.count(files, found), labels)


def _job(line: dict[str, Any]) -> str | None:
    """The attribute that holds the boxes; the one created last if there are several."""
    jobs = []
    for name, metadata in line.items():
        job = name.removesuffix("-metadata")
        if job == name or not isinstance(metadata, dict):
            continue
        boxes = isinstance(line.get(job), dict) and "annotations" in line[job]
        if boxes or metadata.get("type") == "groundtruth/object-detection":
            jobs.append((str(metadata.get("creation-date", "")), job))
    return max(jobs)[1] if jobs else None


def _entries(files: Files, found: list[str], labels: list[str], problems: Problems) -> Iterator[Entry]:
    for manifest, place, image, line in manifests.lines(files, found, problems):
        job = _job(line)
        if job is None:
            problems.report("bad-annotation", manifest, "has no boxes of a labelling job", place)
            continue
        metadata = line[f"{job}-metadata"]
        names = metadata.get("class-map")
        names = names if isinstance(names, dict) else {}
        for _, label in sorted(names.items(), key=lambda item: (len(item[0]), item[0])):
            if str(label) not in labels:
                labels.append(str(label))
        value = line.get(job)
        if not isinstance(value, dict) or not isinstance(value.get("annotations"), list):
            reason = metadata.get("failure-reason", "its labels are missing")
            problems.report("bad-annotation", manifest, f"{image}: {reason}", place)
            continue
        objects = (_object(each, names, manifest, place, problems) for each in value["annotations"])
        yield Entry(image, manifest, tuple(each for each in objects if each), size=_size(value))


def _object(each: Any, names: dict[str, Any], manifest: str, place: str, problems: Problems) -> Object | None:
    try:
        left, top, width, height = (float(each[name]) for name in ("left", "top", "width", "height"))
        number = str(int(each["class_id"]))
    except (KeyError, TypeError, ValueError):
        problems.report("bad-annotation", manifest, f"is no box with a class_id: {each}", place)
        return None
    if number not in names:
        problems.report("unknown-class", manifest, f"class_id {number} is not in the class-map", place)
        return None
    return Object(str(names[number]), (left, top, left + width, top + height))


def _size(value: dict[str, Any]) -> tuple[int, int] | None:
    try:
        return int(value["image_size"][0]["width"]), int(value["image_size"][0]["height"])
    except (KeyError, TypeError, ValueError, IndexError):
        return None  # only ever compared
