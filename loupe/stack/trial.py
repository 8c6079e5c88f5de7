"""The trial of a model before it goes live: whether it finds anything on pictures that show its defects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.sources import PACKAGES, REPOSITORY
from loupe.errors import LoupeError
from loupe.stack import deployment, uploads
from loupe.stack.own_program import ask

_SECONDS = 600
_SAMPLES = REPOSITORY / "samples"


@dataclass(frozen=True)
class Trial:
    """What came out.

    Attributes:
        pictures: About how many pictures the model was asked; 0 if there are none that it should know.
        found: On how many it found a defect.
        least: On how many it must find one.
    """

    pictures: int
    found: int
    least: int

    @property
    def passed(self) -> bool:
        """Whether the model may go live."""
        return self.found >= self.least

    @property
    def text(self) -> str:
        """The outcome in words, which the SageMaker model's tag keeps."""
        if not self.pictures:
            return "not tried: no golden pictures"
        outcome = f"found defects on {self.found} of {self.pictures} golden pictures"
        return outcome if self.passed else f"deployed by force: {outcome}"


def run(archive: Path, golden: list[Path], force: bool) -> Trial:
    """Ask a model, on this machine, about pictures that show defects.

    Args:
        archive: A model.tar.gz.
        golden: Pictures, folders or zips of them; empty for the pictures in the model's card, and for the samples if
            the model has learned what they show.
        force: Accept a model that finds nothing.

    Raises:
        LoupeError: The archive is not a model that can judge, a picture cannot be read, or the model finds nothing.
    """
    card = deployment.read_card(archive)
    pictures = golden
    if not pictures and not card.get("golden") and _knows_samples(card):
        pictures = [_SAMPLES]
    answer = _ask(archive, _images(pictures))
    if problem := answer.get("problem"):
        raise LoupeError(
            f"the model does not go live: {problem}", "Nothing was changed: the current model serves."
        )
    # The model has found the defects of its own pictures once. On others, it must only find anything.
    asked = int(answer["pictures"])
    least = (asked + 1) // 2 if not pictures else min(asked, 1)
    trial = Trial(asked, int(answer["found"]), least)
    if trial.passed or force:
        return trial
    outcome = f"finds defects on only {trial.found} of" if trial.found else "finds nothing on"
    raise LoupeError(
        f"the model does not go live: it {outcome} {asked} golden pictures",
        "Nothing was changed. Evaluate it (loupe evaluate); loupe deploy --force serves it all the same.",
    )


def _knows_samples(card: dict[str, Any]) -> bool:
    """Return whether a model was trained on what the starter model was trained on, which the samples show."""
    starter = deployment.read_card(deployment.STARTER)
    snapshot = starter["dataset"].get("snapshot")
    return bool(snapshot) and card.get("dataset", {}).get("snapshot") == snapshot


def _images(paths: list[Path]) -> list[Path]:
    if not paths:
        return []
    sources, _ = uploads.find_images(paths, "line", "station")
    files = [Path(source.origin) for source in sources]
    if missing := [file for file in files if not file.is_file()]:
        raise LoupeError(f"{missing[0]} is in a zip", "Give the golden pictures as files or folders.")
    return files


def _ask(archive: Path, pictures: list[Path]) -> dict[str, Any]:
    """Ask the program of the container, because only it can run a model."""
    request = {"model": str(archive), "pictures": list(map(str, pictures))}
    return ask("training.trial", request, [PACKAGES], _SECONDS, "the model cannot be tried")
