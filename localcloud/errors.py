"""The errors of the local cloud: what is wrong, and what to do next."""

from pathlib import Path


class LocalCloudError(Exception):
    """Any error of the local cloud.

    Attributes:
        message: What is wrong.
        hint: What to do next; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class PortInUseError(LocalCloudError):
    """The requested port is in use by another program.

    Attributes:
        port: The port.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(
            f"Port {port} on 127.0.0.1 is in use by another program.",
            "Choose another port, or omit it to use a free one.",
        )


class InvalidPortError(LocalCloudError):
    """The requested port is not one that a program of this user can serve on.

    Attributes:
        port: The port.
    """

    def __init__(self, port: int, reason: str) -> None:
        self.port = port
        super().__init__(
            f"Port {port} {reason}.", "Choose one from 1024 to 65535, or omit it to use a free one."
        )


class HomeError(LocalCloudError):
    """The home cannot be used: it is no folder, not writable, damaged, or on a full disk.

    Attributes:
        home: The home.
    """

    def __init__(self, home: Path, message: str, hint: str) -> None:
        self.home = home
        super().__init__(message, hint)


class AlreadyRunningError(LocalCloudError):
    """A local cloud is already running in this home.

    Attributes:
        home: The home.
        pid: The process that runs the cloud; None if unknown.
        port: The port that the cloud is served on; None if unknown, as while it starts.
    """

    def __init__(self, home: Path, pid: int | None, port: int | None) -> None:
        self.home, self.pid, self.port = home, pid, port
        by = f" by process {pid}" if pid else ""
        on = f" on port {port}" if port else ""
        super().__init__(
            f"The local cloud in {home} is already running{by}{on}.",
            "Use it from here, stop it first (Ctrl+C in its shell, or `loupe down`), or choose another home.",
        )


class BackupError(LocalCloudError):
    """A backup cannot be written or read. Nothing was changed."""


class NotRunningError(LocalCloudError):
    """No local cloud is running in this home.

    Attributes:
        home: The home.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        super().__init__(f"No local cloud is running in {home}.", "Start one: loupe up")


class StartError(LocalCloudError):
    """The local cloud did not start."""


class StopError(LocalCloudError):
    """The local cloud did not stop in time, or may not be stopped.

    Attributes:
        pid: The process that runs the cloud.
    """

    def __init__(self, pid: int, message: str, hint: str) -> None:
        self.pid = pid
        super().__init__(message, hint)


class IncompatibleMiniStackError(LocalCloudError):
    """The installed MiniStack is not the one that the changes to it were written for."""


class DeployError(LocalCloudError):
    """The template was refused or a resource failed; the message contains the reasons from the stack's events."""
