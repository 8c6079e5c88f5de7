"""The layout of the keys in the two buckets.

Images bucket: `incoming/<line>/<station>/<serial>.<ext>`. Artefacts bucket: one prefix for each kind of document.
template.yaml grants each function access to the prefixes that it needs.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

INCOMING = "incoming/"
UNKNOWN = "unknown"

ANNOTATED = "annotated/"  # pictures for alerts, with the defects framed
CHECKPOINTS = "checkpoints/"  # of training jobs
LABELLED = "labelled"  # what `loupe import` uploads: images and snapshots
SNAPSHOTS = "labelled/snapshots/"  # with a folder for each data set
LABELS = "labels/"  # reviewed images, one document each
MODELS = "models/"
PRETRAINED = "pretrained/"  # weights to start from, by family
SDK = "sagemaker/"  # what the SageMaker SDK keeps: code, inputs, outputs of its jobs
THUMBNAILS = "thumbnails/"  # small pictures for lists
REPORTS = "reports/"  # of evaluations and of retraining runs
APPROVALS = "retraining/approvals/"
LAST_RUNS = "retraining/last/"  # a document for each data set
FORMER_LAST_RUN = "retraining/last.json"  # before data sets had names
LOCK = "retraining/lock.json"

DEFAULT_DATASET = "default"
DATASET_NAME_RULE = "lower-case letters, digits and hyphens, at most 40 characters"
_DATASET_NAME = re.compile("[a-z0-9][a-z0-9-]{0,39}")


def is_dataset_name(text: str) -> bool:
    """Return whether a text may name a data set (DATASET_NAME_RULE; the first character is no hyphen).

    >>> is_dataset_name("press-2"), is_dataset_name("Press 2"), is_dataset_name("")
    (True, False, False)
    """
    return _DATASET_NAME.fullmatch(text) is not None


def snapshots_of(dataset: str) -> str:
    """Return the prefix of a data set's snapshots.

    >>> snapshots_of("press-2")
    'labelled/snapshots/press-2/'
    """
    return f"{SNAPSHOTS}{dataset}/"


def last_run(dataset: str) -> str:
    """Return the key of the document about the last retraining on a data set.

    >>> last_run("press-2")
    'retraining/last/press-2.json'
    """
    return f"{LAST_RUNS}{dataset}.json"


def dataset_of(key: str) -> str | None:
    """Return the data set of a snapshot's key; None if the key is not a snapshot's.

    A snapshot without a folder of its own was imported before data sets had names.

    >>> dataset_of("labelled/snapshots/press-2/76a7.json"), dataset_of("labelled/snapshots/76a7.json")
    ('press-2', 'default')
    """
    if not (key.startswith(SNAPSHOTS) and key.endswith(".json")):
        return None
    folder, _, file = key.removeprefix(SNAPSHOTS).rpartition("/")
    if not folder:
        return DEFAULT_DATASET
    return folder if file and is_dataset_name(folder) else None


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
