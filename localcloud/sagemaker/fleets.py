"""A fleet is what serves one plan of an endpoint: one server, replaced when it dies."""

import logging
import shutil
import tarfile
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sagemaker.errors import AwsError
from localcloud.sagemaker.models import Plan
from localcloud.sagemaker.server import ModelServer, ServerError
from localcloud.sagemaker.storage import split

if TYPE_CHECKING:  # its import brings MiniStack's
    from localcloud.sagemaker.roles import Roles

logger = logging.getLogger(__name__)

CAUSES = (ServerError, AwsError, OSError, tarfile.TarError, ClientError, BotoCoreError, Boto3Error)
_INSTANT_S = 5.0  # what requests in flight get when the whole cloud stops


class Fleet:
    """Comes up in `start`, stays up by itself, ends in `end` once its requests are answered."""

    def __init__(
        self, endpoint: str, plan: Plan, folder: Path, logs: Path, repo: Path, roles: "Roles"
    ) -> None:
        self.plan = plan
        self._endpoint, self._folder, self._logs = endpoint, folder / endpoint, logs
        self._repo, self._roles = repo, roles
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._server: ModelServer | None = None  # in service
        self._children: list[ModelServer] = []  # and those that are to be

    def start(self) -> None:
        """Return when the server answers. Raises one of CAUSES; a fleet that is ended meanwhile does, too."""
        self._launch()
        threading.Thread(target=self._keep, daemon=True, name="loupe-fleet").start()

    def lease(self) -> ModelServer | None:
        """The server, which answers at least until it is released; None when there is none just now."""
        with self._lock:
            if self._server is not None:
                self._server.lease()
            return self._server

    def end(self) -> None:
        """Drain, then end the server."""
        self._finish()

    def cut(self) -> None:
        """End the server; requests in flight get a few seconds."""
        self._finish(_INSTANT_S)

    def _finish(self, *drain_s: float) -> None:
        self._ending.set()
        with self._lock:
            children = list(self._children)
        for server in children:
            self._discard(server, *drain_s)

    def _launch(self) -> None:
        root = self._folder / uuid.uuid4().hex[:8]
        (root / "model").mkdir(parents=True)
        role = self._roles.environment(self.plan["role"])
        if self.plan["model_data"]:
            archive = root / "model.tar.gz"
            bucket, key = split(self.plan["model_data"])
            self._roles.client("s3", self.plan["role"]).download_file(bucket, key, str(archive))
            with tarfile.open(archive) as tar:
                tar.extractall(root / "model", filter="data")
            archive.unlink()
        log = self._logs / f"endpoint-{self._endpoint}.log"
        server = ModelServer(root, self._repo, self.plan["environment"] | role, log)
        with self._lock:
            if self._ending.is_set():
                raise ServerError("it was ended before it had begun to serve")
            self._children.append(server)
        try:
            server.start(self.plan["startup_timeout_s"])
        except ServerError:
            self._discard(server)
            raise
        with self._lock:
            self._server = server

    def _discard(self, server: ModelServer, *drain_s: float) -> None:
        server.stop(*drain_s)
        with self._lock:
            self._children = [child for child in self._children if child is not server]
        shutil.rmtree(server.root, ignore_errors=True)

    def _keep(self) -> None:
        """Wait for the server's end; unless the fleet is to end, start another."""
        pause = 0.1
        while True:
            server = self._server
            assert server is not None  # noqa: S101 - `start` set it
            server.wait()
            if self._ending.wait(pause):
                return
            self._discard(server)
            logger.warning("endpoint %s: its server ended unexpectedly; starting another", self._endpoint)
            try:
                self._launch()
                pause = 0.1
            except CAUSES as error:
                logger.warning("endpoint %s: %s", self._endpoint, error)
                pause = min(pause * 2, 30)
