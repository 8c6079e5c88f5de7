"""Weights to start from: an earlier artefact of ours, safetensors, or a weights-only checkpoint."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from training.artefact import MODEL, unpack
from training.errors import TrainingError

_SUFFIXES = (".tar.gz", ".safetensors", ".pt", ".pth")


class PretrainedError(TrainingError):
    """The pretrained channel holds nothing that can be loaded."""


def warm_start(model: nn.Module, channel: Path) -> dict[str, object]:
    """Copies into `model` every weight of the channel's file that fits by name and shape.

    Returns what happened: the file, how many of the model's tensors were loaded, and the names of those
    that were not (a head for other labels, say). Raises PretrainedError if none fits.
    """
    files = sorted(path for path in channel.rglob("*") if path.name.endswith(_SUFFIXES))
    if len(files) != 1:
        raise PretrainedError(
            f"{channel} must hold one file ending in {', '.join(_SUFFIXES)}; it holds {len(files)}"
        )
    given = _read(files[0])
    own = _weights(model.state_dict())
    fitting = {
        name: given[name] for name, value in own.items() if name in given and given[name].shape == value.shape
    }
    fitting = fitting or _in_order(own, _weights(given))
    if not fitting:
        raise PretrainedError(f"no weight in {files[0]} fits this model by name and shape")
    model.load_state_dict(fitting, strict=False)
    return {
        "file": files[0].name,
        "loaded": len(fitting),
        "of": len(own),
        "not_loaded": sorted(own.keys() - fitting.keys()),
    }


def _weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}


def _in_order(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Pairs the tensors in their order while their shapes agree: the same backbone under another library's
    names. Empty unless the model's whole backbone is covered, since a few first layers may agree by chance.
    """
    fitting = {}
    for (name, value), other in zip(own.items(), given.values(), strict=False):
        if value.shape != other.shape:
            break
        fitting[name] = other
    backbone = [name for name in own if name.startswith("backbone.body.")]
    return fitting if backbone and all(name in fitting for name in backbone) else {}


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.name.endswith(".tar.gz"):
            with tempfile.TemporaryDirectory() as folder:
                unpack(path, Path(folder))
                graph = onnx.load(str(Path(folder) / MODEL)).graph
            return {
                each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in graph.initializer
            }
        if path.suffix == ".safetensors":
            tensors: dict[str, Tensor] = load_file(path)
            return tensors
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, ValueError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        raise PretrainedError(f"cannot load {path}: {error}") from error
    content = content.get("model", content) if isinstance(content, dict) else {}
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}
