"""Manifests: one JSON object per line, whose `source-ref` is the S3 URI of the image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from training.datasets.problems import Problems
from training.datasets.storage.files import Files

_SUFFIXES = (".manifest", ".jsonl")


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """One line of a manifest whose image exists.

    Attributes:
        manifest: The manifest's name.
        place: The line's number, for messages.
        image: The image's name among the source's files.
        fields: The JSON object.
    """

    manifest: str
    place: str
    image: str
    fields: dict[str, Any]


def find(files: Files) -> list[str]:
    """Return the manifests: the chosen one, or all of them."""
    names = files.names if files.chosen is None else (files.chosen,)
    return [name for name in names if name.lower().endswith(_SUFFIXES)]


def first_line(files: Files, manifests: list[str]) -> dict[str, Any]:
    """Return the first line of the first manifest that is not empty; {} if it is not a JSON object."""
    for name in manifests:
        with files.open(name) as stream:
            for line in stream:
                if line.strip():
                    try:
                        fields = json.loads(line)
                    except ValueError:
                        return {}
                    return fields if isinstance(fields, dict) else {}
    return {}


def count_lines(files: Files, manifests: list[str]) -> int:
    """Return the number of lines that are not empty."""
    total = 0
    for name in manifests:
        with files.open(name) as stream:
            total += sum(1 for line in stream if line.strip())
    return total


def read_lines(files: Files, manifests: list[str], problems: Problems) -> Iterator[ManifestLine]:
    """Yield every line whose image exists; every other line is reported as a problem."""
    for manifest in manifests:
        with files.open(manifest) as stream:
            for number, text in enumerate(stream, start=1):
                if not text.strip():
                    continue
                place = f"line {number}"
                try:
                    fields = json.loads(text)
                    reference = str(fields["source-ref"])
                except (ValueError, KeyError, TypeError) as error:
                    message = f"is not a JSON object with source-ref: {type(error).__name__} {error}"
                    problems.report("bad-annotation", manifest, message, place)
                    continue
                if image := resolve(files, reference, manifest, place, problems):
                    yield ManifestLine(manifest, place, image, fields)


def resolve(files: Files, reference: str, manifest: str, place: str, problems: Problems) -> str | None:
    """Return the file that a URI of the manifest refers to; None, with a problem, if it is not exactly one."""
    names = files.matching(reference)
    if not names:
        problems.report("missing-image", manifest, f"{reference} has no file of the same name here", place)
    elif len(names) > 1:
        several = ", ".join(names[:3])
        problems.report("ambiguous-image", manifest, f"{reference} may be any of {several}", place)
    return names[0] if len(names) == 1 else None
