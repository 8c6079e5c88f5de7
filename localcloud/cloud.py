"""Starts and stops the local cloud in the current process."""

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from localcloud import connections, credentials
from localcloud import deploy as deployment
from localcloud.connections import Connection
from localcloud.environment import ACCOUNT, REGION, Environment
from localcloud.errors import LocalCloudError, NotRunningError, StartError
from localcloud.home import Home
from localcloud.ports import bind, bind_free

if TYPE_CHECKING:
    from localcloud.ministack.autosave import Autosave
    from localcloud.ministack.observability import Observability
    from localcloud.sagemaker import SageMaker
    from localcloud.server import Server

REPOSITORY = Path(__file__).resolve().parents[1]
STACK_NAME = "loupe"
DRAIN_S = 10.0

_once = threading.Lock()


class LocalCloud:
    """AWS in this process: MiniStack, our SageMaker beside it, state in `home`.

    One cloud a process and one a home. `home` is made if need be, readable by its owner only.
    `port` is a wish; without it the last one is taken again, or a free one. `repo` holds template.yaml,
    functions/ and training/.
    """

    def __init__(self, home: Path, port: int | None = None, repo: Path = REPOSITORY) -> None:
        self.home = Home(home)
        self.port = port
        self.repo = repo.resolve()
        self._connection: Connection | None = None
        self._environment: Environment | None = None
        self._server: Server | None = None
        self._sagemaker: SageMaker | None = None
        self._autosave: Autosave | None = None
        self._observability: Observability | None = None

    @property
    def connection(self) -> Connection:
        """Clients, address and credentials. Raises NotRunningError before `start`."""
        if self._connection is None:
            raise NotRunningError(self.home.root)
        return self._connection

    def start(self) -> Connection:
        """Start serving and return the connection; endpoints of an earlier run come back by themselves.

        Raises PortInUseError, AlreadyRunningError, IncompatibleMiniStackError, StartError.
        """
        self.home.open()
        try:
            previous = connections.read(self.home.root)
            listener = bind(self.port) if self.port else bind_free(previous.port if previous else None)
            if not _once.acquire(blocking=False):
                listener.close()
                raise StartError("A process can start one local cloud: MiniStack keeps its state in modules.")
        except LocalCloudError:
            self.home.close()
            raise
        port = int(listener.getsockname()[1])
        if previous is not None and previous.port != port:
            self.home.move_to_port(previous.port, port)
        environment = self._environment = Environment(self.home, port)
        try:
            environment.enter()
            # These import MiniStack, which must come after its environment.
            from localcloud.gateway import Gateway
            from localcloud.ministack import patches
            from localcloud.ministack.autosave import Autosave
            from localcloud.ministack.observability import Observability, record
            from localcloud.sagemaker import SageMaker, integrations
            from localcloud.sagemaker.roles import Roles
            from localcloud.server import Server

            self._observability = Observability(self.home.logs)
            patches.apply(self._observability, self.home.secret())
            self._observability.start()
            roles = Roles(f"http://127.0.0.1:{port}", REGION, ACCOUNT)
            sagemaker = SageMaker(self.home.sagemaker, self.home.logs, self.repo, roles, record)
            self._server = Server(Gateway(port, environment.root_key, sagemaker), listener)
            self._server.start()
            self._autosave = Autosave(self.home.state)
            self._autosave.start()
            self._connection = self._connect(environment, previous)
            self._sagemaker = sagemaker
            sagemaker.resume()
            integrations.connect(sagemaker)
        except LocalCloudError:
            self.stop()
            raise
        except (OSError, ValueError, BotoCoreError, ClientError) as error:
            self.stop()
            raise StartError(f"The local cloud did not start: {error}") from error
        return self._connection

    def deploy(self, parameters: dict[str, str] | None = None) -> dict[str, str]:
        """Create or update the stack from template.yaml and functions/; return its outputs.

        Unchanged template, code and parameters change nothing. Raises DeployError with the reasons.
        """
        outputs = deployment.deploy(self.connection, self.repo, parameters or {})
        self.connection.outputs = outputs
        self.connection.write(self.home.root)
        if self._autosave is not None:
            self._autosave.save()  # a stack half saved could be neither updated nor made anew
        return outputs

    def stop(self) -> None:
        """Drain and end every child process, save the state, stop serving. A second call does nothing."""
        if self._environment is None:
            return
        if self._server is not None:
            self._drain()
        if self._sagemaker is not None:
            self._sagemaker.close()
        if self._autosave is not None:
            self._autosave.stop()
        if self._server is not None:
            from ministack.core import lambda_runtime

            self._server.stop()
            lambda_runtime.reset()
        if self._observability is not None:
            self._observability.stop()
        self._environment.leave()
        self._environment = self._connection = None
        self.home.close()

    def _drain(self) -> None:
        """Take nothing new from queues and streams; let the functions at work finish."""
        from ministack.services import lambda_svc

        from localcloud.ministack import patches

        patches.stopping.set()
        deadline = time.monotonic() + DRAIN_S
        while lambda_svc.executions_in_flight()[0] and time.monotonic() < deadline:
            time.sleep(0.02)

    def _connect(self, environment: Environment, previous: Connection | None) -> Connection:
        connection = Connection(
            pid=os.getpid(),
            pid_created=psutil.Process().create_time(),
            port=environment.port,
            endpoint_url=f"http://127.0.0.1:{environment.port}",
            region=REGION,
            account_id=ACCOUNT,
            access_key_id=environment.root_key,
            secret_access_key=environment.root_secret,
            stack_name=STACK_NAME,
            outputs=previous.outputs if previous else {},
        )
        credentials.settle(connection, previous)
        connection.write(self.home.root)
        return connection

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
