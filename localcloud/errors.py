"""What can go wrong with the local cloud; each message says what to do next."""

from pathlib import Path


class LocalCloudError(Exception):
    """Any error of the local cloud."""


class PortInUseError(LocalCloudError):
    """The wished port belongs to another program."""

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(
            f"Port {port} on 127.0.0.1 is in use by another program. "
            "Choose another port, or leave it out and a free one is taken."
        )


class AlreadyRunningError(LocalCloudError):
    """A live process holds this home; there is one local cloud a home."""

    def __init__(self, home: Path, pid: int | None, port: int | None) -> None:
        self.home, self.pid, self.port = home, pid, port
        where = f" by process {pid} on port {port}" if pid else ""
        super().__init__(
            f"The local cloud in {home} is already running{where}. "
            "Use it from here, stop it first (Ctrl+C in its shell, or `loupe down`), or choose another home."
        )


class NotRunningError(LocalCloudError):
    """No live process holds this home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        super().__init__(f"No local cloud is running in {home}. Start one with `loupe up`.")


class StartError(LocalCloudError):
    """The local cloud did not come up."""


class IncompatibleMiniStackError(LocalCloudError):
    """The installed MiniStack is not the one that our patches were written for."""


class DeployError(LocalCloudError):
    """The template was refused or a resource failed; the message carries the stack events' reasons."""
