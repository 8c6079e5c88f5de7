"""The import, with label files of every format that it reads: a report or a typed error, in time, in little memory."""

from __future__ import annotations

import io
import json
import random
import struct
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.fuzz.mutation import mutate
from tests.fuzz.target import Target
from training.datasets.importing import Import, ImportOptions
from training.datasets.storage.records import HEADER, write_record
from training.job.errors import TrainingError

_SIZE = 64, 48
_BOX = {"left": 4, "top": 6, "width": 20, "height": 10}
_JOB = {
    "job": {"image_size": [{"width": 64, "height": 48}], "annotations": [{"class_id": 0, **_BOX}]},
    "job-metadata": {"class-map": {"0": "dent"}, "type": "groundtruth/object-detection"},
}
_LOOKOUT = {
    "anomaly-label": 1,
    "anomaly-label-metadata": {"class-name": "anomaly", "type": "groundtruth/image-classification"},
    "anomaly-mask-ref": "s3://b/masks/a.png",
    "anomaly-mask-ref-metadata": {
        "internal-color-map": {
            "0": {"class-name": "BACKGROUND", "hex-color": "#000000"},
            "1": {"class-name": "dent", "hex-color": "#ffffff"},
        },
        "type": "groundtruth/semantic-segmentation",
    },
}
_SHAPES = [
    {"label": "dent", "shape_type": "rectangle", "points": [[4, 6], [24, 16]]},
    {"label": "dent", "shape_type": "circle", "points": [[20, 20], [24, 20]]},
]
_TASK = {
    "id": 1,
    "data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"},
    "annotations": [
        {
            "result": [
                {
                    "type": "rectanglelabels",
                    "original_width": 64,
                    "original_height": 48,
                    "value": {
                        "x": 5,
                        "y": 5,
                        "width": 20,
                        "height": 30,
                        "rotation": 9,
                        "rectanglelabels": ["dent"],
                    },
                },
                {"type": "choices", "value": {"choices": ["bad"]}},
            ]
        }
    ],
}


def _coco(**changes: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 6, 20, 10], "area": 200},
            {"id": 2, "image_id": 1, "category_id": 1, "segmentation": [[4, 6, 24, 6, 24, 16]], "iscrowd": 0},
            {
                "id": 3,
                "image_id": 1,
                "category_id": 1,
                "segmentation": {"size": [48, 64], "counts": "T3:bl2"},
            },
        ],
        "categories": [{"id": 1, "name": "dent", "supercategory": "defect"}],
    } | changes


def _region(name: str, **shape: float) -> dict[str, Any]:
    return {"shape_attributes": {"name": name, **shape}, "region_attributes": {"class": "dent"}}


def _records() -> bytes:
    stream = io.BytesIO()
    for label in ([2.0, 5.0, 0.0, 0.1, 0.1, 0.5, 0.5], [1.0]):
        header = HEADER.pack(len(label) if len(label) > 1 else 0, label[0], 0, 0)
        values = struct.pack(f"<{len(label)}f", *label) if len(label) > 1 else b""
        write_record(stream, header + values + _picture())
    return stream.getvalue()


