"""The layout of the keys in the two buckets.

Images bucket: `incoming/<line>/<station>/<serial>.<ext>`. Artefacts bucket: one prefix for each kind of document.
template.yaml grants each function access to the prefixes that it needs.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

INCOMING = "incoming/"
UNKNOWN = "unknown"

ANNOTATED = "annotated/"  # pictures for alerts, with the defects framed
CHECKPOINTS = "checkpoints/"  # of training jobs
LABELLED = "labelled"  # what `loupe import` uploads: images and snapshots
SNAPSHOTS = "labelled/snapshots/"
LABELS = "labels/"  # reviewed images, one document each
MODELS = "models/"
PRETRAINED = "pretrained/"  # weights to start from, by family
REPORTS = "reports/"  # of evaluations and of retraining runs
APPROVALS = "retraining/approvals/"
LAST_RUN = "retraining/last.json"
LOCK = "retraining/lock.json"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image was taken, and of which part."""

    line: str
    station: str
    serial: str


def place(key: str) -> Place:
    """Return line, station and serial of a key. What the key does not contain is `unknown`.

    >>> place("incoming/line-1/top/4711.jpg")
    Place(line='line-1', station='top', serial='4711')
    >>> place("incoming/4711.jpg")
    Place(line='unknown', station='unknown', serial='4711')
    """
    *folders, name = key.removeprefix(INCOMING).split("/")
    line, station, *rest = [*folders, *[UNKNOWN] * max(0, 2 - len(folders))]
    serial = "/".join([*rest, PurePosixPath(name).stem or name])
    return Place(line or UNKNOWN, station or UNKNOWN, serial or UNKNOWN)


def incoming(line: str | None, station: str | None, file_name: str) -> str:
    """Return the key under which a camera uploads an image.

    >>> incoming("line-1", None, "4711.jpg")
    'incoming/line-1/unknown/4711.jpg'
    """
    return f"{INCOMING}{line or UNKNOWN}/{station or UNKNOWN}/{file_name}"
