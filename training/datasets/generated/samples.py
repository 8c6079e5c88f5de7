"""The sample images of the demo.

A morning on two lines: good steel, the six defects, and a file that the network cut short. No model is
trained on the seed; it was picked so that the starter model's verdicts are of every kind, one doubtful.
"""

from __future__ import annotations

import io
from pathlib import Path

from training.datasets.generated.synthetic import KINDS, draw

SEED = 32
_QUALITY = 88
_STATIONS = ("line-1/top", "line-2/bottom")


def write(out: Path) -> list[Path]:
    """Writes `<line>/<station>/<serial>.jpg` under `out`; returns the paths, always the same."""
    paths = []
    kinds = ("clean", *KINDS[:3], "clean", *KINDS[3:], "clean", "clean", "scratches", "inclusion")
    for index, kind in enumerate(kinds):
        picture, _ = draw(SEED, index, kind=kind)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=_QUALITY)
        paths.append(_put(out, index, buffer.getvalue()))
    whole = paths[1].read_bytes()
    paths.append(_put(out, len(kinds), whole[: len(whole) // 3]))
    return paths


def _put(out: Path, index: int, data: bytes) -> Path:
    path = out / _STATIONS[index % len(_STATIONS)] / f"SN{1000 + index}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