def _label_files() -> Mapping[str, tuple[str, Any]]:
    """Return a label file of each format, with its name."""
    line = {"source-ref": "s3://b/a.jpg"}
    hugging_face = {"file_name": "a.jpg", "objects": {"bbox": [[4, 6, 20, 10]], "categories": ["dent"]}}
    built_in = {
        "file": "a.jpg",
        "image_size": [{"width": 64, "height": 48, "depth": 3}],
        "annotations": [{"class_id": 0, **_BOX}],
        "categories": [{"class_id": 0, "name": "dent"}],
    }
    corners = [{"image_id": 1, "category_id": 0, "bbox": [4, 6, 24, 16]}]
    via = {"a.jpg1": {"filename": "a.jpg", "regions": [_region("rect", x=4, y=6, width=20, height=10)]}}
    cvat = (
        "<annotations><version>1.1</version><meta><task><labels><label><name>dent</name></label></labels></task></meta>"
        '<image id="0" name="a.jpg" width="64" height="48"><box label="dent" xtl="4" ytl="6" xbr="24" ybr="16"/>'
        '<polygon label="dent" points="4,6;24,6;24,16"/></image></annotations>'
    )
    voc = (
        '<?xml version="1.0" encoding="gbk"?><annotation><filename>a.jpg</filename><size><width>64</width>'
        "<height>48</height></size><object><name>dent</name><bndbox><xmin>5</xmin><ymin>7</ymin><xmax>24</xmax>"
        "<ymax>16</ymax></bndbox></object></annotation>"
    )
    return {
        "ground-truth": ("output.manifest", json.dumps(line | _JOB) + "\n"),
        "lookout": ("train.manifest", json.dumps(line | _LOOKOUT) + "\n"),
        "recordio": ("train.rec", _records()),
        "jumpstart": ("annotations.json", json.dumps({"images": _coco()["images"], "annotations": corners})),
        "coco": ("instances.json", json.dumps(_coco())),
        "object-detection": ("a.json", json.dumps(built_in)),
        "list": ("train.lst", "0\t2\t5\t0\t0.1\t0.1\t0.5\t0.5\ta.jpg\n"),
        "cvat": ("annotations.xml", cvat),
        "voc": ("a.xml", voc),
        "labelme": ("a.json", json.dumps({"imagePath": "a.jpg", "shapes": _SHAPES, "flags": {"bad": True}})),
        "via": ("via.json", json.dumps(via)),
        "label-studio": ("project.json", json.dumps([_TASK])),
        "table": (
            "labels.csv",
            "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,64,48,dent,4,6,24,16\n",
        ),
        "imagefolder": ("metadata.jsonl", json.dumps(hugging_face) + "\n"),
        "yolo": ("a.txt", "0 0.3 0.3 0.2 0.2\n0 0.1 0.1 0.5 0.1 0.5 0.5\n"),
        "yolo names": ("data.yaml", "names: [dent, 'scratch', &a b, *a]\ntrain: ./\nnc: 3\n"),
    }


@cache
def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", _SIZE, 90).save(buffer, "JPEG")
    return buffer.getvalue()


@cache
def seeds() -> list[bytes]:
    """Return each label file behind its format and name."""
    return [
        f"{format} {name}\n".encode() + (content if isinstance(content, bytes) else content.encode())
        for format, (name, content) in _label_files().items()
    ]


def mutate_content(data: bytes, rng: random.Random, seeds: list[bytes]) -> bytes:
    """Change what is behind the first line."""
    head, content = data.split(b"\n", 1)
    return head + b"\n" + mutate(content, rng, [seed.split(b"\n", 1)[1] for seed in seeds])


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    root = Path(folder.name)
    (root / "a.jpg").write_bytes(_picture())
    (root / "masks").mkdir()
    mask = np.zeros(_SIZE[::-1], np.uint8)
    mask[6:16, 4:24] = 255
    Image.fromarray(mask).save(root / "masks" / "a.png")
    return folder


def broken(data: bytes) -> str | None:
    """Import a picture with a label file, and print the report. Returns what went wrong; None if nothing did."""
    head, content = data.split(b"\n", 1)
    format, _, name = head.decode().rpartition(" ")
    root = Path(_folder().name)
    file = root / name
    try:
        file.write_bytes(content)
        options = ImportOptions(str(root), "fuzz", "", format=format.split()[0], repair=True, by_hash=True)
        report = Import(options).run()
    except TrainingError as error:
        return None if str(error) else "an error without a message"
    finally:
        file.unlink(missing_ok=True)
    report.text(), report.document()
    lost = [sample.name for sample in report.dataset.samples if not (sample.width and sample.height)]
    return f"pictures without a size: {lost}" if lost else None


TARGET = Target("annotations", (20, 34), seeds, broken, mutate=mutate_content, examples=60)
