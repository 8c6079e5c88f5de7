"""Weights to start from: an earlier artefact of ours, a checkpoint from elsewhere, or published weights by name."""

from __future__ import annotations

import hashlib
import importlib.util
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
from onnx import TensorProto, numpy_helper
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import get_weight

from training.detectors.base import AnomalyNetwork, Network, PublicWeights
from training.detectors.registry import public_weights
from training.job.errors import TrainingError
from training.model.artefact import ANOMALY_MODEL, MAX_BYTES, MODEL, unpack

_TENSOR_SUFFIXES = (".safetensors", ".pt", ".pth")
_SUFFIXES = (".tar.gz", ".onnx", *_TENSOR_SUFFIXES)
# Keys under which checkpoints keep weights, best first.
_NESTED = ("average", "ema", "module", "state_dict", "model")
# Prefixes that data parallelism and compilation add to names.
_WRAPPERS = ("module.", "_orig_mod.")
_BACKBONE_AT_LEAST = 1 / 3
_HUB_FILE = "model.safetensors"
# Raised for files that are truncated or damaged.
_DAMAGED = (struct.error, SafetensorError, DecodeError)

Tensors = Mapping[str, Tensor]
"""Tensors by name, as a state_dict has them."""


class PretrainedError(TrainingError):
    """The weights cannot be fetched, cannot be read, or do not fit the model."""


def load_pretrained(model: Network, source: Path | str) -> dict[str, Any]:
    """Copy into `model` every weight that fits by name and shape.

    Args:
        model: The network to start: a detector, or an anomaly model without its memory.
        source: A file, a folder with one file, or the name of published weights (see `public_weights`). A file
            is our model.tar.gz or its model.onnx, safetensors, or a weights-only .pt or .pth, bare or in a tar.gz.
            Its tensors may have the names of torchvision, timm or Hugging Face, and may be of the backbone alone.

    Returns:
        A report: `source`; `loaded` of `of` tensors, and their `sha256`; the same numbers of the `backbone`;
        `not_loaded`, by module, the tensors that are missing or have another shape (such as a head for other
        labels); `not_used`, by module, the number of tensors that the model does not have.

    Raises:
        PretrainedError: The weights cannot be read, or do not fit.
    """
    if isinstance(source, str) and source in public_weights(model.family):
        origin, given = source, fetch(model.family, source)
    else:
        path = _weights_file(Path(source), model.family)
        origin, given = path.name, _read(path, wants_anomaly=isinstance(model, AnomalyNetwork))
    own = _without_counters(model.state_dict())
    named = _rename(model, own, given)
    fitting = {name: named[name].to(own[name].dtype) for name in _fitting_names(own, named)}
    backbone = _check_fitting(model, origin, own, fitting, given)
    model.load_state_dict(fitting, strict=False)
    return {
        "source": origin,
        "sha256": _digest(fitting),
        "loaded": len(fitting),
        "of": len(own),
        "backbone": backbone,
        "not_loaded": _not_loaded(own, named, fitting),
        "not_used": _count_by_module(named.keys() - own.keys()),
    }


def _check_fitting(
    model: Network, origin: str, own: Tensors, fitting: Tensors, given: Tensors
) -> dict[str, int]:
    """Return how much of the backbone fits. Raises PretrainedError if it is too little, or not finite."""
    backbone = [name for name in own if name.startswith(model.backbone_prefix)]
    loaded = sum(name in fitting for name in backbone)
    if loaded < math.ceil(len(backbone) * _BACKBONE_AT_LEAST):
        raise PretrainedError(
            f"{origin} does not suit {model.family}: {loaded} of the {len(backbone)} tensors of its backbone "
            f"are there by name and shape; the file begins with {', '.join(list(given)[:3]) or 'nothing'}"
        )
    for name, value in fitting.items():
        if not torch.isfinite(value).all():
            raise PretrainedError(f"{origin} is damaged: {name} has values that are not finite")
    return {"loaded": loaded, "of": len(backbone)}


