"""The model artefact: `model.tar.gz` contains `model.onnx` and `model.json`, and nothing that could run code.

A detector may have an anomaly model beside it, as `anomaly.onnx` and `anomaly.json`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tarfile
import zlib
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from contract import model_card
from training.job.errors import TrainingError
from training.job.files import whole_file
from training.model.anomaly_scale import AnomalyScale
from training.model.decoding import Postprocess
from training.model.scale import Scale, ScaleError
from training.model.tiling import Tiles, TilesError

MODEL = "model.onnx"
CARD = "model.json"
ANOMALY_MODEL = "anomaly.onnx"
ANOMALY_CARD = "anomaly.json"
_FILES = (CARD, MODEL, ANOMALY_CARD, ANOMALY_MODEL)
# Of one unpacked member: a gzip bomb must not fill the disk.
MAX_BYTES = 2 * 1024**3


class ArtefactError(TrainingError):
    """A model artefact is missing, damaged, or does not match its model.json."""


# A dataclass: pydantic would add 12 MB and 0.13 s of import (0.5 s without) to a serving image that has no other use.
@dataclass(frozen=True)
class ModelCard:
    """The content of model.json: what is needed to run the model and to trust it.

    Attributes:
        name: Of the model, as records give it.
        family: Of detectors, as training.detectors.registry names it.
        labels: Class names; score column i of the graph is labels[i].
        input_size: Edge in pixels of the square uint8 RGB input [N, size, size, 3].
        normalisation: Mean and std, which the graph applies to pixels / 255.
        postprocess: How the graph's output becomes detections.
        onnx_sha256: Of model.onnx, in hex.
        metrics: Of the validation part, and under "training" what the training took.
        operating_points: Per label the score with the best F1 on the validation part, and the F1, precision and
            recall at that score.
        dataset: The snapshot that the model was trained on, and how many images each part had.
        hyperparameters: Of the training.
        git_sha: Of the code that trained the model.
        created_at: ISO 8601.
        tiles: How large pictures are cut into tiles; None: never.
        scale: The scale at which the model has learned; None: not known, and not checked.
        bit_depth: The bits in 16-bit files that do not state them, as the model has learned from them; None: all 16.
        box_offset: Pixels of the original, to the right and down, by which each box is shifted
            (training.evaluation.box_offset).
        anomaly: What the distances of an anomaly model mean; None: this is a detector.
        anomaly_model: Name and version of the anomaly model that a detector has beside it; None: it has none.
        members: Of an ensemble (training.learning.ensembling): name, version, family and more of each model. The
            ensemble's own family is its first member's.
        golden: Pictures of the validation part on which the model found labelled defects: "picture", a JPEG in
            base64, and "labels". A model that finds nothing on them does not go live.
    """

    name: str
    family: str
    labels: tuple[str, ...]
    input_size: int
    normalisation: dict[str, list[float]]
    postprocess: Postprocess
    onnx_sha256: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    operating_points: dict[str, dict[str, float]] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    git_sha: str = "unknown"
    created_at: str = ""
    tiles: Tiles | None = None
    scale: Scale | None = None
    bit_depth: int | None = None
    box_offset: tuple[float, float] = (0.0, 0.0)
    anomaly: AnomalyScale | None = None
    anomaly_model: dict[str, str] | None = None
    members: list[dict[str, Any]] = field(default_factory=list)
    golden: list[dict[str, Any]] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The family, and how many members an ensemble has; for tables and pages."""
        return f"{self.family}, ensemble of {len(self.members)}" if self.members else self.family

    @cached_property
    def version(self) -> str:
        """The model's version, by its weights and by everything else that changes its answers."""
        return model_card.version(asdict(self))

    @property
    def full_above(self) -> int | None:
        """For `decode`: the side in pixels above which a picture is cut into tiles; None: never."""
        return self.tiles.size if self.tiles else None

    @property
    def judges_anomalies(self) -> bool:
        """Whether it is an anomaly model, or has one beside it."""
        return self.anomaly is not None or self.anomaly_model is not None

    @property
    def answered_labels(self) -> tuple[str, ...]:
        """All labels that an answer may have: its own, and that of an anomaly model beside it."""
        return model_card.answered_labels(asdict(self))

    def write(self, folder: Path, name: str = CARD) -> None:
        """Write `folder`/model.json, or another file."""
        document = {**asdict(self), "version": self.version}
        (folder / name).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


