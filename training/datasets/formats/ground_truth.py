"""SageMaker Ground Truth: the output manifest of a bounding-box job (an augmented manifest).

A line: {"source-ref", "<job>": {"image_size": [{width, height, depth}], "annotations": [{class_id, left, top,
width, height}]}, "<job>-metadata": {"class-map": {"0": name}}}. If several jobs labelled a line, such as an
adjustment of the first labels, the latest job counts.

Source: docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html, "Bounding box job output".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from training.datasets.dataset import Object
from training.datasets.formats import manifest
from training.datasets.formats.annotations import AnnotatedImage, Annotations
from training.datasets.formats.manifest import ManifestLine
from training.datasets.problems import Problems
from training.datasets.storage.files import Files


def find(files: Files) -> list[str] | None:
    """Return the manifests, if a bounding-box job labelled their first line."""
    manifests = manifest.find(files)
    return manifests if manifests and _job(manifest.first_line(files, manifests)) else None


def read(files: Files, manifests: list[str], problems: Problems) -> Annotations:
    """Return the labels of every line of the manifests."""
    labels: list[str] = []
    images = _annotated_images(files, manifests, labels, problems)
    return Annotations(files, images, manifest.count_lines(files, manifests), labels)


def _job(fields: dict[str, Any]) -> str | None:
    """Return the attribute that contains the boxes; if there are several, the one created last."""
    jobs = []
    for name, metadata in fields.items():
        job = name.removesuffix("-metadata")
        if job == name or not isinstance(metadata, dict):
            continue
        has_boxes = isinstance(fields.get(job), dict) and "annotations" in fields[job]
        if has_boxes or metadata.get("type") == "groundtruth/object-detection":
            jobs.append((str(metadata.get("creation-date", "")), job))
    return max(jobs)[1] if jobs else None


def _annotated_images(
    files: Files, manifests: list[str], labels: list[str], problems: Problems
) -> Iterator[AnnotatedImage]:
    for line in manifest.read_lines(files, manifests, problems):
        job = _job(line.fields)
        if job is None:
            message = "has no boxes of a labelling job"
            problems.report("bad-annotation", line.manifest, message, line.place)
            continue
        metadata = line.fields[f"{job}-metadata"]
        names = metadata.get("class-map")
        names = names if isinstance(names, dict) else {}
        for _, label in sorted(names.items(), key=lambda item: (len(item[0]), item[0])):
            if str(label) not in labels:
                labels.append(str(label))
        value = line.fields.get(job)
        if not isinstance(value, dict) or not isinstance(value.get("annotations"), list):
            reason = metadata.get("failure-reason", "its labels are missing")
            problems.report("bad-annotation", line.manifest, f"{line.image}: {reason}", line.place)
            continue
        objects = (_object(box, names, line, problems) for box in value["annotations"])
        yield AnnotatedImage(
            line.image, line.manifest, tuple(obj for obj in objects if obj), size=_size(value)
        )


def _object(box: Any, names: dict[str, Any], line: ManifestLine, problems: Problems) -> Object | None:
    try:
        left, top, width, height = (float(box[name]) for name in ("left", "top", "width", "height"))
        number = str(int(box["class_id"]))
    except (KeyError, TypeError, ValueError):
        problems.report("bad-annotation", line.manifest, f"is not a box with a class_id: {box}", line.place)
        return None
    if number not in names:
        message = f"class_id {number} is not in the class-map"
        problems.report("unknown-class", line.manifest, message, line.place)
        return None
    return Object(str(names[number]), (left, top, left + width, top + height))


def _size(value: dict[str, Any]) -> tuple[int, int] | None:
    try:
        return int(value["image_size"][0]["width"]), int(value["image_size"][0]["height"])
    except (KeyError, TypeError, ValueError, IndexError):
        # Optional, and only compared with the size of the image itself.
        return None
