"""The import of a zip: a report or a typed error for any bytes, in time, in little memory, and no file beside it."""

from __future__ import annotations

import io
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from PIL import Image

from tests.fuzz.mutation import mutate_bytes
from tests.fuzz.target import Target
from training.datasets.importing import Import, ImportOptions
from training.job.errors import TrainingError

_NAMES = ("images/a.jpg", "images/b c.png", "labels/a.txt", "classes.txt", "../outside.jpg", "images/é.jpg")


@cache
def seeds() -> list[bytes]:
    """Return zips of a small data set, stored and packed, with a comment, with other names, and of 64 bits."""
    files = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        for comment in (b"", b"PK\5\6 a comment"):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", method) as archive:
                for number, name in enumerate(_NAMES):
                    with archive.open(zipfile.ZipInfo(name), "w", force_zip64=bool(comment)) as member:
                        member.write(_content(name, number))
                archive.comment = comment
            files.append(buffer.getvalue())
    # A name in another code page.
    files.append(files[0].replace("é".encode(), b"\x82."))
    return files


def _content(name: str, number: int) -> bytes:
    if name.endswith(".txt"):
        return b"dent\n" if name == "classes.txt" else b"0 0.5 0.5 0.2 0.2\n"
    buffer = io.BytesIO()
    Image.new("L", (40, 30), 40 * number).save(buffer, "PNG" if name.endswith("png") else "JPEG")
    return buffer.getvalue()


def broken(data: bytes) -> str | None:
    """Import a zip. Returns what went wrong; None if nothing did."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inside" / "data.zip"
        path.parent.mkdir()
        path.write_bytes(data)
        try:
            Import(ImportOptions(str(path), "fuzz", str(path.parent / "out"), by_hash=True)).run().text()
        except TrainingError as error:
            if not str(error):
                return "an error without a message"
        beside = [entry.name for entry in Path(folder).iterdir() if entry.name != "inside"]
        return f"files beside the zip: {beside}" if beside else None


TARGET = Target("archives", (20, 34), seeds, broken, mutate=mutate_bytes, examples=60)
