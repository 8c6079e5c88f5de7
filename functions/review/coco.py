"""Reviewed labels as one COCO document, which every labelling tool reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contract.s3 import join


def coco(labels: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a COCO document of label documents (review/labels.py).

    https://cocodataset.org/#format-data. Besides COCO's own fields, an image has `uri`, `sha256`, `reviewed_by` and
    `reviewed_at`. An image without annotations is a good part.

    Args:
        labels: The documents.
    """
    names = sorted({item["label"] for label in labels for item in label["objects"]})
    categories = {name: number for number, name in enumerate(names, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, label in enumerate(labels, start=1):
        images.append(
            {
                "id": number,
                "file_name": label["image"]["key"].rpartition("/")[2],
                "width": label["width"],
                "height": label["height"],
                "uri": join(label["image"]["bucket"], label["image"]["key"]),
                "sha256": label["sha256"],
                "reviewed_by": label.get("by"),
                "reviewed_at": label.get("at"),
            }
        )
        for item in label["objects"]:
            x1, y1, x2, y2 = item["box"]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": categories[item["label"]],
                    "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
                    "area": round((x2 - x1) * (y2 - y1), 2),
                    "iscrowd": 0,
                }
            )
    return {
        "info": {"description": "Labels that people gave in the review"},
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
        "images": images,
        "annotations": annotations,
    }
