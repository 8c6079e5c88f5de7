"""Starts and stops the local cloud in the current process."""

import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from localcloud import deploy as deployment
from localcloud import stopping
from localcloud.allocator import give_memory_back
from localcloud.daemon_pool import DaemonPool
from localcloud.errors import NotRunningError, StartError
from localcloud.full_disk import FullDisk
from localcloud.home import administrator, connections, credentials
from localcloud.home.connections import Connection
from localcloud.home.folder import Home, unusable
from localcloud.home.ports import bind, bind_free, check
from localcloud.home.space import Space, is_full
from localcloud.ministack import compatibility
from localcloud.ministack.environment import ACCOUNT, REGION, Environment
from localcloud.signals import StopSignals
from localcloud.sources import PACKAGES, REPOSITORY

if TYPE_CHECKING:  # these import MiniStack
    from localcloud.ministack.autosave import Autosave
    from localcloud.ministack.observability import Observability
    from localcloud.sagemaker import SageMaker
    from localcloud.server import Server
    from localcloud.site.app import Site

STACK_NAME = "loupe"

# What running functions may still take, when the cloud stops. Everything together takes less than ten seconds.
_DRAIN_S = 3.0

logger = logging.getLogger(__name__)
_started = threading.Lock()  # never released: MiniStack cannot start twice in a process


