"""Runs a program of an image as SageMaker does: `docker run IMAGE train`.

The program is process 1 of its own process namespace, in the image's root, which is read-only: it can write to /opt/ml
and /tmp only. /dev/shm has Docker's 64 MB, or less.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from tests.images.engine import Image

PATIENCE = 300
# $1: the image's root, $2: the folder that becomes /opt/ml, $3: MiB of /dev/shm; then the program. `exec` keeps the
# process, so that the program is process 1.
_ENTER = """
set -e
root=$1; ml=$2; shm=$3; shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mkdir -p "$root/opt/ml" "$root/proc" "$root/dev" "$root/tmp"
mount --bind "$ml" "$root/opt/ml"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero random urandom; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
for gpu in $GPUS; do touch "$root/dev/$gpu"; done
mkdir "$root/dev/shm"
mount -t tmpfs -o "size=${shm}m,mode=1777" tmpfs "$root/dev/shm"
mount -o remount,bind,ro "$root"
exec chroot "$root" /usr/bin/env -i "$@"
"""


class Run:
    """A program that was started."""

    def __init__(
        self,
        image: Image,
        root: Path,
        ml: Path,
        program: str,
        environment: Mapping[str, str],
        shm_mib: int = 64,
        gpus: tuple[str, ...] = (),
    ) -> None:
        """Start it.

        Args:
            image: The image.
            root: Its root file system.
            ml: The folder that becomes /opt/ml.
            program: What `docker run IMAGE` gets as its argument.
            environment: Besides that of the image.
            shm_mib: Size of /dev/shm.
            gpus: Device files that the container sees.
        """
        self._log = ml.parent / f"{ml.name}.log"
        variables = [f"{name}={value}" for name, value in {**image.environment, **environment}.items()]
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", _ENTER, "enter"]
        command += [str(root), str(ml), str(shm_mib), *variables, program]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "GPUS": " ".join(gpus)},
            )

    @property
    def log(self) -> str:
        """Everything that it has written so far."""
        return self._log.read_text(errors="replace")

    def wait_for(self, text: str) -> None:
        """Wait until it has written a text."""
        end = time.monotonic() + PATIENCE
        while text not in self.log:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.05)

    def terminate(self) -> None:
        """Send SIGTERM to process 1 of the container, as `docker stop` does."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGTERM)

    def end(self, seconds: float = PATIENCE) -> int:
        """Return its exit status."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End it, whatever it does; --kill-child ends what is in the namespace."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
