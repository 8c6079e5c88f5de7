"""Small models for tests.

To the anomaly model a good product is grey, and a place is as far as it is from grey. The detector sees brightness.
"""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from contract.scores import ANOMALY
from training.model.anomaly import AnomalyScale
from training.model.artefact import (
    ANOMALY_CARD,
    ANOMALY_MODEL,
    CARD,
    MODEL,
    ModelCard,
    file_sha256,
    read_card,
)
from training.model.decoding import Postprocess

SIZE, PLACE = 64, 8
SCALE = AnomalyScale(
    threshold=30.0, spread=4.0, region_threshold=25.0, map_range=(0.0, 127.5), foreign_above={"median": 60.0}
)


def graph(
    size: int = SIZE,
    batch: int | str = "N",
    distance: str = "distance",
    pixels: int = TensorProto.UINT8,
    factor: float = 1.0,
    axes: int = 1,
    emptiness: bool = False,
) -> onnx.ModelProto:
    """Return the graph: mean over each 8 x 8 pixels of how far they are from 128; of a picture, its 5 farthest places.

    Args:
        size: Edge of the input.
        batch: Of the input; 1: one picture at a time.
        distance: Name of the output.
        pixels: Type of the input.
        factor: Of all distances; NaN makes each of them NaN.
        axes: Of the distance: 2 is one too many.
        emptiness: Whether it also tells an empty place: to it, that is a bright picture.
    """
    places = size // PLACE
    constants = {
        "grey": np.float32(128),
        "factor": np.float32(factor),
        "channels": np.array([1], np.int64),
        "last": np.array([1], np.int64),
        "flat": np.array([-1, places * places], np.int64),
        "five": np.array([5], np.int64),
        "white": np.float32(255),
        "all": np.array([1, 2, 3], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["float", "grey"], ["signed"]),
        helper.make_node("Abs", ["signed"], ["apart"]),
        helper.make_node("Transpose", ["apart"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool", ["planes"], ["pooled"], kernel_shape=[PLACE] * 2, strides=[PLACE] * 2
        ),
        helper.make_node("ReduceMean", ["pooled", "channels"], ["plain"], keepdims=0),
        helper.make_node("Mul", ["plain", "factor"], ["map"]),
        helper.make_node("Reshape", ["map", "flat"], ["row"]),
        helper.make_node("TopK", ["row", "five"], ["farthest", "where"]),
        helper.make_node("ReduceMean", ["farthest", "last"], [distance], keepdims=axes - 1),
        helper.make_node("Div", ["float", "white"], ["shares"]),
        helper.make_node("ReduceMean", ["shares", "all"], ["emptiness"], keepdims=0),
    ]
    outputs = [
        helper.make_tensor_value_info(distance, TensorProto.FLOAT, [batch, 1][:axes]),
        helper.make_tensor_value_info("map", TensorProto.FLOAT, [batch, places, places]),
        helper.make_tensor_value_info("emptiness", TensorProto.FLOAT, [batch]),
    ]
    return helper.make_model(
        helper.make_graph(
            nodes,
            "grey is good",
            [helper.make_tensor_value_info("images", pixels, [batch, size, size, 3])],
            outputs if emptiness else outputs[:2],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )


def blind_to_empty_places(folder: Path) -> Path:
    """Write an anomaly model to which an empty place, a bright picture, is as near as a good product."""
    scale = replace(SCALE, foreign_above={"emptiness": 0.9})
    return anomaly_folder(folder, graph(factor=0.01, emptiness=True), anomaly=scale)


def anomaly_folder(folder: Path, model: onnx.ModelProto | None = None, **changes: Any) -> Path:
    """Write an unpacked artefact of an anomaly model. changes: of its card."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model or graph(changes.get("input_size", SIZE)), str(folder / MODEL))
    card = ModelCard(
        name="grey",
        family="patchcore_efficientnet_lite0",
        labels=(ANOMALY,),
        input_size=SIZE,
        normalisation={"mean": [0.5] * 3, "std": [0.5] * 3},
        postprocess=Postprocess(nms_iou=None),
        onnx_sha256=file_sha256(folder / MODEL),
        anomaly=SCALE,
    )
    replace(card, **changes).write(folder)
    return folder


def detector_folder(folder: Path, **changes: Any) -> Path:
    """Write an unpacked artefact of a small detector: one box, whose score is the picture's mean brightness."""
    folder.mkdir(parents=True, exist_ok=True)
    size = changes.get("input_size", SIZE)
    constants = {
        "white": np.float32(255),
        "all": np.array([1, 2, 3], np.int64),
        "box": np.array([[[0.25, 0.25, 0.75, 0.75]]], np.float32),
        "one": np.array([-1, 1, 1], np.int64),
        "zero": np.float32(0),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "white"], ["shares"]),
        helper.make_node("ReduceMean", ["shares", "all"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "one"], ["scores"]),
        helper.make_node("Mul", ["scores", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "box"], ["boxes"]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "brightness",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", size, size, 3])],
            [
                helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", 1, 4]),
                helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 1, 1]),
            ],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    onnx.save(model, str(folder / MODEL))
    card = ModelCard(
        name="brightness",
        family="ssdlite",
        labels=("bright",),
        input_size=SIZE,
        normalisation={"mean": [0.5] * 3, "std": [0.5] * 3},
        postprocess=Postprocess(),
        onnx_sha256=file_sha256(folder / MODEL),
    )
    replace(card, **changes).write(folder)
    return folder


def both_folder(folder: Path, detector: Path, anomaly: Path) -> Path:
    """Write an unpacked artefact of a detector with an anomaly model beside it, of two unpacked artefacts."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(detector / MODEL, folder / MODEL)
    shutil.copy(anomaly / MODEL, folder / ANOMALY_MODEL)
    shutil.copy(anomaly / CARD, folder / ANOMALY_CARD)
    card = read_card(anomaly)
    replace(read_card(detector), anomaly_model={"name": card.name, "version": card.version}).write(folder)
    return folder


def grey(size: int = SIZE, *spots: tuple[int, int], level: int = 255) -> NDArray[np.uint8]:
    """Return a good product, with places (row, column) of another level."""
    pixels = np.full((size, size, 3), 128, np.uint8)
    for row, column in spots:
        pixels[row * PLACE : (row + 1) * PLACE, column * PLACE : (column + 1) * PLACE] = level
    return pixels


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return pixels as a file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
