"""Amazon Lookout for Vision: a manifest with a verdict per image and, for some, a mask of the anomalies.

A line: {"source-ref", "anomaly-label", "anomaly-label-metadata": {"class-name"}, "anomaly-mask-ref",
"anomaly-mask-ref-metadata": {"internal-color-map": {"1": {"class-name", "hex-color"}}}}. Each connected area of
a colour becomes a box. The verdict becomes the image's tag. A semantic segmentation job of Ground Truth has the same
masks.

Source: docs.aws.amazon.com/lookout-for-vision/latest/developer-guide/manifest-file-segmentation.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from training.datasets.formats import manifest
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim, image_of
from training.datasets.formats.contents import Contents
from training.datasets.formats.ground_truth import image_of_line
from training.datasets.formats.manifest import Job, ManifestLine
from training.datasets.formats.masked import with_masks
from training.datasets.formats.masks import load_mask
from training.datasets.formats.parts import part_of_file, part_of_folders
from training.datasets.problems import Problems
from training.datasets.storage.files import Files


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the manifests, if some line has a mask or the attribute anomaly-label."""
    found = manifest.find(contents)
    jobs = [job for lines in found.values() for line in lines for job in line]
    is_lookout = any(job.kind == "mask" or job.name == "anomaly-label" for job in jobs)
    return Claim(tuple(found)) if found and (is_asked or is_lookout) else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every line of the manifests."""
    labels, others = list[str](), set[str]()
    images = _annotated_images(files, claim.files, labels, others, problems)
    return Annotations(files, images, manifest.count_lines(files, claim.files), labels, others)


def _annotated_images(
    files: Files, manifests: tuple[str, ...], labels: list[str], others: set[str], problems: Problems
) -> Iterator[AnnotatedImage]:
    for line in manifest.read_lines(files, manifests, problems):
        jobs = manifest.jobs_of(line.fields)
        if not jobs and "anomaly-label" not in line.fields and "anomaly-mask-ref" not in line.fields:
            # The console put every image of a data set into its manifest, labelled or not.
            problems.report("unlisted-image", line.image, f"has no label in {line.manifest}", line.place)
            others.add(line.image)
            continue
        verdict, mask = manifest.latest(jobs, "classes"), manifest.latest(jobs, "mask")
        tags = manifest.classes_of(verdict) if verdict else ()
        if tags is None or (verdict is None and "anomaly-label" in line.fields):
            message = f"{line.image}: has no class-name in the metadata of its verdict"
            problems.report("bad-annotation", line.manifest, message, line.place)
        elif mask is None and "anomaly-mask-ref" in line.fields:
            message = f"{line.image}: has a mask, but no internal-color-map with class-name and hex-color"
            problems.report("bad-annotation", line.manifest, message, line.place)
        elif mask is None:
            if image := image_of_line(line, jobs, labels, problems):
                yield image
        else:
            manifest.report_others(line, jobs, [job for job in (verdict, mask) if job], problems)
            part = part_of_file(line.manifest) or part_of_folders(line.image)
            image = AnnotatedImage(line.image, line.manifest, (), tags=tags, source_part=part)
            if with_boxes := _add_boxes(image, line, mask, files, labels, others, problems):
                yield with_boxes


def _add_boxes(
    image: AnnotatedImage,
    line: ManifestLine,
    job: Job,
    files: Files,
    labels: list[str],
    others: set[str],
    problems: Problems,
) -> AnnotatedImage | None:
    """Return the image with the boxes of its mask; None, with a problem, if there is no usable mask.

    Adds the mask's labels to `labels` and its name to `others`.
    """
    colours = _colours(job.metadata)
    if colours is None:
        message = f"{line.image}: has no internal-color-map with class-name and hex-color"
        problems.report("bad-annotation", line.manifest, message, line.place)
        return None
    labels += [label for label in dict.fromkeys(colours.values()) if label and label not in labels]
    mask = image_of(files, str(job.value), line.manifest, problems, line.place, hint="masks")
    if mask is None:
        return None
    if mask == line.image:
        message = f"{job.value} has no file of this name here, which is the mask of {line.image}"
        problems.report("missing-image", line.manifest, message, line.place)
        return None
    others.add(mask)
    loaded = load_mask(files, mask, colours, problems)
    return with_masks(image, [loaded], problems) if loaded else None


def _colours(metadata: dict[str, Any]) -> dict[int, str] | None:
    """Return the label of each colour 0xRRGGBB, "" for the background; None if the map is not usable."""
    colours: dict[int, str] = {}
    try:
        for entry in metadata["internal-color-map"].values():
            label = str(entry["class-name"])
            is_background = label.casefold() == "background"
            colours[int(entry["hex-color"].removeprefix("#"), 16)] = "" if is_background else label
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return colours or None
