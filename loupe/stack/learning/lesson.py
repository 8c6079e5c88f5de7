"""The programs of the container that `loupe learn` runs: train, evaluate, and pack two models together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contract.families import ANOMALY_FAMILIES
from localcloud.sources import PACKAGES
from loupe.errors import LoupeError
from loupe.stack.learning import program, serving
from loupe.stack.learning.serving import Kind
from loupe.stack.learning.source import Source

ANOMALY_FAMILY = ANOMALY_FAMILIES[0]
DETECTOR_FAMILY = "ssdlite"
# With fewer, how far a good picture can be from the others is not known at all.
LEAST_GOOD = 5
USUAL_GOOD = 20
# Of `ssdlite` at 320 px on two cores, with its 60 epochs.
_DETECTOR_SECONDS_PER_PICTURE = 60 * 0.09
_MODEL = "model.tar.gz"

OnEvent = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Lesson:
    """What is learned from which pictures.

    Attributes:
        source: The pictures.
        family: Of the model.
        name: The model's name in records.
        settings: Hyperparameters as NAME=VALUE.
        folder: For everything about the line.
    """

    source: Source
    family: str
    name: str
    settings: tuple[str, ...]
    folder: Path

    @property
    def kind(self) -> Kind:
        """The kind of the model."""
        return "anomaly" if self.family in ANOMALY_FAMILIES else "detector"

    @property
    def run(self) -> Path:
        """The folder of this training: the same pictures and settings are the same training."""
        settings = json.dumps(
            [self.source.id, self.family, self.name, sorted(self.settings), version("loupe")]
        )
        return self.folder / f"{self.family}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"

    @property
    def archive(self) -> Path:
        """The trained model."""
        return self.run / _MODEL

    @property
    def report(self) -> Path:
        """The page of the evaluation."""
        return self.run / "evaluation.html"

    @property
    def can_be_measured(self) -> bool:
        """Whether pictures were kept aside that tell how good the model is."""
        good, defective = self.source.test
        return bool(defective and (good or self.kind == "detector"))

    @property
    def seconds(self) -> float | None:
        """About how long the training takes on two cores; None if nobody has measured it."""
        pictures = self.source.good + self.source.defective
        if self.family == DETECTOR_FAMILY and not self.settings:
            return pictures * _DETECTOR_SECONDS_PER_PICTURE
        return None

    def check(self) -> None:
        """Check that there is enough to learn from.

        Raises:
            LoupeError: There is not.
        """
        source = self.source
        if self.family not in (known := families()):
            raise LoupeError(
                f"there is no family {self.family!r}",
                f"There are {', '.join(known)} (docs/families.md). Without --family, the pictures decide.",
            )
        if self.kind == "detector":
            if not source.boxed:
                raise LoupeError(
                    f"{self.family} learns from boxes, and no picture has one",
                    "Leave --family out: an anomaly model learns from good pictures alone.",
                )
            return
        if source.good < LEAST_GOOD:
            have = f"there are only {source.good}" if source.good > 1 else "there is only 1"
            raise LoupeError(
                f"learning what good looks like takes at least {LEAST_GOOD} different pictures of good products, and "
                + (have if source.good else "there are none"),
                f"Take about {USUAL_GOOD}, with all that good products may differ in: position, light, batches.",
            )


def families() -> list[str]:
    """Return the names of all families, which are those of their modules."""
    folder = PACKAGES / "training" / "detectors" / "families"
    return sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_"))


def family_for(source: Source) -> str:
    """Return the family that learns the most from the pictures."""
    return DETECTOR_FAMILY if source.boxed else ANOMALY_FAMILY


def train(lesson: Lesson, on_event: OnEvent) -> bool:
    """Train, unless that was done before.

    Args:
        lesson: What to learn.
        on_event: Receives what the training reports.

    Returns:
        Whether something was trained.

    Raises:
        LoupeError: The training failed.
    """
    if lesson.archive.is_file():
        return False
    arguments = [
        "--json",
        f"--dataset={lesson.source.snapshot}",
        f"--family={lesson.family}",
        f"--out={lesson.run}",
        f"--set=name={lesson.name}",
        *(f"--set={setting}" for setting in lesson.settings),
    ]
    program.run("training.train", arguments, lesson.run / "training.log", on_event)
    return True


def evaluate(lesson: Lesson) -> dict[str, Any]:
    """Measure the model on the pictures that were kept aside, unless that was done before.

    Raises:
        LoupeError: The evaluation failed.
    """
    kept = lesson.run / "evaluation.json"
    if kept.is_file():
        return dict(json.loads(kept.read_bytes()))
    documents: list[dict[str, Any]] = []
    arguments = [
        "--json",
        f"--model={lesson.archive}",
        f"--dataset={lesson.source.snapshot}",
        "--split=test",
        f"--html={lesson.report}",
    ]
    program.run("training.evaluate", arguments, lesson.run / "evaluation.log", documents.append)
    kept.write_text(json.dumps(documents[-1]))
    return documents[-1]


def pack(lesson: Lesson, beside: Path) -> Path:
    """Pack the new model together with the one of the other kind in an artefact; return the archive of both.

    Raises:
        LoupeError: They do not fit together.
    """
    both = lesson.run / "both.tar.gz"
    if lesson.kind == "detector":
        # The artefact may also have the detector whose place the new one takes.
        beside = serving.anomaly_half(beside, lesson.run / "anomaly.tar.gz")
    arguments = ["--json", f"--out={both}", "--", str(beside), str(lesson.archive)]
    program.run("training.ensemble", arguments, lesson.run / "ensemble.log", lambda event: None)
    return both
