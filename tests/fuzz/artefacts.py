"""Model artefacts: a model that judges, or a typed error. Archives, cards, and graphs whose checksum is right."""

from __future__ import annotations

import json
import math
import random
import tempfile
from functools import cache
from pathlib import Path

from tests.fuzz.mutation import mutate, mutate_bytes
from tests.fuzz.target import Target
from tests.unit.training.model.anomaly_models import anomaly_folder, detector_folder, grey
from training.job.errors import TrainingError
from training.model.artefact import CARD, MODEL, file_sha256, pack, unpack
from training.model.models import load

_ARCHIVE, _CARD, _GRAPH = b"archive\n", b"card\n", b"graph\n"


@cache
def _whole() -> tuple[tempfile.TemporaryDirectory[str], list[Path]]:
    folder = tempfile.TemporaryDirectory()
    root = Path(folder.name)
    return folder, [detector_folder(root / "detector"), anomaly_folder(root / "anomaly")]


@cache
def seeds() -> list[bytes]:
    """Return an archive, a card and a graph of a detector and of an anomaly model."""
    found = []
    for folder in _whole()[1]:
        found.append(_ARCHIVE + pack(folder, folder.with_suffix(".tar.gz")).read_bytes())
        found.append(_CARD + (folder / CARD).read_bytes())
        found.append(_GRAPH + (folder / MODEL).read_bytes())
    return found


def mutate_content(data: bytes, rng: random.Random, seeds: list[bytes]) -> bytes:
    """Change what is behind the first line."""
    head, content = data.split(b"\n", 1)
    change = mutate if head == _CARD.strip() else mutate_bytes
    return head + b"\n" + change(content, rng, [seed.split(b"\n", 1)[1] for seed in seeds])


def broken(data: bytes) -> str | None:
    """Load a model, and judge a picture. Returns what went wrong; None if nothing did."""
    head, content = data.split(b"\n", 1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            if head == _ARCHIVE.strip():
                (root / "model.tar.gz").write_bytes(content)
                unpack(root / "model.tar.gz", root / "model")
            else:
                _write(root / "model", head, content)
            models = load(root / "model", threads=1)
            answered = models.detector.detect([grey(models.card.input_size)]) if models.detector else []
            judged = models.anomaly.judge([grey(models.card.input_size)]) if models.anomaly else []
        except TrainingError as error:
            return None if str(error) else "an error without a message"
    scores = [float(score) for detections in answered for score in detections.scores]
    scores += [judgement.score for judgement in judged]
    return f"scores {scores}" if not all(math.isfinite(s) and -0.01 <= s <= 1.01 for s in scores) else None


def _write(folder: Path, head: bytes, content: bytes) -> None:
    """Write the model to which a card or a graph belongs, whose checksum is right."""
    folder.mkdir()
    kind = _whole()[1][1 if b"anomaly" in content or b"distance" in content else 0]
    card, graph = (kind / CARD).read_bytes(), (kind / MODEL).read_bytes()
    if head == _CARD.strip():
        card = content
    else:
        graph = content
    (folder / MODEL).write_bytes(graph)
    (folder / CARD).write_bytes(card)
    if head != _CARD.strip():
        document = json.loads(card)
        document["onnx_sha256"] = file_sha256(folder / MODEL)
        (folder / CARD).write_text(json.dumps(document))


TARGET = Target("artefacts", (20, 23, 30), seeds, broken, mutate=mutate_content, seconds=20, examples=60)
