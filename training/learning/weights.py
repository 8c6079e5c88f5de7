"""Weights to start from: an earlier artefact of ours, somebody's checkpoint, or published ones by name."""

from __future__ import annotations

import hashlib
import math
import pickle
import shutil
import struct
import tarfile
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from google.protobuf.message import DecodeError
from huggingface_hub import hf_hub_download
from onnx import numpy_helper
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import get_weight

from training.detectors import Detector, PublicWeights
from training.detectors.registry import public_weights
from training.job.errors import TrainingError
from training.model.artefact import MAX_BYTES, MODEL, unpack

_TENSOR_FILES = (".safetensors", ".pt", ".pth")
_SUFFIXES = (".tar.gz", ".onnx", *_TENSOR_FILES)
_NESTED = ("average", "ema", "module", "state_dict", "model")  # where checkpoints keep weights, best first
_WRAPPERS = ("module.", "_orig_mod.")  # what data parallelism and compilation put before names
_BACKBONE_AT_LEAST = 1 / 3
_HUB_FILE = "model.safetensors"
_DAMAGED = (struct.error, SafetensorError, DecodeError)  # what files that were cut short or garbled raise

State = Mapping[str, Tensor]


class PretrainedError(TrainingError):
    """The weights asked for cannot be had, cannot be read, or do not fit."""


def start_from(model: Detector, source: Path | str) -> dict[str, object]:
    """Copies into `model` every weight that fits by name and shape.

    source: a file, a folder that holds one, or the name of published weights (see `public_weights`). A file
    is our model.tar.gz or the model.onnx in it, safetensors, or a weights-only .pt or .pth, bare or in a
    tar.gz; its tensors may be named as torchvision, timm or Hugging Face name them, and may be of the
    backbone alone.

    Returns a report: the source; how many tensors of the model and of its backbone were loaded, of how many,
    and their SHA-256; by module what was not loaded, since it is missing there or has another shape (a head
    for other labels, say); and by module how many tensors were there for nothing. Raises PretrainedError.
    """
    if isinstance(source, str) and source in public_weights(model.family):
        origin, given = source, fetch(model.family, source)
    else:
        path = _file(Path(source), model.family)
        origin, given = path.name, _read(path)
    own = _weights(model.state_dict())
    named = _named(model, own, given)
    fitting = {name: named[name].to(own[name].dtype) for name in _fitting(own, named)}
    backbone = [name for name in own if name.startswith(model.backbone_prefix)]
    loaded = sum(name in fitting for name in backbone)
    if loaded < math.ceil(len(backbone) * _BACKBONE_AT_LEAST):
        raise PretrainedError(
            f"{origin} does not suit {model.family}: {loaded} of the {len(backbone)} tensors of its backbone "
            f"are there by name and shape; the file begins with {', '.join(list(given)[:3]) or 'nothing'}"
        )
    for name, value in fitting.items():
        if not torch.isfinite(value).all():
            raise PretrainedError(f"{origin} is damaged: {name} holds values that are not finite")
    model.load_state_dict(fitting, strict=False)
    return {
        "source": origin,
        "sha256": _digest(fitting),
        "loaded": len(fitting),
        "of": len(own),
        "backbone": {"loaded": loaded, "of": len(backbone)},
        "not_loaded": _not_loaded(own, named, fitting),
        "not_used": _count_by_module(named.keys() - own.keys()),
    }


