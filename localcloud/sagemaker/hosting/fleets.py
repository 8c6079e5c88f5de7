"""A fleet serves one plan of an endpoint: one server, replaced when it ends unexpectedly."""

import logging
import shutil
import tarfile
import threading
import uuid
from pathlib import Path

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.hosting.model_files import fetch_model
from localcloud.sagemaker.hosting.model_server import ModelServer, ServerError
from localcloud.sagemaker.hosting.models import Plan
from localcloud.sagemaker.program_log import ProgramLog
from localcloud.sagemaker.programs import Machine

logger = logging.getLogger(__name__)

# The errors with which a fleet does not start; each has the reason as its message.
START_FAILURES = (ServerError, AwsError, OSError, tarfile.TarError, ClientError, BotoCoreError, Boto3Error)
# When the whole cloud stops: what requests in progress get, and then the program between SIGTERM and SIGKILL.
_CLOSING_DRAIN_S, _CLOSING_GRACE_S = 0.5, 1.0

_LOG_GROUPS = "/aws/sagemaker/Endpoints"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 30.0  # between attempts to replace a server


class Fleet:
    """Serves from `start` to `end`, and replaces its server by itself.

    Attributes:
        plan: What it runs.
    """

    def __init__(self, endpoint: str, plan: Plan, folder: Path, machine: Machine) -> None:
        """Initialize a fleet; nothing runs before `start`.

        Args:
            endpoint: The endpoint's name.
            plan: What the fleet runs.
            folder: Contains a folder for each endpoint.
            machine: What every program shares.
        """
        self.plan = plan
        self._endpoint, self._folder, self._machine = endpoint, folder / endpoint, machine
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._server: ModelServer | None = None  # in service
        self._servers: list[ModelServer] = []  # in service or starting

    def start(self) -> None:
        """Return when the server answers.

        Raises:
            Exception: One of START_FAILURES, also if the fleet is ended meanwhile.
        """
        self._launch()
        threading.Thread(target=self._keep_serving, daemon=True, name="loupe-fleet").start()

    def lease(self) -> ModelServer | None:
        """Return the server, which serves at least until it is released; None if there is none at the moment."""
        with self._lock:
            if self._server is not None:
                self._server.lease()
            return self._server

    def end(self) -> None:
        """Let the requests in progress finish, then end the server."""
        self._ending.set()
        with self._lock:
            servers = list(self._servers)
        for server in servers:
            self._remove(server)

    def close(self) -> None:
        """End the server soon, because the whole cloud stops; also while `end` waits for the requests in progress."""
        self._ending.set()
        with self._lock:
            servers = list(self._servers)
        for server in servers:
            server.stop(_CLOSING_DRAIN_S, _CLOSING_GRACE_S)

    def _launch(self) -> None:
        """Start a server and put it in service. Raises one of START_FAILURES."""
        root = self._folder / uuid.uuid4().hex[:8]
        (root / "model").mkdir(parents=True)
        role, model_data = self.plan["role"], self.plan["model_data"]
        self._check_image(role)
        credentials = self._machine.roles.environment(role)
        if model_data:
            fetch_model(self._machine.roles.client("s3", role), model_data, root)
        log = ProgramLog(
            self._machine.logs / f"endpoint-{self._endpoint}.log",
            self._machine.roles.client("logs", role),
            f"{_LOG_GROUPS}/{self._endpoint}",
            f"{self.plan['variant']}/{root.name}",
        )
        # A ModelError names the log group, perhaps before the program has printed anything.
        log.open()
        server = ModelServer(root, self._machine.repo, self.plan["environment"] | credentials, log)
        with self._lock:
            if self._ending.is_set():
                raise ServerError("it was ended before it started to serve")
            self._servers.append(server)
        try:
            server.start(self.plan["startup_timeout_s"])
        except ServerError:
            self._remove(server)
            raise
        with self._lock:
            self._server = server

    def _check_image(self, role: str) -> None:
        """Check that the container could start on AWS. Raises ServerError."""
        images, variant = self._machine.images, self.plan["variant"]
        if not images.pull(self.plan["image"], role):
            # https://github.com/aws/amazon-sagemaker-examples/issues/275
            raise ServerError(
                f"Please make sure all images included in the model for the production variant {variant} exist, "
                "and that the execution role used to create the model has permissions to access them."
            )
        if error := images.exec_error(self.plan["image"], role, self.plan["instance_type"]):
            raise ServerError(
                f"The primary container for production variant {variant} did not pass the ping health check: "
                f"{error}"
            )

    def _remove(self, server: ModelServer) -> None:
        server.stop()
        with self._lock:
            self._servers = [other for other in self._servers if other is not server]
        shutil.rmtree(server.root, ignore_errors=True)

    def _keep_serving(self) -> None:
        """Start another server whenever one ends, until the fleet is ended."""
        pause = _FIRST_PAUSE_S
        while True:
            server = self._server
            assert server is not None  # noqa: S101 - `start` set it
            server.wait()
            if self._ending.wait(pause):
                return
            self._remove(server)
            logger.warning("endpoint %s: its server ended unexpectedly; starting another", self._endpoint)
            try:
                self._launch()
                pause = _FIRST_PAUSE_S
            except START_FAILURES as error:
                logger.warning("endpoint %s: %s", self._endpoint, error)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
