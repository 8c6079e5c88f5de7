"""Manifests: one JSON object a line, `source-ref` naming the image in S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from training.datasets.files import Files
from training.datasets.problems import Problems

_SUFFIXES = (".manifest", ".jsonl")


def find(files: Files) -> list[str]:
    """The manifests: the one chosen, or all that there are."""
    names = files.names if files.chosen is None else (files.chosen,)
    return [name for name in names if name.lower().endswith(_SUFFIXES)]


def first(files: Files, manifests: list[str]) -> dict[str, Any]:
    """The first line of the first manifest that has any; {} if none is a JSON object."""
    for name in manifests:
        with files.open(name) as stream:
            for line in stream:
                if line.strip():
                    try:
                        found = json.loads(line)
                    except ValueError:
                        return {}
                    return found if isinstance(found, dict) else {}
    return {}


def count(files: Files, manifests: list[str]) -> int:
    """How many lines there are."""
    total = 0
    for name in manifests:
        with files.open(name) as stream:
            total += sum(1 for line in stream if line.strip())
    return total


def lines(files: Files, manifests: list[str], problems: Problems) -> Iterator[tuple[str, str, str, Any]]:
    """Manifest, place, image name and JSON object of every line whose image is found."""
    for manifest in manifests:
        with files.open(manifest) as stream:
            for number, text in enumerate(stream, start=1):
                if not text.strip():
                    continue
                place = f"line {number}"
                try:
                    line = json.loads(text)
                    reference = str(line["source-ref"])
                except (ValueError, KeyError, TypeError) as error:
                    message = f"is no JSON object with source-ref: {type(error).__name__} {error}"
                    problems.report("bad-annotation", manifest, message, place)
                    continue
                if image := resolve(files, reference, manifest, place, problems):
                    yield manifest, place, image, line


def resolve(files: Files, reference: str, manifest: str, place: str, problems: Problems) -> str | None:
    """The file that a URI of the manifest means; None, and a problem, if there is none."""
    found = files.matching(reference)
    if not found:
        problems.report("missing-image", manifest, f"{reference} has no file of its name here", place)
    elif len(found) > 1:
        several = ", ".join(found[:3])
        problems.report("ambiguous-image", manifest, f"{reference} may be any of {several}", place)
    return found[0] if len(found) == 1 else None
