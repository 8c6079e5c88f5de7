"""Starts and stops the local cloud in the current process."""

from pathlib import Path
from types import TracebackType
from typing import Self

from loupe.local.connection import Connection

REPOSITORY = Path(__file__).resolve().parents[2]


class LocalCloud:
    """AWS in this process: MiniStack, our SageMaker beside it, state in `home`.

    One cloud a process and one a home. `home` is made if need be, readable by its owner only.
    `port` is a wish; without it a free one is taken. `repo` holds template.yaml and functions/.
    """

    def __init__(self, home: Path, port: int | None = None, repo: Path = REPOSITORY) -> None:
        self.home = home
        self.port = port
        self.repo = repo

    @property
    def connection(self) -> Connection:
        """Clients, address and credentials. Raises NotRunningError before `start`."""
        raise NotImplementedError

    def start(self) -> Connection:
        """Start serving and return the connection; endpoints of an earlier run come back by themselves.

        Raises PortInUseError, AlreadyRunningError, IncompatibleMiniStackError, StartError.
        """
        raise NotImplementedError

    def deploy(self, parameters: dict[str, str] | None = None) -> dict[str, str]:
        """Create or update the stack from template.yaml and functions/; return its outputs.

        Unchanged template, code and parameters change nothing. Raises DeployError with the reasons.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """Drain and end every child process, save the state, stop serving. A second call does nothing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
