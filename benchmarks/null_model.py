"""A model that takes no time, so that a benchmark measures the chain around it. It finds nothing, or always the same.

python -m benchmarks.null_model --out null.tar.gz
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.model.artefact import MODEL, ModelCard, file_sha256, pack
from training.model.decoding import Postprocess

LABELS = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
INPUT_SIZE = 64


def write(target: Path, score: float = 0.0) -> Path:
    """Write the model.tar.gz and return its path.

    Args:
        target: The file.
        score: The model returns one box for each image, with this score for every class.
    """
    filled = numpy_helper.from_array(np.array([score], np.float32))
    nodes = [
        helper.make_node("Shape", ["images"], ["n"], start=0, end=1),
        helper.make_node("Concat", ["n", "box_shape"], ["boxes_shape"], axis=0),
        helper.make_node("Concat", ["n", "score_shape"], ["scores_shape"], axis=0),
        helper.make_node("ConstantOfShape", ["boxes_shape"], ["boxes"]),
        helper.make_node("ConstantOfShape", ["scores_shape"], ["scores"], value=filled),
    ]
    graph = helper.make_graph(
        nodes,
        "null",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", INPUT_SIZE, INPUT_SIZE, 3])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 1, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 1, len(LABELS)]),
        ],
        [
            numpy_helper.from_array(np.array([1, 4], np.int64), "box_shape"),
            numpy_helper.from_array(np.array([1, len(LABELS)], np.int64), "score_shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx.save(model, str(folder / MODEL))
        card = ModelCard(
            name="null",
            family="null",
            labels=LABELS,
            input_size=INPUT_SIZE,
            normalisation={"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]},
            postprocess=Postprocess(),
            onnx_sha256=file_sha256(folder / MODEL),
        )
        card.write(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        return pack(folder, target)


def main() -> None:
    """Write the model."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.null_model", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="model.tar.gz to write")
    write(parser.parse_args().out)


if __name__ == "__main__":
    main()