def _digest(state: State) -> str:
    """Two starts with the same name need not be the same; those with the same digest are."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def fetch(family: str, name: str) -> State:
    """The published weights of that name, from the network or its cache. Raises PretrainedError."""
    known = public_weights(family)
    if name not in known:
        raise PretrainedError(
            f"unknown weights {name!r} for {family}; known are {', '.join(known) or 'none'}"
        )
    public = known[name]
    try:
        if public.source == "torchvision":
            state: State = get_weight(public.name).get_state_dict(progress=False, weights_only=True)
            return state
        return _tensors(Path(hf_hub_download(public.name, _HUB_FILE)))
    except (OSError, RuntimeError, ValueError) as error:  # no network, a proxy's page, a file cut short
        raise PretrainedError(
            f"cannot fetch the weights {name!r} for {family} ({type(error).__name__}: {error}); "
            f"without a network put {_address(public)} into the pretrained channel instead"
        ) from error


def _address(public: PublicWeights) -> str:
    if public.source == "torchvision":
        return str(get_weight(public.name).url)
    return f"https://huggingface.co/{public.name}/resolve/main/{_HUB_FILE}"


def _file(path: Path, family: str) -> Path:
    """The weights file that `path` is, or the only one in that folder."""
    if path.is_file():
        return path
    if not path.is_dir():
        names = ", ".join(public_weights(family)) or "none"
        raise PretrainedError(f"{path} is no file, no folder, and no published weights of {family} ({names})")
    files = sorted(each for each in path.rglob("*") if each.name.endswith(_SUFFIXES))
    if len(files) != 1:
        raise PretrainedError(
            f"{path} must hold one file ending in {', '.join(_SUFFIXES)}; it holds {len(files)}"
        )
    return files[0]


def _read(path: Path) -> State:
    if not path.name.endswith(".tar.gz"):
        return _tensors(path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with tarfile.open(path, "r:gz") as content:
                members = {member.name: member for member in content if member.isreg()}
                if MODEL in members:
                    unpack(path, folder)
                    return _tensors(folder / MODEL)
                # As SageMaker JumpStart packs a model: its weights beside code, which is left alone.
                found = [each for each in members if each.endswith(_TENSOR_FILES)]
                if len(found) != 1:
                    raise PretrainedError(
                        f"{path} must hold {MODEL} or one file ending in {', '.join(_TENSOR_FILES)}; "
                        f"it holds {', '.join(sorted(found)) or 'none'}"
                    )
                if members[found[0]].size > MAX_BYTES:
                    raise PretrainedError(f"{path}: {found[0]} is larger than {MAX_BYTES:,} bytes")
                file = folder / Path(found[0]).name
                with file.open("wb") as target:
                    shutil.copyfileobj(content.extractfile(members[found[0]]), target)  # type: ignore[arg-type]
        except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
            raise PretrainedError(f"cannot unpack {path}: {error}") from error
        return _tensors(file)


def _tensors(path: Path) -> State:
    try:
        if path.suffix == ".safetensors":
            tensors: State = load_file(path)
            return tensors
        if path.suffix == ".onnx":
            weights = onnx.load(str(path)).graph.initializer
            return {each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in weights}
        return _state(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        raise PretrainedError(
            f"{path.name} holds more than tensors, and to load that could run its code; save "
            f"model.state_dict() alone, best as safetensors"
        ) from error
    except (OSError, EOFError, ValueError, LookupError, RuntimeError, *_DAMAGED) as error:
        raise PretrainedError(f"cannot load {path.name}: {error}") from error


def _state(content: Any) -> State:
    """The tensors by name, wherever in the checkpoint they are."""
    if not isinstance(content, Mapping):
        return {}
    for key in _NESTED:
        if isinstance(content.get(key), Mapping) and (state := _state(content[key])):
            return state
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def _weights(state: State) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}


def _named(model: Detector, own: State, given: State) -> State:
    """The given tensors under this model's names: of the ways to read them, the one that fits best."""
    bare = {}
    for name, value in _weights(given).items():
        while name.startswith(_WRAPPERS):
            name = name.split(".", 1)[1]
        bare[name] = value
    ways = [
        {model.own_name(name): value for name, value in bare.items()},
        {model.own_name(name.removeprefix("model.")): value for name, value in bare.items()},
        _in_order(own, bare, model.backbone_prefix),
    ]
    return max(ways, key=lambda named: len(_fitting(own, named)))


def _fitting(own: State, named: State) -> list[str]:
    return [name for name, value in own.items() if name in named and named[name].shape == value.shape]


def _in_order(own: State, given: State, prefix: str) -> State:
    """Pairs the tensors in their order while their shapes agree: the same backbone under another library's
    names. Empty unless the model's whole backbone is covered, since a few first layers may agree by chance.
    """
    paired = {}
    for (name, value), other in zip(own.items(), given.values(), strict=False):
        if value.shape != other.shape:
            break
        paired[name] = other
    return paired if all(name in paired for name in own if name.startswith(prefix)) else {}


def _module(name: str) -> str:
    return ".".join(name.split(".")[:-1][:3])


def _not_loaded(own: State, named: State, fitting: State) -> dict[str, dict[str, list[str]]]:
    """By module, the tensors that are missing, and those of another shape."""
    modules: dict[str, dict[str, list[str]]] = defaultdict(lambda: {"missing": [], "other_shape": []})
    for name, value in own.items():
        if name in fitting:
            continue
        if name in named:
            shapes = f"{name}: {list(named[name].shape)} there, {list(value.shape)} here"
            modules[_module(name)]["other_shape"].append(shapes)
        else:
            modules[_module(name)]["missing"].append(name)
    return dict(modules)


def _count_by_module(names: set[str]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for name in sorted(names):
        counts[_module(name)] += 1
    return dict(counts)