def _digest(tensors: Tensors) -> str:
    """Return the SHA-256 of names and values: the same source name may stand for different weights."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def fetch(family: str, name: str) -> Tensors:
    """Return published weights, from an installed package, the network or its cache.

    Args:
        family: Of detectors or anomaly models.
        name: One of the names in its WEIGHTS.

    Raises:
        PretrainedError: The name is unknown, or the download fails.
    """
    known = public_weights(family)
    if name not in known:
        raise PretrainedError(
            f"unknown weights {name!r} for {family}; known are {', '.join(known) or 'none'}"
        )
    public = known[name]
    if public.source == "package":
        return _load(_in_package(public.name))
    try:
        if public.source == "torchvision":
            tensors: Tensors = get_weight(public.name).get_state_dict(progress=False, weights_only=True)
            return tensors
        return _load(Path(hf_hub_download(public.name, _HUB_FILE)))
    # No network, a proxy's error page, or a truncated file.
    except (OSError, RuntimeError, ValueError) as error:
        raise PretrainedError(
            f"cannot fetch the weights {name!r} for {family} ({type(error).__name__}: {error}); "
            f"without a network, download {_url(public)} elsewhere and start from that file"
        ) from error


def _url(public: PublicWeights) -> str:
    if public.source == "torchvision":
        return str(get_weight(public.name).url)
    return f"https://huggingface.co/{public.name}/resolve/main/{_HUB_FILE}"


def _in_package(name: str) -> Path:
    """Return the path of a file in an installed package, `<package>/<path>`. The package's code is not run."""
    package, _, file = name.partition("/")
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / file).is_file():
            return path
    raise PretrainedError(
        f"the Python package {package}, which contains the weights, is not installed",
        hint="Install Loupe with its extra `train` again, or start from a file with --pretrained.",
    )


def _weights_file(path: Path, family: str) -> Path:
    """Return `path` itself, or the only weights file in that folder."""
    if path.is_file():
        return path
    if not path.is_dir():
        names = ", ".join(public_weights(family)) or "none"
        raise PretrainedError(
            f"{path} is not a file, a folder, or the name of published weights of {family} ({names})"
        )
    files = sorted(file for file in path.rglob("*") if file.name.endswith(_SUFFIXES))
    if len(files) != 1:
        raise PretrainedError(
            f"{path} must contain one file ending in {', '.join(_SUFFIXES)}; it contains {len(files)}"
        )
    return files[0]


def _read(path: Path, *, wants_anomaly: bool) -> Tensors:
    if not path.name.endswith(".tar.gz"):
        return _load(path)
    with tempfile.TemporaryDirectory() as folder:
        try:
            file = _extract(path, Path(folder), wants_anomaly=wants_anomaly)
        except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
            raise PretrainedError(f"cannot unpack {path}: {error}") from error
        return _load(file)


def _extract(path: Path, folder: Path, *, wants_anomaly: bool) -> Path:
    """Extract the only weights file of an archive into `folder`; of our artefact, that of the wanted kind."""
    found: dict[str, Path] = {}
    with tarfile.open(path, "r:gz") as archive:
        # In one pass: to go back is to decompress from the start again.
        for member in filter(tarfile.TarInfo.isreg, archive):
            if member.name == MODEL:
                unpack(path, folder)
                beside = folder / ANOMALY_MODEL
                return beside if wants_anomaly and beside.is_file() else folder / MODEL
            # SageMaker JumpStart packs weights together with code. The code is never extracted.
            if member.name.endswith(_TENSOR_SUFFIXES):
                if member.size > MAX_BYTES:
                    raise PretrainedError(f"{path}: {member.name} is larger than {MAX_BYTES:,} bytes")
                found[member.name] = folder / Path(member.name).name
                # A second one is not needed, since it is an error.
                if len(found) == 1:
                    with found[member.name].open("wb") as target:
                        shutil.copyfileobj(archive.extractfile(member), target)  # type: ignore[arg-type]
    if len(found) != 1:
        raise PretrainedError(
            f"{path} must contain {MODEL} or one file ending in {', '.join(_TENSOR_SUFFIXES)}; "
            f"it contains {', '.join(sorted(found)) or 'none'}"
        )
    return next(iter(found.values()))