def read_card(folder: Path, source: Path | None = None) -> ModelCard:
    """Read `folder`/model.json, and check everything else in the artefact against it.

    Cards from before tiles, scale, bit_depth, box_offset, anomaly models, members or golden existed are read with their
    defaults.

    Args:
        folder: An unpacked artefact.
        source: What an error names instead of `folder`: a temporary folder tells a user nothing.

    Raises:
        ArtefactError: model.json is missing or no card of a model that can judge, model.onnx has another SHA-256, or
            the anomaly model beside it is damaged, missing, or another one.
    """
    place = source or folder
    card = _read(folder, CARD, MODEL, place)
    if card.anomaly_model is not None:
        beside = _read(folder, ANOMALY_CARD, ANOMALY_MODEL, place)
        if beside.anomaly is None:
            raise ArtefactError(f"{place}: {ANOMALY_CARD} is the card of a detector, not of an anomaly model")
        named = card.anomaly_model
        versions = (beside.version, model_card.earlier_version(asdict(beside)))
        if beside.name != named["name"] or named["version"] not in versions:
            raise ArtefactError(
                f"{place}: {CARD} names the anomaly model {named['name']} {named['version']}, "
                f"and {ANOMALY_CARD} is {beside.name} {beside.version}"
            )
    elif found := [name for name in (ANOMALY_CARD, ANOMALY_MODEL) if (folder / name).exists()]:
        raise ArtefactError(f"{place}: {found[0]} belongs to no model: {CARD} names no anomaly_model")
    return card


def read_anomaly_card(folder: Path) -> ModelCard:
    """Return the card of the anomaly model in an artefact, which may be the whole artefact, or beside a detector.

    Raises:
        ArtefactError: The artefact is damaged, or contains no anomaly model.
    """
    card = read_card(folder)
    if not card.judges_anomalies:
        raise ArtefactError(f"{card.name} is a detector without an anomaly model")
    return card if card.anomaly else _read(folder, ANOMALY_CARD, ANOMALY_MODEL, folder)


def _read(folder: Path, card_name: str, model_name: str, place: Path) -> ModelCard:
    """Read a card, and check its model against it. place: what an error names."""
    try:
        card = _parse((folder / card_name).read_bytes())
    except OSError as error:
        raise ArtefactError(f"{place}: cannot read {card_name}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError, TilesError, ScaleError) as error:
        raise ArtefactError(f"{place}: {card_name} is not a model card of this version: {error}") from error
    if not (folder / model_name).is_file():
        raise ArtefactError(f"{place}: there is no {model_name}")
    sha256 = file_sha256(folder / model_name)
    if sha256 != card.onnx_sha256:
        raise ArtefactError(
            f"{place}: {model_name} has SHA-256 {sha256}, {card_name} gives {card.onnx_sha256}: "
            "the artefact was altered"
        )
    return card


def _parse(text: bytes) -> ModelCard:
    document = model_card.parse(text)
    # A program that wrote another version there would not change the model.
    document.pop("version", None)
    document["labels"] = tuple(document["labels"])
    document["postprocess"] = Postprocess(**document["postprocess"])
    right, down = document.get("box_offset", (0.0, 0.0))
    document["box_offset"] = float(right), float(down)
    if document.get("tiles") is not None:
        document["tiles"] = Tiles(**document["tiles"])
    if document.get("scale") is not None:
        document["scale"] = Scale(**document["scale"])
    if (anomaly := document.get("anomaly")) is not None:
        low, high = anomaly["map_range"]
        document["anomaly"] = AnomalyScale(**{**anomaly, "map_range": (float(low), float(high))})
    return ModelCard(**document)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex.

    Raises:
        ArtefactError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {error}") from error


def pack(folder: Path, target: Path) -> Path:
    """Pack the model in `folder` into `target`. The same content gives the same bytes.

    Returns:
        `target`.

    Raises:
        TrainingError: `target` cannot be written.
    """
    with (
        whole_file(target) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for name in _FILES:
            if name in (ANOMALY_CARD, ANOMALY_MODEL) and not (folder / name).exists():
                continue
            with (folder / name).open("rb") as content:
                member = tarfile.TarInfo(name)
                member.size = os.fstat(content.fileno()).st_size
                member.mode = 0o644
                archive.addfile(member, content)
    return target


def unpack(archive: Path, folder: Path) -> ModelCard:
    """Extract the files of `archive` into `folder`, and check them.

    Returns:
        The card.

    Raises:
        ArtefactError: The archive or its content is damaged, or it contains anything but regular files named exactly
            model.onnx, model.json, anomaly.onnx and anomaly.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:gz") as content:
            for member in content:
                if member.name not in _FILES or not member.isreg():
                    raise ArtefactError(
                        f"{archive} contains {member.name!r}, which is not part of a model artefact"
                    )
                if member.size > MAX_BYTES:
                    raise ArtefactError(f"{archive}: {member.name} is larger than {MAX_BYTES:,} bytes")
                # Its own path, mode and owner are not used. (tarfile's filter exists from Python 3.11.4 on.)
                extracted = content.extractfile(member)
                assert extracted is not None  # noqa: S101 - it is a regular file
                with extracted, (folder / member.name).open("wb") as file:
                    shutil.copyfileobj(extracted, file)
    except FileNotFoundError as error:
        raise ArtefactError(f"{archive}: no such file") from error
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ArtefactError(f"{archive} is not a model.tar.gz: {reason}") from error
    return read_card(folder, archive)
