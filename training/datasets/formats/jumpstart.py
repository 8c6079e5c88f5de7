"""SageMaker JumpStart's object detection: annotations.json as COCO, but bbox = xmin, ymin, xmax, ymax.

    images/a.png
    annotations.json    {"images": [{"file_name", "height", "width", "id"}],
                         "annotations": [{"image_id", "bbox": [xmin, ymin, xmax, ymax], "category_id"}]}

There are no categories, so the classes are named by their numbers or by the user. Some add categories.

Source: docs.aws.amazon.com/sagemaker/latest/dg/object-detection-tensorflow-inputoutput.html.
"""

from __future__ import annotations

from collections.abc import Sequence

from training.datasets.formats import coco
from training.datasets.formats.annotations import Annotations, Claim
from training.datasets.formats.coco_boxes import is_corners
from training.datasets.formats.contents import Contents
from training.datasets.problems import Problems
from training.datasets.storage.files import Files


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the documents shaped as COCO whose boxes are corners."""
    names = coco.documents_of(contents)
    if not names or not (is_asked or is_corners(contents, names)):
        return None
    return Claim(names, detail=contents)


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels, with the boxes as corners."""
    for file in claim.files:
        message = "is in JumpStart's format: its boxes are xmin, ymin, xmax, ymax"
        problems.report("corner-boxes", file, message)
    return coco.read_documents(files, claim, problems, names, has_corners=True)
