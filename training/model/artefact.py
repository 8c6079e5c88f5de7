"""The model artefact: `model.tar.gz` = `model.onnx` + `model.json`, and nothing that could run code."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training.job.errors import TrainingError
from training.model.decoding import Postprocess
from training.model.tiling import Tiles, TilesError

MODEL = "model.onnx"
CARD = "model.json"
MAX_BYTES = 2 * 1024**3  # of one member once unpacked: a gzip bomb must not fill the disk


class ArtefactError(TrainingError):
    """A model artefact is missing, damaged or not what its model.json says."""


@dataclass(frozen=True)
class ModelCard:
    """model.json: what one needs to know to run the model and to trust it.

    name, version: which model this is; the version is the first 12 digits of the ONNX file's SHA-256,
        or of that and what else changes its findings: tiles and the boxes' offset.
    labels: class names; score column i of the graph is labels[i].
    input_size: edge in pixels of the square uint8 RGB input [N, size, size, 3].
    normalisation: mean and std, which the graph applies to pixels / 255.
    operating_points: per label the score with the best F1 on the validation part, and what it gives.
    tiles: how large pictures are cut before they are judged; None: never.
    box_offset: pixels of the original, to the right and down, that each box is moved by
        (training.evaluation.box_offset).
    members: of an ensemble (training.ensemble), whose family is the first one's: what each of them is.
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
    box_offset: tuple[float, float] = (0.0, 0.0)
    members: list[dict[str, Any]] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The family in words, for tables and pages."""
        return f"{self.family}, ensemble of {len(self.members)}" if self.members else self.family

    @property
    def version(self) -> str:
        # The same weights find other things with other settings, and a record must tell which model judged.
        settings = [json.dumps(asdict(self.tiles), sort_keys=True)] if self.tiles else []
        settings += [json.dumps(self.box_offset)] if any(self.box_offset) else []
        if not settings:
            return self.onnx_sha256[:12]
        return hashlib.sha256(" ".join([self.onnx_sha256, *settings]).encode()).hexdigest()[:12]

    @property
    def full_above(self) -> int | None:
        """For `decode`: the side in pixels above which a picture is judged by tiles; None: never."""
        return self.tiles.size if self.tiles else None

    def write(self, folder: Path) -> None:
        """Writes `folder`/model.json."""
        document = {**asdict(self), "version": self.version}
        (folder / CARD).write_text(json.dumps(document, indent=1) + "\n")


def read_card(folder: Path) -> ModelCard:
    """Reads `folder`/model.json and checks model.onnx against it. Raises ArtefactError."""
    try:
        document = json.loads((folder / CARD).read_text())
        document.pop("version", None)
        document["labels"] = tuple(document["labels"])
        document["postprocess"] = Postprocess(**document["postprocess"])
        across, down = document.get("box_offset", (0.0, 0.0))
        document["box_offset"] = float(across), float(down)
        if document.get("tiles") is not None:
            document["tiles"] = Tiles(**document["tiles"])
        card = ModelCard(**document)
    except OSError as error:
        raise ArtefactError(f"cannot read {folder / CARD}: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, TilesError) as error:
        raise ArtefactError(f"{folder / CARD} is not a model card of this version: {error}") from error
    found = file_sha256(folder / MODEL)
    if found != card.onnx_sha256:
        raise ArtefactError(
            f"{folder / MODEL} has SHA-256 {found}, {CARD} says {card.onnx_sha256}: the artefact was altered"
        )
    return card


def file_sha256(path: Path) -> str:
    """The hex SHA-256 of a file. Raises ArtefactError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {error}") from error


def pack(folder: Path, target: Path) -> Path:
    """Packs `folder` into `target`; same content, same bytes. Returns `target`."""
    temporary = target.with_name(target.name + ".part")
    with (
        temporary.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for name in (CARD, MODEL):
            with (folder / name).open("rb") as content:
                member = tarfile.TarInfo(name)
                member.size = os.fstat(content.fileno()).st_size
                member.mode = 0o644
                archive.addfile(member, content)
    temporary.replace(target)
    return target


def unpack(archive: Path, folder: Path) -> ModelCard:
    """Extracts the two files of `archive` into `folder`, checks them, and returns the card.

    Only regular files called exactly model.onnx and model.json are taken; anything else in the archive
    is refused, since an artefact of ours holds nothing else. Raises ArtefactError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:gz") as content:
            for member in content:
                if member.name not in (MODEL, CARD) or not member.isreg():
                    raise ArtefactError(
                        f"{archive} holds {member.name!r}, which is no part of a model artefact"
                    )
                if member.size > MAX_BYTES:
                    raise ArtefactError(f"{archive}: {member.name} is larger than {MAX_BYTES:,} bytes")
                content.extract(member, folder, filter="data")
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise ArtefactError(f"{archive} is not a model.tar.gz: {error}") from error
    return read_card(folder)