def _load(path: Path) -> Tensors:
    try:
        if path.suffix == ".safetensors":
            tensors: Tensors = load_file(path)
            return tensors
        if path.suffix == ".onnx":
            return _of_graph(path)
        return _find_tensors(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        raise PretrainedError(
            f"{path.name} contains more than tensors, and loading that could run its code; save "
            f"model.state_dict() alone, best as safetensors"
        ) from error
    # Of the types of numbers that only ONNX has, torch raises TypeError.
    except (OSError, EOFError, ValueError, TypeError, LookupError, RuntimeError, *_DAMAGED) as error:
        raise PretrainedError(f"cannot load {path.name}: {error}") from error


def _of_graph(path: Path) -> Tensors:
    """Return the weights of an ONNX graph. Raises PretrainedError if it has some that are no numbers, or elsewhere."""
    weights = onnx.load(str(path), load_external_data=False).graph.initializer
    if outside := [weight.name for weight in weights if weight.data_location == TensorProto.EXTERNAL]:
        raise PretrainedError(
            f"{path.name} keeps its weights in other files, such as {outside[0]}",
            hint="Save it as one file: onnx.save(onnx.load(PATH), PATH, save_as_external_data=False).",
        )
    if texts := [weight.name for weight in weights if weight.data_type == TensorProto.STRING]:
        raise PretrainedError(
            f"{path.name} has texts among its weights, such as {texts[0]}",
            hint="Export the network alone, without the names of its classes.",
        )
    return {weight.name: torch.from_numpy(numpy_helper.to_array(weight).copy()) for weight in weights}


def _find_tensors(content: Any) -> Tensors:
    """Return the tensors by name, at whichever level of a checkpoint they are."""
    if not isinstance(content, Mapping):
        return {}
    for key in _NESTED:
        if isinstance(content.get(key), Mapping) and (tensors := _find_tensors(content[key])):
            return tensors
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def _without_counters(tensors: Tensors) -> dict[str, Tensor]:
    """Return all tensors but the batch norms' counters, which nothing uses."""
    return {name: value for name, value in tensors.items() if not name.endswith("num_batches_tracked")}


def _rename(model: Network, own: Tensors, given: Tensors) -> Tensors:
    """Return the given tensors under this model's names.

    Of several ways to read the names, the one that fits most tensors is taken.
    """
    bare = {}
    for name, value in _without_counters(given).items():
        while name.startswith(_WRAPPERS):
            name = name.split(".", 1)[1]
        bare[name] = value
    candidates = [
        {model.own_name(name): value for name, value in bare.items()},
        {model.own_name(name.removeprefix("model.")): value for name, value in bare.items()},
        _pair_in_order(own, bare, model.backbone_prefix),
    ]
    return max(candidates, key=lambda named: len(_fitting_names(own, named)))


def _fitting_names(own: Tensors, named: Tensors) -> list[str]:
    return [name for name, value in own.items() if name in named and named[name].shape == value.shape]


def _pair_in_order(own: Tensors, given: Tensors, prefix: str) -> Tensors:
    """Pair the tensors in their order while the shapes agree: the same backbone under another library's names.

    The result is empty unless it covers the model's whole backbone, since a few first layers may agree by chance.
    """
    paired = {}
    for (name, value), other in zip(own.items(), given.values(), strict=False):
        if value.shape != other.shape:
            break
        paired[name] = other
    return paired if all(name in paired for name in own if name.startswith(prefix)) else {}


def _module(name: str) -> str:
    return ".".join(name.split(".")[:-1][:3])


def _not_loaded(own: Tensors, named: Tensors, fitting: Tensors) -> dict[str, dict[str, list[str]]]:
    """Return, by module, the tensors that are missing, and those of another shape."""
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
