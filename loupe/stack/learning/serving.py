"""What the endpoint serves already, and what becomes of it when a new model is deployed.

The endpoint serves one artefact, with a detector, an anomaly model, or both. So a new model of one kind takes the place
of the one of its kind, and stands beside one of the other kind.
"""

from __future__ import annotations

import shlex
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from botocore.exceptions import ClientError

from contract import model_card
from contract.s3 import split
from loupe.errors import LoupeError
from loupe.stack import deployment, endpoint
from loupe.stack.target import Target

Kind = Literal["detector", "anomaly"]
# The files of an anomaly model beside a detector, and their names in an artefact of its own.
_ALONE = {"anomaly.json": "model.json", "anomaly.onnx": "model.onnx"}
WORDS: dict[Kind, str] = {"detector": "detector", "anomaly": "anomaly model"}


@dataclass(frozen=True)
class Served:
    """The models in the artefact that the endpoint serves.

    Attributes:
        archive: A copy of the artefact.
        names: The name of each kind of model that is in it.
    """

    archive: Path
    names: dict[Kind, str]


@dataclass(frozen=True)
class Place:
    """The place of a new model.

    Attributes:
        beside: The artefact that it is packed with; None if it serves alone.
        replaces: The name of the model whose place it takes; None if there is none.
        stays: The name of the model of the other kind that it stands beside; None if there is none.
        copy: The artefact with the model whose place it takes; None if there is none.
    """

    beside: Path | None = None
    replaces: str | None = None
    stays: str | None = None
    copy: Path | None = None


def served(target: Target, folder: Path) -> Served | None:
    """Return what the endpoint serves; None if nothing, or only the starter model.

    The starter model knows the generated pictures of the demo, so nobody misses it.

    Args:
        target: The stack.
        folder: For a copy of the artefact.

    Raises:
        LoupeError: The artefact cannot be read.
    """
    current = endpoint.describe(target)
    if current is None:
        return None
    uri = current.container.get("ModelDataUrl", "")
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as temporary:
        copy = Path(temporary) / "model.tar.gz"
        try:
            target.s3.download_file(*split(uri), str(copy))
        except (ClientError, ValueError) as error:
            raise LoupeError(
                f"the model that the endpoint serves cannot be read: {error}",
                "To put the new one in its place all the same: add --replace.",
            ) from error
        card = deployment.read_card(copy)
        starter = deployment.read_card(deployment.STARTER)
        if _identity(card) == _identity(starter):
            return None
        # Named by its version: it stays for whoever wants to return to it.
        archive = copy.rename(folder / f"served-{model_card.version(card)}.tar.gz")
    return Served(archive, names(card))


def _identity(card: dict[str, Any]) -> tuple[str, str]:
    return str(card["name"]), model_card.version(card)


def names(card: dict[str, Any]) -> dict[Kind, str]:
    """Return the name of each kind of model that an artefact has, by its card."""
    if card.get("anomaly") is not None:
        return {"anomaly": str(card["name"])}
    found: dict[Kind, str] = {"detector": str(card["name"])}
    if beside := card.get("anomaly_model"):
        found["anomaly"] = str(beside["name"])
    return found


def place_for(kind: Kind, name: str, now: Served | None) -> Place:
    """Return where a new model goes.

    Args:
        kind: Its kind.
        name: Its name.
        now: What the endpoint serves.

    Raises:
        LoupeError: It would take the place of another model, which somebody may need.
    """
    if now is None:
        return Place()
    former = now.names.get(kind)
    if former is not None and former != name:
        raise LoupeError(
            f"the endpoint serves the {WORDS[kind]} {former}, and it has room for one",
            f"To put the new one in its place: add --replace. If these are more pictures of {former}: "
            f"add --line {shlex.quote(former)}.",
        )
    other: Kind = "anomaly" if kind == "detector" else "detector"
    stays = now.names.get(other)
    return Place(now.archive if stays else None, former, stays, now.archive if former else None)


def place_alone(target: Target, folder: Path) -> Place:
    """Return the place of a new model that takes that of everything which the endpoint serves.

    Args:
        target: The stack.
        folder: For a copy of what serves. What cannot be read has none.
    """
    try:
        now = served(target, folder)
    except LoupeError:
        return Place()
    return Place(replaces=" and ".join(now.names.values()), copy=now.archive) if now else Place()


def anomaly_half(archive: Path, out: Path) -> Path:
    """Write the anomaly model of an artefact as an artefact of its own.

    Args:
        archive: The artefact, with an anomaly model alone or beside a detector.
        out: Where to write.

    Returns:
        `archive` itself if it has no detector, else `out`.
    """
    if "anomaly_model" not in (card := deployment.read_card(archive)) or not card["anomaly_model"]:
        return archive
    with tarfile.open(archive) as source, tarfile.open(out, "w:gz") as target:
        for member in source:
            if name := _ALONE.get(member.name):
                content = source.extractfile(member)
                alone = tarfile.TarInfo(name)
                alone.size = member.size
                target.addfile(alone, content)
    return out
