"""SageMaker Ground Truth: the output manifest of a bounding-box or classification job (an augmented manifest).

A line: {"source-ref", "<job>": {"image_size": [{width, height, depth}], "annotations": [{class_id, left, top,
width, height}]}, "<job>-metadata": {"class-map": {"0": name}}}. If several jobs labelled a line, such as an
adjustment of the first labels, the latest job counts. A classification job gives labels of the whole image. The
folder of a job may be the source as it is in S3.

Source: docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from training.datasets.dataset import Object
from training.datasets.formats import manifest
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim
from training.datasets.formats.contents import Contents
from training.datasets.formats.manifest import Job, ManifestLine
from training.datasets.formats.parts import part_of_file, part_of_folders
from training.datasets.problems import Problems
from training.datasets.storage.files import Files


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the manifests, unless they are Lookout for Vision's: with masks or its usual attribute."""
    found = manifest.find(contents)
    jobs = [job for lines in found.values() for line in lines for job in line]
    is_lookout = any(job.kind == "mask" or job.name == "anomaly-label" for job in jobs)
    return Claim(tuple(found)) if found and (is_asked or not is_lookout) else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every line of the manifests."""
    labels: list[str] = []
    images = _annotated_images(files, claim.files, labels, problems)
    return Annotations(files, images, manifest.count_lines(files, claim.files), labels)


def _annotated_images(
    files: Files, manifests: tuple[str, ...], labels: list[str], problems: Problems
) -> Iterator[AnnotatedImage]:
    for line in manifest.read_lines(files, manifests, problems):
        image = image_of_line(line, manifest.jobs_of(line.fields), labels, problems)
        if image is not None:
            yield image


def image_of_line(
    line: ManifestLine, jobs: list[Job], labels: list[str], problems: Problems
) -> AnnotatedImage | None:
    """Return the image of a line with the boxes and classes of its latest jobs; None, with a problem, without any.

    Args:
        line: The line.
        jobs: Its jobs, the latest first.
        labels: The classes so far; those of the line are added.
        problems: Collects what is wrong.
    """
    boxes, classes = manifest.latest(jobs, "boxes"), manifest.latest(jobs, "classes")
    used = [job for job in (boxes, classes) if job]
    if not used:
        message = f"{line.image}: has no labels of a labelling job"
        problems.report("bad-annotation", line.manifest, message, line.place)
        return None
    manifest.report_others(line, jobs, used, problems)
    return _image(line, boxes, classes, labels, problems)


def _image(
    line: ManifestLine, boxes: Job | None, classes: Job | None, labels: list[str], problems: Problems
) -> AnnotatedImage | None:
    part = part_of_file(line.manifest) or part_of_folders(line.image)
    tags = manifest.classes_of(classes) if classes else ()
    failed = boxes if boxes and not _has_boxes(boxes) else classes if tags is None else None
    if failed or tags is None:
        metadata = failed.metadata if failed else {}
        reason = metadata.get("failure-reason", "its labels are missing")
        problems.report("bad-annotation", line.manifest, f"{line.image}: {reason}", line.place)
        return None
    if boxes is None:
        return AnnotatedImage(line.image, line.manifest, (), tags=tags, source_part=part)
    names = boxes.metadata.get("class-map")
    names = names if isinstance(names, dict) else {}
    for _, label in sorted(names.items(), key=lambda item: (len(item[0]), item[0])):
        if str(label) not in labels:
            labels.append(str(label))
    drawn = boxes.value["annotations"]
    objects = [obj for box in drawn if (obj := _object(box, names, line, problems))]
    return AnnotatedImage(
        line.image,
        line.manifest,
        tuple(objects),
        size=_size(boxes.value),
        lost=len(drawn) - len(objects),
        tags=tags,
        source_part=part,
    )


def _has_boxes(job: Job) -> bool:
    return isinstance(job.value, dict) and isinstance(job.value.get("annotations"), list)


def _object(box: Any, names: dict[str, Any], line: ManifestLine, problems: Problems) -> Object | None:
    try:
        left, top, width, height = (float(box[name]) for name in ("left", "top", "width", "height"))
        number = str(int(box["class_id"]))
    except (KeyError, TypeError, ValueError, OverflowError):
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
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        # Optional, and only compared with the size of the image itself.
        return None
