"""Ask a model about pictures that show defects, before it goes live: python -m training.trial < request.json

`loupe deploy` runs this program, so that a model is asked by the code that serves it.

The request, on standard input, is a JSON object: `model`, a model.tar.gz, and `pictures`, files that show defects.
Without pictures the model is asked about its own (`golden` in model.json).

The answer is a JSON object: `problem` (a sentence; if there is one, nothing else), `pictures` (how many the model was
asked about), `found` (on how many it found a defect that counts).
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contract.images import UnreadableError
from training.job.errors import TrainingError
from training.model.artefact import unpack
from training.model.golden import finds
from training.model.models import Models, load


def ask(archive: Path, pictures: list[Path]) -> dict[str, Any]:
    """Answer a request.

    Args:
        archive: The model.
        pictures: That show defects; empty for the model's own.

    Raises:
        TrainingError: The archive is damaged, its card does not fit, or the model fails.
    """
    with tempfile.TemporaryDirectory(prefix="loupe-trial-") as folder:
        unpack(archive, Path(folder))
        models = load(Path(folder))
        found = [_finds(models, image, labels) for image, labels in _pictures(models, pictures)]
    return {"pictures": len(found), "found": sum(found)}


def _pictures(models: Models, files: list[Path]) -> Iterator[tuple[bytes, tuple[str, ...]]]:
    """Yield each picture, and the labels of which one should be found."""
    for file in files:
        yield file.read_bytes(), models.card.answered_labels
    # The card of a detector may have the pictures of the model beside it, too.
    golden = {picture["picture"]: picture for part in models.parts for picture in part.card.golden}
    for picture in () if files else golden.values():
        yield base64.b64decode(picture["picture"]), tuple(picture["labels"])


def _finds(models: Models, image: bytes, labels: tuple[str, ...]) -> bool:
    try:
        return finds(models, image, labels)
    except UnreadableError:
        return False
    except TrainingError:
        raise
    # ONNX Runtime's errors share no public base class.
    except Exception as error:
        raise TrainingError(f"the model fails on a picture: {error}") from error


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    try:
        answer = ask(Path(request["model"]), [Path(file) for file in request["pictures"]])
    # ValueError: golden is no base64.
    except (TrainingError, OSError, ValueError) as error:
        answer = {"problem": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
