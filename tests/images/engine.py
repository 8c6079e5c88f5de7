"""Builds the images with buildah from a Debian root file system, so that no registry of images is needed.

The engine is the product's own (loupe/account/builders/engines.py); only its storage, its isolation and what its build
may see of this machine's pip configuration are set, in files that containers.conf(5) and storage.conf(5) describe.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loupe.account.builders.engines import Rootless
from loupe.account.builders.source import BASE_VARIABLE, Target

SUITE = "bookworm"
# What the Dockerfile's own base has, too.
PACKAGES = "python3,python3-pip,python-is-python3,ca-certificates"
BASE = "localhost/loupe-test-base"
CONTAINERFILE = "FROM scratch\nADD debian.tar /\nRUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED\n"
# Debian's own folders of what is running, and what apt has downloaded.
LEFT_OUT = ("./proc/*", "./sys/*", "./dev/*", "./var/cache/apt/archives/*.deb", "./var/lib/apt/lists/*")


def missing() -> str | None:
    """Return why images cannot be built on this machine; None if they can."""
    absent = [name for name in ("buildah", "debootstrap", "unshare", "chroot") if shutil.which(name) is None]
    if absent:
        return (
            f"{' and '.join(absent)} missing (Debian, Ubuntu, as root: apt-get install buildah debootstrap)"
        )
    return None if os.geteuid() == 0 else "only root may build a root file system and start a container here"


class Store:
    """Images of these tests alone, in a folder."""

    def __init__(self, folder: Path, cache: Path) -> None:
        """Keep images in `folder`, and the Debian that they are made from in `cache`, which stays."""
        self._folder, self._cache = folder, cache
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n'
        )
        (folder / "containers.conf").write_text(f"[containers]\nvolumes = {json.dumps(_pip_needs())}\n")
        self.environment = {
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "BUILDAH_ISOLATION": "chroot",
            BASE_VARIABLE: BASE,
        }

    def base(self) -> None:
        """Have the base image."""
        archive = self._cache / f"debian-{SUITE}.tar"
        if not archive.exists():
            root = self._folder / "debian"
            self._run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root))
            self._cache.mkdir(parents=True, exist_ok=True)
            partial = archive.with_suffix(".partial")
            excluded = [f"--exclude={pattern}" for pattern in LEFT_OUT]
            self._run("tar", "-C", str(root), "-cf", str(partial), *excluded, ".")
            shutil.rmtree(root)
            partial.rename(archive)
        context = self._folder / "base"
        context.mkdir()
        (context / "Containerfile").write_text(CONTAINERFILE)
        shutil.copy(archive, context / "debian.tar")
        self._run("buildah", "build", "--format", "docker", "--tag", BASE, str(context))

    def build(self, target: Target) -> Image:
        """Build a target of the Dockerfile as `make images` does."""
        lines: list[str] = []
        name = f"loupe-test-{target}"
        old = {key: os.environ.get(key) for key in self.environment}
        os.environ.update(self.environment)
        try:
            Rootless("buildah").build(target, name, "test", lines.append)
        finally:
            for key, value in old.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value
        return Image(self, name, json.loads(self._run("buildah", "inspect", "--type", "image", name)))

    @contextmanager
    def mounted(self, name: str) -> Iterator[Path]:
        """The root file system of an image, for as long as it is needed."""
        container = self._run("buildah", "from", name).strip()
        try:
            yield Path(self._run("buildah", "mount", container).strip())
        finally:
            self._run("buildah", "umount", container)
            self._run("buildah", "rm", container)

    def remove(self) -> None:
        """Delete every image and container of this store."""
        self._run("buildah", "rm", "--all")
        self._run("buildah", "rmi", "--all", "--force")

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise AssertionError(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout


class Image:
    """A built image."""

    def __init__(self, store: Store, name: str, inspected: dict[str, Any]) -> None:
        self.store, self.name = store, name
        self.manifest: dict[str, Any] = json.loads(inspected["Manifest"])
        self.architecture: str = inspected["Docker"]["architecture"]
        self.config: dict[str, Any] = inspected["Docker"]["config"]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the image sets."""
        return dict(entry.split("=", 1) for entry in self.config["Env"])

    @property
    def mebibytes(self) -> int:
        """The size of its layers, not compressed."""
        return sum(layer["size"] for layer in self.manifest["layers"]) // 2**20


def _pip_needs() -> list[str]:
    """Return what pip's configuration on this machine names, to be seen in the build: read-only, at the same place."""
    listed = subprocess.run(["pip", "config", "debug"], capture_output=True, text=True, check=False).stdout
    listed += subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    words = listed.replace("'", " ").replace(",", " ").replace("file://", " ").split()
    paths = {Path("/etc/ssl/certs")} | {Path(word) for word in words if word.startswith("/")}
    # A file index has one folder for each package below it.
    seen = {path.parent if path.name == "simple" else path for path in paths if path.exists()}
    return [f"{path}:{path}:ro" for path in sorted(seen)]