class LocalCloud:
    """AWS in this process: MiniStack and our SageMaker.

    A process can start one cloud, and a home can have one running. Use it as a context manager, or call `start`
    and `stop`. In the context manager SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt once, and cannot disturb
    the stop that follows.

    Attributes:
        home: The private folder with the cloud's state.
        port: The port to serve on; None for the last one, or a free one.
        repo: The folder that contains template.yaml and what it names.
        programs: The folder that contains training/.
        on_step: Receives what the stop waits for, such as "ending 2 jobs", whenever this changes.
        on_notice: Receives what its user should know while it runs: that the disk is full, and that it no longer is.
    """

    def __init__(
        self, home: Path, port: int | None = None, repo: Path = REPOSITORY, programs: Path = PACKAGES
    ) -> None:
        """Initialize a cloud; nothing runs before `start`.

        Args:
            home: The private folder; it is created at the start, readable by its owner only.
            port: The port to serve on; None for the last one, or a free one.
            repo: The folder that contains template.yaml and what it names.
            programs: The folder that contains training/, the container's programs.
        """
        self.home = Home(home)
        self.port = port
        self.repo = repo.resolve()
        self.programs = programs.resolve()
        self.on_step: Callable[[str], None] = lambda step: None
        self.on_notice: Callable[[str], None] = lambda notice: None
        self._signals = StopSignals()
        self._connection: Connection | None = None
        self._environment: Environment | None = None
        self._server: Server | None = None
        self._site: Site | None = None
        self._sagemaker: SageMaker | None = None
        self._autosave: Autosave | None = None
        self._observability: Observability | None = None

    @property
    def connection(self) -> Connection:
        """Clients, address and credentials.

        Raises:
            NotRunningError: Before `start`.
        """
        if self._connection is None:
            raise NotRunningError(self.home.root)
        return self._connection

    def start(self) -> Connection:
        """Start serving; endpoints and jobs of an earlier run continue by themselves.

        Returns:
            The connection to this cloud.

        Raises:
            InvalidPortError: If the given port is not one to serve on.
            PortInUseError: If it is in use.
            HomeError: If the home cannot be used.
            AlreadyRunningError: If a cloud is running in this home.
            IncompatibleMiniStackError: If another MiniStack is installed.
            StartError: If anything else prevents the start.
        """
        if self.port is not None:
            check(self.port)
        previous, listener, site_listener = self._open_home()
        try:
            port = int(listener.getsockname()[1])
            self._environment = Environment(self.home, port)
            if previous is not None and previous.port != port:
                self.home.move_to_port(previous.port, port)
            self._environment.enter()
            give_memory_back()
            compatibility.check()
            begun = datetime.now(UTC)
            site_port = int(site_listener.getsockname()[1])
            sagemaker = self._start_services(self._environment, listener, site_listener)
            self._connection = self._connect(self._environment, site_port, previous)
            self._resume(sagemaker, begun)
        except BaseException as error:  # also Ctrl+C
            self.stop()
            if isinstance(error, OSError) and is_full(error):
                raise unusable(self.home.root, error) from error
            if isinstance(error, (OSError, ValueError, BotoCoreError, ClientError)):
                log = self.home.logs / "cloud.log"
                raise StartError(f"The local cloud did not start: {error}", f"Its log: {log}") from error
            raise
        return self._connection

    def deploy(self, parameters: dict[str, str] | None = None) -> dict[str, str]:
        """Create or update the stack from template.yaml and functions/.

        If template, code and parameters are unchanged, nothing is done.

        Args:
            parameters: Template parameters.

        Returns:
            The stack's outputs.

        Raises:
            DeployError: With the reasons why the stack could not be created or updated.
            HomeError: If the disk is full.
        """
        outputs = deployment.deploy(self.connection, self.repo, parameters or {})
        self.connection.outputs = self._open_site(outputs)
        try:
            self.connection.write(self.home.root)
            if self._autosave is not None:
                # A stack that is only partly saved could neither be updated nor created again.
                self._autosave.save()
        except OSError as error:
            raise unusable(self.home.root, error) from error
        return self.connection.outputs

    def _open_site(self, outputs: dict[str, str]) -> dict[str, str]:
        """Let the dashboard work with the stack, and return the outputs with the addresses that it has here."""
        connection, api_url = self.connection, outputs.get("ApiUrl", "")
        connection.outputs = outputs
        administrator.ensure(connection, self.home.root)
        if self._site is not None:
            # http://<id>.execute-api.<host>
            api_id = api_url.partition("://")[2].partition(".")[0] or None
            self._site.connect(api_id, outputs, lambda: administrator.restore(connection, self.home.root))
        addresses = dict.fromkeys(("DashboardUrl", "ApiUrl"), connection.site_url)
        return outputs | {name: url for name, url in addresses.items() if name in outputs}

    def stop(self) -> None:
        """End every child process, save the state and stop serving, within ten seconds. A second call does nothing.

        Running functions and requests get a few seconds. Jobs, executions and deployments that have not ended
        continue at the next start. `on_step` is called with each step.
        """
        self._signals.ignore()
        with ExitStack() as then:
            then.callback(self._signals.restore)
            if self._environment is None:
                then.callback(self.home.close)
                return
            environment, self._environment = self._environment, None
            then.callback(environment.leave)
            if self._end_all():
                then.callback(self.home.close)
            # Otherwise a thread may still write into the home: the lock is released when the process ends.
        self._connection = None

    def _end_all(self) -> bool:
        """End everything that has started. Return whether no thread is left that may write into the home."""
        # Counted first: a job's thread ends as soon as it sees that the cloud stops.
        jobs = self._sagemaker.running_jobs() if self._sagemaker is not None else 0
        self._tell(f"ending {_unfinished(jobs)}" if jobs else "finishing the images in flight")
        stopping.stopping.set()
        ended = True
        with ExitStack() as then:
            if self._observability is not None:
                then.callback(self._observability.stop)
            if self._autosave is not None:
                then.callback(self._autosave.stop)
                then.callback(self._tell, "saving the state")
            if self._server is not None:
                ended = self._end_work(self._server)
        return ended

    def _end_work(self, server: "Server") -> bool:
        from localcloud.ministack import functions, stopped_executions

        ended = True
        try:
            stopped_executions.freeze()
            if self._sagemaker is not None:
                ended = self._end_programs(self._sagemaker)
        finally:
            functions.end_workers()
            ended = server.stop() and ended
        return ended

    def _end_programs(self, sagemaker: "SageMaker") -> bool:
        """End jobs and endpoints; meanwhile the running functions, which need the endpoints, may finish."""
        from localcloud.ministack import functions

        closing = DaemonPool(1).submit(sagemaker.close_jobs)
        functions.drain(_DRAIN_S)
        ended = closing.result()
        self._tell("ending the endpoints")
        return sagemaker.close_endpoints() and ended

    def _notice(self, notice: str) -> None:
        logger.warning("%s", notice)
        self.on_notice(notice)

    def _tell(self, step: str) -> None:
        self.home.tell(step)
        self.on_step(step)

    def _open_home(self) -> tuple[Connection | None, socket.socket, socket.socket]:
        """Lock the home; return the connection of the last run, and sockets for the cloud and for the dashboard."""
        self.home.open()
        try:
            previous = connections.read(self.home.root)
            listener = bind(self.port) if self.port else bind_free(previous.port if previous else None)
            try:
                site_listener = bind_free(previous.site_port or None if previous else None)
            except BaseException:
                listener.close()
                raise
            if not _started.acquire(blocking=False):
                listener.close()
                site_listener.close()
                raise StartError("A process can start one local cloud: MiniStack keeps its state in modules.")
        except BaseException:
            self.home.close()
            raise
        return previous, listener, site_listener

    def _start_services(
        self, environment: Environment, listener: socket.socket, site_listener: socket.socket
    ) -> "SageMaker":
        """Start MiniStack, changed as needed, our SageMaker in front of it, and the dashboard beside it."""
        # These import MiniStack, which must come after its environment.
        from ministack import app as ministack_app

        from localcloud.gateway import Gateway
        from localcloud.ministack import container_registry, metrics, patches
        from localcloud.ministack.autosave import Autosave
        from localcloud.ministack.observability import Observability
        from localcloud.ministack.scaling_alarms import ScalingAlarms
        from localcloud.sagemaker import SageMaker
        from localcloud.sagemaker.roles import Roles
        from localcloud.sagemaker.services import Services
        from localcloud.server import Server
        from localcloud.site.app import Site

        self._observability = Observability(self.home.logs)
        space = Space(self.home.root, self._notice)
        patches.apply(self._observability, self.home.secret(), space)
        self._observability.start()
        roles = Roles(f"http://127.0.0.1:{environment.port}", REGION, ACCOUNT)
        sagemaker = SageMaker(
            self.home.sagemaker,
            self.home.logs,
            self.programs,
            roles,
            Services(metrics.record, ScalingAlarms(), container_registry.layer),
            self.home.root / "quotas.json",
        )
        # A stranger cannot fill the disk, so the signature is checked before the space.
        services = FullDisk(ministack_app.app, space)
        gateway = Gateway(environment.port, environment.root_key, sagemaker, services)
        site_port = int(site_listener.getsockname()[1])
        self._site = Site(site_port, gateway, environment.port, self.home.root, self.repo)
        self._server = Server((gateway, listener), (self._site, site_listener))
        self._server.start()
        self._autosave = Autosave(self.home.state, space)
        self._autosave.start()
        return sagemaker

    def _connect(self, environment: Environment, site_port: int, previous: Connection | None) -> Connection:
        """Write and return the connection, with the operator's credentials."""
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
            site_port=site_port,
        )
        credentials.use_operator(connection, previous)
        connection.write(self.home.root)
        return connection

    def _resume(self, sagemaker: "SageMaker", begun: datetime) -> None:
        """Continue endpoints, jobs, executions and images, and let state machines and templates use SageMaker."""
        from localcloud.ministack import lost_announcements, step_functions
        from localcloud.sagemaker import integrations

        self._sagemaker = sagemaker
        sagemaker.resume()
        integrations.connect(sagemaker)
        step_functions.resume_executions()
        if lost := lost_announcements.announce(begun):
            self.connection.inspected_again = lost
            self.connection.write(self.home.root)

    def __enter__(self) -> Self:
        self._signals.install()
        try:
            self.start()
        except BaseException:
            self._signals.restore()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _unfinished(jobs: int) -> str:
    if jobs == 1:
        return "1 unfinished job, which continues at the next start"
    return f"{jobs} unfinished jobs, which continue at the next start"
