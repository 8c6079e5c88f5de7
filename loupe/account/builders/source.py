"""What an image is made of, and the tag that follows from it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Literal

from localcloud.sources import REPOSITORY
from loupe.errors import LoupeError

Target = Literal["train", "serve", "serve-gpu"]
TARGETS: tuple[Target, ...] = ("serve", "serve-gpu", "train")

DOCKERFILE = "training/Dockerfile"
# SageMaker runs our images on x86 processors only (contract/instances.json), whatever processor builds them.
PLATFORM = "linux/amd64"
# Another base image than the Dockerfile's, such as a mirror's.
BASE_VARIABLE = "LOUPE_IMAGE_BASE"
_FOLDERS = ("contract", "training")


def root() -> Path:
    """Return the checkout that images are built from.

    Raises:
        LoupeError: This is an installed package, which has no Dockerfile.
    """
    if not (REPOSITORY / DOCKERFILE).is_file():
        raise LoupeError(
            "images are built from a checkout of the repository, and this is an installed package",
            "Clone the repository, and run the command there (make, then .venv/bin/loupe).",
        )
    return REPOSITORY


def paths(target: Target) -> list[str]:
    """Return the files and folders, relative to the checkout, that an image is made of."""
    return [DOCKERFILE, f"requirements/{target}.txt", *_FOLDERS]


def files(folder: Path, target: Target) -> list[Path]:
    """Return each file that an image is made of, sorted, as its Dockerfile.dockerignore lets it through."""
    found: list[Path] = []
    for name in paths(target):
        path = folder / name
        inside = path.rglob("*") if path.is_dir() else [path]
        found += [file for file in inside if file.is_file() and "__pycache__" not in file.parts]
    return sorted(set(found))


def tag(target: Target) -> str:
    """Return the tag of an image: the last commit that changed what it is made of, else a hash of that.

    Without git, or with changes that are not committed, no commit describes the image.

    Raises:
        LoupeError: This is an installed package.
    """
    folder = root()
    if not _git(folder, "status", "--porcelain", "--", *paths(target)):
        commit = _git(folder, "log", "-1", "--format=%H", "--", *paths(target))
        if commit:
            return commit[:12]
    digest = hashlib.sha256()
    for file in files(folder, target):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return f"content-{digest.hexdigest()[:12]}"


def build_arguments(tag_of_image: str) -> dict[str, str]:
    """Return the Dockerfile's arguments: what the image says of its own version, and another base if one is set."""
    arguments = {"GIT_SHA": tag_of_image}
    if base := os.environ.get(BASE_VARIABLE):
        arguments["BASE"] = base
    return arguments


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git answers; None without git or outside of a repository of its own."""
    if not (folder / ".git").exists():
        return None
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and our own paths
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
