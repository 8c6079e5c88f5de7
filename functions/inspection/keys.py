"""Object keys: `incoming/<line>/<station>/<serial>.<ext>`."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote_plus

UNKNOWN = "unknown"
PREFIX = "incoming/"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image was taken, as its key tells."""

    line: str
    station: str
    serial: str


def decode(event_key: str) -> str:
    """The key of an S3 event, which is URL-encoded with `+` for a space, decoded once.

    Raises UnicodeDecodeError for what S3 never sends: bytes that are no UTF-8.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html

    >>> decode("incoming/a%2Bb+c.jpg")
    'incoming/a+b c.jpg'
    """
    return unquote_plus(event_key, errors="strict")


def place(key: str) -> Place:
    """Line, station and serial; what the key does not tell is `unknown`, and the image is judged all the same.

    >>> place("incoming/line-1/top/4711.jpg")
    Place(line='line-1', station='top', serial='4711')
    >>> place("incoming/4711.jpg")
    Place(line='unknown', station='unknown', serial='4711')
    """
    *folders, name = key.removeprefix(PREFIX).split("/")
    line, station, *rest = [*folders, *[UNKNOWN] * max(0, 2 - len(folders))]
    serial = "/".join([*rest, PurePosixPath(name).stem or name])
    return Place(line or UNKNOWN, station or UNKNOWN, serial or UNKNOWN)
