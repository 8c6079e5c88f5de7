"""The errors of the local cloud; each message tells what to do next."""

from pathlib import Path


class LocalCloudError(Exception):
    """Any error of the local cloud."""


class PortInUseError(LocalCloudError):
    """The requested port is in use by another program.

    Attributes:
        port: The port.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(
            f"Port {port} on 127.0.0.1 is in use by another program. "
            "Choose another port, or omit it to use a free one."
        )


class AlreadyRunningError(LocalCloudError):
    """A local cloud is already running in this home.

    Attributes:
        home: The home.
        pid: The process that runs the cloud; None if unknown.
        port: The port that the cloud is served on; None if unknown.
    """

    def __init__(self, home: Path, pid: int | None, port: int | None) -> None:
        self.home, self.pid, self.port = home, pid, port
        by = f" by process {pid} on port {port}" if pid else ""
        super().__init__(
            f"The local cloud in {home} is already running{by}. "
            "Use it from here, stop it first (Ctrl+C in its shell, or `loupe down`), or choose another home."
        )


class NotRunningError(LocalCloudError):
    """No local cloud is running in this home.

    Attributes:
        home: The home.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        super().__init__(f"No local cloud is running in {home}. Start one with `loupe up`.")


class StartError(LocalCloudError):
    """The local cloud did not start."""


class IncompatibleMiniStackError(LocalCloudError):
    """The installed MiniStack is not the one that the changes to it were written for."""


class DeployError(LocalCloudError):
    """The template was refused or a resource failed; the message contains the reasons from the stack's events."""
