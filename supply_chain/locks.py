"""The files that lock requirements: what each pins, and by which hashes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCKS = (*sorted((ROOT / "requirements").glob("*.txt")), ROOT / "functions/requirements.txt")


@dataclass(frozen=True)
class Pin:
    """A line of a lock file.

    Attributes:
        name: The package.
        version: Its version.
        marker: Where it is installed; empty for everywhere.
        hashes: What the files may be, such as "sha256:…".
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


class LockError(ValueError):
    """A line of a lock file pins nothing. The message says which."""


def pins(text: str) -> Iterator[Pin]:
    """Yield what a lock file pins, also without a hash.

    Args:
        text: The file, as `uv pip compile --generate-hashes` writes it.

    Raises:
        LockError: A line is no exact version.
    """
    for line in text.replace("\\\n", " ").splitlines():
        words = line.partition(" #")[0].strip()
        if not words or words.startswith("#"):
            continue
        named, *options = words.split(" --hash=")
        try:
            requirement = Requirement(named)
        except ValueError as error:
            raise LockError(f"this is no requirement: {named!r}") from error
        (version,) = requirement.specifier if len(requirement.specifier) == 1 else (None,)
        if version is None or version.operator != "==" or "*" in version.version:
            raise LockError(f"this is no exact version: {named!r}")
        hashes = tuple(option.strip() for option in options)
        yield Pin(requirement.name.lower(), version.version, str(requirement.marker or ""), hashes)
