"""Checks of this machine: Python, disk, the local cloud's folder and process, packages, the dashboard's page."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from localcloud.errors import HomeError, PortInUseError
from localcloud.home import connections, lock
from localcloud.home.ports import bind
from localcloud.home.space import Space
from localcloud.site import files
from localcloud.sources import REPOSITORY
from loupe.doctor.examination import Check, Finding, ok, problem, warning

_OLDEST, _NEWEST_TESTED = (3, 11), (3, 14)
_FEW_BYTES = 2_000_000_000
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True)
class Laptop:
    """This machine.

    Attributes:
        home: The local cloud's private folder.
        repository: The checkout, or what the installed package contains of it.
    """

    home: Path
    repository: Path = REPOSITORY


def python(laptop: Laptop) -> Iterator[Finding]:
    """Python is one that Loupe is tested with."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST:
        yield problem(f"Python {version} is too old for Loupe", "Install Python 3.11 or newer.")
    elif sys.version_info[:2] > _NEWEST_TESTED:
        yield warning(f"Loupe was not tested with Python {version}")
    else:
        yield ok(f"Python {version}")


def disk_space(laptop: Laptop) -> Iterator[Finding]:
    """The disk has room for images, models and logs."""
    folder = next(folder for folder in (laptop.home, *laptop.home.parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.1f} GB are free on the disk of {laptop.home}"
    command = f"Free some space there, or choose another folder: loupe up --home FOLDER (now {laptop.home})"
    if free < (reserve := Space(folder).reserve):
        needed = f"it needs {reserve / 1e9:.1f} GB"
        yield problem(f"{text}, and the local cloud refuses uploads, or does not start: {needed}", command)
    elif free < _FEW_BYTES:
        yield warning(text, command)
    else:
        yield ok(text)


def home_folder(laptop: Laptop) -> Iterator[Finding]:
    """The folder is the user's own, and nobody else's: it contains images and credentials."""
    home = laptop.home
    try:
        status = home.stat()
    except FileNotFoundError:
        yield ok(f"{home} does not exist yet; the first `loupe up` creates it")
        return
    if not stat.S_ISDIR(status.st_mode):
        yield problem(f"{home} is not a folder", "Choose another: loupe up --home FOLDER")
    elif status.st_uid != os.getuid():
        yield problem(f"{home} belongs to another user", "Choose another: loupe up --home FOLDER")
    elif not os.access(home, os.W_OK | os.X_OK):
        yield problem(f"{home} cannot be written", f"chmod 700 {shlex.quote(str(home))}")
    elif status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        yield problem(f"other users may read {home} (mode {mode:o})", f"chmod 700 {shlex.quote(str(home))}")
    else:
        yield ok(f"{home} is private")


def local_cloud(laptop: Laptop) -> Iterator[Finding]:
    """The local cloud runs, or ended as it should."""
    holder = lock.holder(laptop.home)
    try:
        stored = connections.read(laptop.home)
    except HomeError as error:
        yield problem(str(error), "loupe reset")
        return
    if stored and stored.alive():
        yield ok(f"runs on {stored.endpoint_url}, in process {stored.pid}")
    elif holder:
        doing = f"is stopping ({holder.step})" if holder.step else "is starting"
        yield warning(f"process {holder.pid} {doing}", "loupe status")
    elif _was_killed(laptop.home):
        yield warning(
            "the local cloud was killed; the next start continues with what it had saved, at most two seconds back",
            "loupe up --detach",
        )
    else:
        yield ok("no local cloud runs (loupe up starts one)")


def _was_killed(home: Path) -> bool:
    """Return whether the lock still names a process: one that stops removes its name."""
    try:
        return bool((home / lock.FILE_NAME).read_text().strip())
    except (OSError, ValueError):
        return False


def ports(laptop: Laptop) -> Iterator[Finding]:
    """The port that the local cloud had is free, so that its address stays."""
    try:
        stored = connections.read(laptop.home)
    except HomeError:
        return
    if stored is None or stored.alive() or lock.holder(laptop.home):
        return
    for port in filter(None, (stored.port, stored.site_port)):
        try:
            bind(port).close()
        except PortInUseError:
            yield warning(
                f"another program uses port {port} of the local cloud, which takes another one at its next start",
                f"ss -ltnp 'sport = :{port}'",
            )
            return
    yield ok("the ports of the last local cloud are free")


def packages(laptop: Laptop) -> Iterator[Finding]:
    """What is installed is what was tested."""
    locked = laptop.repository / "requirements" / "dev.txt"
    if not locked.exists():
        yield from _installed_package()
        return
    # A package may be locked in one version for each Python.
    pins: dict[str, set[str]] = {}
    for name, version in _PIN.findall(locked.read_text()):
        pins.setdefault(name, set()).add(version)
    others = [
        f"{name} {installed} instead of {' or '.join(sorted(versions))}"
        for name, versions in pins.items()
        if (installed := _installed(name)) not in (None, *versions)
    ]
    if others:
        yield warning(f"installed is {', '.join(sorted(others)[:5])}", "make dev")
    else:
        yield ok("the packages are those of requirements/dev.txt")


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _installed_package() -> Iterator[Finding]:
    """Check the exact versions that the installed package asks for."""
    asked = dict(_PIN.findall("\n".join(metadata.requires("loupe") or [])))
    others = [name for name, version in asked.items() if metadata.version(name) != version]
    if others:
        yield warning(f"installed are other versions of {', '.join(sorted(others))}", "pipx reinstall loupe")
    else:
        yield ok(f"Loupe {metadata.version('loupe')}")


def dashboard_page(laptop: Laptop) -> Iterator[Finding]:
    """The page that people open is built."""
    folder = files.folder(laptop.repository)
    if (folder / "index.html").is_file():
        yield ok("the dashboard's page is built")
    else:
        yield problem(f"there is no built page in {folder}", "make dashboard")


CHECKS: tuple[Check[Laptop], ...] = (
    *(python, disk_space, home_folder, local_cloud, ports, packages, dashboard_page),
)
