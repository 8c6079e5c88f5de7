"""What `loupe learn` is given: what the pictures show, of which line they are, and where files about it are kept."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from contract.text import plain
from localcloud.sources import PACKAGES
from loupe.errors import LoupeError
from loupe.stack.own_program import ask

# Reading takes seconds for a hundred pictures, and minutes for many from S3.
_SECONDS = 3600
# Of the good pictures, and of the defective ones, that are dropped after the learning.
PICTURES_DROPPED = 24
_FOLDER = "learn"
_DATASET = "learned"
# Folders whose name says what their pictures show, and not of which product they are.
_NAMES_OF_KINDS = {
    *("normal", "good", "ok", "okay", "io", "pass", "train", "test", "images", "img", "pictures", "photos"),
    *("anomaly", "bad", "nok", "ng", "nio", "fail", "defect", "defects"),
}


@dataclass(frozen=True)
class Picture:
    """A picture that is dropped after the learning.

    Attributes:
        file: A copy of it.
        station: The folder that it was in.
        defective: Whether its label says that it shows a defect.
    """

    file: Path
    station: str
    defective: bool


@dataclass(frozen=True)
class Source:
    """What was found.

    Attributes:
        path: As the user has given it.
        snapshot: The snapshot of it, which the training reads.
        id: The snapshot's id.
        good: The number of pictures of good products.
        defective: The number of the others.
        boxed: How many of these have boxes that somebody drew.
        masked: How many of these have masks.
        classes: The number of boxes of each class.
        test: The numbers of good and of defective pictures that are kept aside to measure by.
        copies: The number of pictures that were left out, because they are copies of others.
        unreadable: The number of files that were left out, because they or their labels cannot be read.
        first_unreadable: The reason for the first of them.
        sizes: Width, height, and the number of pictures of that size, the most frequent first.
        pictures: Some of both kinds, to drop.
    """

    path: str
    snapshot: str
    id: str
    good: int
    defective: int
    boxed: int
    masked: int
    classes: dict[str, int]
    test: tuple[int, int]
    copies: int
    unreadable: int
    first_unreadable: str | None
    sizes: tuple[tuple[int, int, int], ...]
    pictures: tuple[Picture, ...]

    def document(self) -> dict[str, Any]:
        """Return the numbers as JSON values."""
        return {
            "source": self.path,
            "snapshot": self.snapshot,
            "good": self.good,
            "defective": self.defective,
            "boxed": self.boxed,
            "masked": self.masked,
            "classes": self.classes,
            "kept_aside": {"good": self.test[0], "defective": self.test[1]},
            "copies": self.copies,
            "unreadable": self.unreadable,
            "sizes": [list(size) for size in self.sizes],
        }


def look(path: str, folder: Path, format: str | None, all_good: bool) -> Source:
    """Read the pictures and their labels, and write a snapshot of them.

    Args:
        path: A folder, a zip, or anything else that `loupe import` reads.
        folder: Where the snapshot and some of the pictures go.
        format: The format of the labels; None to detect it.
        all_good: Whether all pictures are good, whatever their folders are called.

    Raises:
        LoupeError: Nothing can be learned from them.
    """
    request = {
        "source": path,
        "name": _DATASET,
        "out": str(folder),
        "format": format,
        "all_good": all_good,
        "sample": PICTURES_DROPPED,
    }
    answer = ask("training.survey", request, [PACKAGES], _SECONDS, f"{path} cannot be read")
    if problem := answer.get("problem"):
        raise LoupeError(problem, answer["hint"])
    pictures = (Picture(Path(p["file"]), p["station"], p["defective"]) for p in answer["pictures"])
    return Source(
        path=path,
        snapshot=answer["snapshot"],
        id=answer["id"],
        good=answer["good"],
        defective=answer["defective"],
        boxed=answer["boxed"],
        masked=answer["masked"],
        classes=answer["classes"],
        test=(answer["test"]["good"], answer["test"]["defective"]),
        copies=answer["copies"],
        unreadable=answer["unreadable"],
        first_unreadable=answer["first_unreadable"],
        sizes=tuple((width, height, count) for width, height, count in answer["sizes"]),
        pictures=tuple(pictures),
    )


def line_of(path: str) -> str:
    """Return the line whose pictures they probably are: the name of the folder, or of the one around it.

    >>> line_of("photos/bottles"), line_of("bottles/normal/"), line_of("s3://factory/bottles.zip")
    ('bottles', 'bottles', 'bottles')
    """
    location = path if path.startswith("s3://") else str(Path(path).absolute())
    parts = [
        plain(part).strip() for part in PurePosixPath(location.removeprefix("s3://")).parts if part != "/"
    ]
    if parts and PurePosixPath(parts[-1]).suffix.lower() in (".zip", ".json", ".manifest", ".jsonl"):
        parts[-1] = PurePosixPath(parts[-1]).stem
    named = [part for part in parts if part and part.casefold() not in _NAMES_OF_KINDS]
    return named[-1] if named else _DATASET


def folder_of(home: Path, line: str) -> Path:
    """Return the folder for the files about a line.

    A name that does not suit every file system gets a hash, so that no two lines share a folder.
    """
    name = unicodedata.normalize("NFC", line)
    safe = re.sub(r"[^\w.-]+", "-", name).strip(".-")
    if safe != line or len(safe) > 60:
        safe = f"{safe[:50]}-{hashlib.sha256(line.encode()).hexdigest()[:6]}".strip("-")
    return home / _FOLDER / safe
