"""The sample images of the demo: two lines with good steel, the six defects, and a file that was cut short.

No model is trained on this seed. It was chosen so that the verdicts of the starter model include every kind, and one
of them is doubtful.
"""

from __future__ import annotations

import io
from pathlib import Path

from training.datasets.generated.synthetic import KINDS, draw

SEED = 32
_QUALITY = 88
_STATIONS = ("line-1/top", "line-2/bottom")


def write(out: Path) -> list[Path]:
    """Write the images to `<out>/<line>/<station>/<serial>.jpg` and return their paths, always the same."""
    paths = []
    kinds = ("clean", *KINDS[:3], "clean", *KINDS[3:], "clean", "clean", "scratches", "inclusion")
    for index, kind in enumerate(kinds):
        picture, _ = draw(SEED, index, kind=kind)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=_QUALITY)
        paths.append(_write(out, index, buffer.getvalue()))
    complete = paths[1].read_bytes()
    paths.append(_write(out, len(kinds), complete[: len(complete) // 3]))
    return paths


def _write(out: Path, index: int, data: bytes) -> Path:
    path = out / _STATIONS[index % len(_STATIONS)] / f"SN{1000 + index}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
