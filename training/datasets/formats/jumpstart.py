"""SageMaker JumpStart's object detection: annotations.json as COCO, but bbox = xmin, ymin, xmax, ymax.

    images/a.png
    annotations.json    {"images": [{"file_name", "height", "width", "id"}],
                         "annotations": [{"image_id", "bbox": [xmin, ymin, xmax, ymax], "category_id"}]}

There are no categories, so the classes are named by their numbers or by the user. Some add categories. Loupe's own
export has the names, from class 0 on, in classes.txt beside the folders of the parts.

Source: docs.aws.amazon.com/sagemaker/latest/dg/object-detection-tensorflow-inputoutput.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from training.datasets.formats import coco
from training.datasets.formats.annotations import Annotations, Claim
from training.datasets.formats.coco_boxes import is_corners
from training.datasets.formats.contents import Contents, text_lines
from training.datasets.formats.recordio import CLASS_NAMES_FILE
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
    names = names or _names_beside(files, claim.files)
    return coco.read_documents(files, claim, problems, names, has_corners=True)


def _names_beside(files: Files, documents: Sequence[str]) -> Sequence[str]:
    """Return the names in classes.txt, in the folder of a document or above it; none if there is no such file."""
    for folder in PurePosixPath(documents[0]).parents:
        name = (folder / CLASS_NAMES_FILE).as_posix()
        if name in files.names:
            return [line for text in text_lines(files, name) if (line := text.strip())]
    return ()
