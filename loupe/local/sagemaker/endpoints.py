"""The life of endpoints: bring a server up, replace it without losing a request, keep it up, end it."""

import contextlib
import logging
import shutil
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from loupe.local.sagemaker.errors import AwsError
from loupe.local.sagemaker.server import ModelServer, ServerError
from loupe.local.sagemaker.store import Store

if TYPE_CHECKING:  # its import brings MiniStack's
    from loupe.local.sagemaker.roles import Roles

logger = logging.getLogger(__name__)

STARTUP_TIMEOUT_S = 300
_CAUSES = (ServerError, AwsError, OSError, tarfile.TarError, ClientError, BotoCoreError, Boto3Error)

# What an endpoint runs, copied from its configuration and model when it is deployed, so that deleting
# those leaves a running endpoint whole, as on AWS: keys image, model_data, environment, role, variant,
# startup_timeout_s.
Plan = dict[str, Any]


class Endpoints:
    """Every endpoint's server. The records of the endpoints lie in `store`, their files in `folder`."""

    def __init__(self, store: Store, folder: Path, logs: Path, repo: Path, roles: "Roles") -> None:
        self._store, self._folder, self._logs, self._repo, self._roles = store, folder, logs, repo, roles
        self._lock = threading.Lock()
        self._serving: dict[str, ModelServer] = {}
        self._children: set[ModelServer] = set()
        self._closing = threading.Event()

    def resume(self) -> None:
        """Bring back what an earlier run of the cloud had; folders left behind by it are removed."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for record in self._store.all("Endpoint"):
            name = record["EndpointName"]
            if record["EndpointStatus"] == "Deleting":
                self._store.delete("Endpoint", name)
            elif record["EndpointStatus"] != "Failed":
                self.deploy(name, record.get("pending_plan") or record["plan"], record["EndpointConfigName"])

    def deploy(self, name: str, plan: Plan, config_name: str) -> None:
        """Start `plan` in the background and let it take over the endpoint; the record tells the outcome."""
        updating = name in self._serving
        status = "Updating" if updating else "Creating"
        self._store.change(
            "Endpoint", name, EndpointStatus=status, LastModifiedTime=time.time(), pending_plan=plan
        )
        self._background(self._deploy, name, plan, config_name, updating)

    def delete(self, name: str) -> None:
        """End the server in the background, then forget the record."""
        self._store.change("Endpoint", name, EndpointStatus="Deleting", LastModifiedTime=time.time())
        self._background(self._delete, name)

    @contextlib.contextmanager
    def lease(self, name: str) -> Iterator[ModelServer | None]:
        """The server in service, which stays until the end of the block even if it is replaced meanwhile."""
        with self._lock:
            server = self._serving.get(name)
            if server is not None:
                server.lease()
        try:
            yield server
        finally:
            if server is not None:
                server.release()

    def close(self) -> None:
        """End every server; requests in flight get a few seconds."""
        self._closing.set()
        with self._lock:
            children = list(self._children)
        stopping = [threading.Thread(target=server.stop, args=(5,)) for server in children]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _background(self, work: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, daemon=True, name="loupe-endpoint").start()

    def _deploy(self, name: str, plan: Plan, config_name: str, updating: bool) -> None:
        try:
            server = self._start(name, plan)
        except _CAUSES as error:
            if self._closing.is_set():
                return
            logger.warning("endpoint %s: %s", name, error)
            # As on AWS, a failed update leaves the endpoint in service with what it had.
            status = "InService" if updating else "Failed"
            self._settle(name, EndpointStatus=status, FailureReason=str(error))
            return
        with self._lock:
            previous = self._serving.get(name)
            self._serving[name] = server
        self._settle(
            name, EndpointStatus="InService", EndpointConfigName=config_name, plan=plan, FailureReason=None
        )
        if previous is not None:
            self._end(previous)
        self._keep(name, plan, server)

    def _settle(self, name: str, **members: Any) -> None:
        self._store.change("Endpoint", name, LastModifiedTime=time.time(), pending_plan=None, **members)

    def _start(self, name: str, plan: Plan) -> ModelServer:
        root = self._folder / name / uuid.uuid4().hex[:8]
        (root / "model").mkdir(parents=True)
        role = self._roles.environment(plan["role"])
        if plan["model_data"]:
            archive = root / "model.tar.gz"
            bucket, _, key = plan["model_data"].removeprefix("s3://").partition("/")
            self._roles.s3(plan["role"]).download_file(bucket, key, str(archive))
            with tarfile.open(archive) as tar:
                tar.extractall(root / "model", filter="data")
            archive.unlink()
        log = self._logs / f"endpoint-{name}.log"
        server = ModelServer(root, self._repo, plan["environment"] | role, log)
        with self._lock:
            self._children.add(server)
        try:
            server.start(plan["startup_timeout_s"])
        except ServerError:
            self._end(server)
            raise
        if self._closing.is_set():
            self._end(server)
            raise ServerError("the local cloud is stopping")
        return server

    def _end(self, server: ModelServer) -> None:
        server.stop()
        with self._lock:
            self._children.discard(server)
        shutil.rmtree(server.root, ignore_errors=True)

    def _keep(self, name: str, plan: Plan, server: ModelServer) -> None:
        """Wait for the end of `server`; unless it was replaced or the cloud stops, start another."""
        pause = 0.1
        while True:
            server.wait()
            if self._closing.wait(pause) or self._serving.get(name) is not server:
                return
            logger.warning("endpoint %s: its server ended unexpectedly; starting another", name)
            self._end(server)
            try:
                replacement = self._start(name, plan)
            except _CAUSES as error:
                logger.warning("endpoint %s: %s", name, error)
                pause = min(pause * 2, 30)
                continue
            with self._lock:
                taken = self._serving.get(name) is server
                if taken:
                    self._serving[name] = replacement
            if not taken:
                self._end(replacement)
                return
            server, pause = replacement, 0.1

    def _delete(self, name: str) -> None:
        with self._lock:
            server = self._serving.pop(name, None)
        if server is not None:
            self._end(server)
        self._store.delete("Endpoint", name)
