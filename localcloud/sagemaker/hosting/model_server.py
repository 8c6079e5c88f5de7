"""One running model server: the container's `serve` program as a child process."""

import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping
from http.client import RemoteDisconnected
from pathlib import Path

import urllib3

from localcloud.home.ports import free_port
from localcloud.sagemaker import programs
from localcloud.sagemaker.program_log import ProgramLog

INVOCATION_TIMEOUT_S = 60.0  # what a real-time endpoint gives a container
STARTUP_TIMEOUT_S = 300
PROGRAM = "training.serve"
_PING_TIMEOUT_S = 2
_PING_PAUSE_S = 0.02
_END_GRACE_S = 5
_MAX_CONNECTIONS = 32
_LOG_PAUSE_S = 1
_LOG_LINES_IN_REASON = 15
_MAX_REASON_LENGTH = 1024
_UNHEALTHY_ENDPOINT = (
    "The primary container for production variant AllTraffic did not pass the ping health check"
)


class ServerError(Exception):
    """The server did not start; the message is a FailureReason, such as DescribeEndpoint returns."""


class NoAnswerError(Exception):
    """The server ended or hung during a request."""


class ModelServer:
    """Starts in `start`, answers requests in `invoke` from any thread, ends in `stop`.

    Attributes:
        root: The folder that takes the place of /opt/ml; it contains model/.
        repo: The folder that the program is imported from.
        log: Where the program's output goes.
        port: The server's port.
    """

    def __init__(
        self,
        root: Path,
        repo: Path,
        environment: Mapping[str, str],
        log: ProgramLog,
        *,
        unhealthy: str = _UNHEALTHY_ENDPOINT,
        in_background: bool = False,
    ) -> None:
        """Initialize a server; nothing runs before `start`.

        Args:
            root: The folder that takes the place of /opt/ml; it contains model/.
            repo: The folder that the program is imported from.
            environment: The program's own variables.
            log: Where the program's output goes.
            unhealthy: What the reason begins with if it does not start.
            in_background: Whether endpoints and everything else on this machine go before it.
        """
        self.root, self.repo, self.log = root, repo, log
        self._unhealthy, self._in_background = unhealthy, in_background
        self.port = free_port()
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._starting = threading.Lock()
        self._lease_released = threading.Condition()
        self._leases = 0
        self._pool = urllib3.HTTPConnectionPool(
            "127.0.0.1",
            self.port,
            maxsize=_MAX_CONNECTIONS,
            retries=False,
            timeout=urllib3.Timeout(connect=2, read=INVOCATION_TIMEOUT_S),
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )

    def start(self, timeout_s: float) -> None:
        """Start the program and wait until GET /ping answers 200.

        Raises:
            ServerError: If the program ends, or `timeout_s` passes, before that; or after `stop`.
        """
        address = {"LOUPE_BIND_HOST": "127.0.0.1", "SAGEMAKER_BIND_TO_PORT": str(self.port)}
        with self._starting:
            if self._stopped:
                raise ServerError("It was ended before it started.")
            process = programs.start(
                [PROGRAM], self.root, self.repo, self._environment | address, subprocess.PIPE
            )
            self._process = process
        if self._in_background:
            programs.put_behind(process)
        assert process.stdout is not None  # noqa: S101 - a pipe was requested
        self.log.follow(process.stdout)
        threading.Thread(
            target=self._send_log, args=(process,), daemon=True, name="loupe-endpoint-log"
        ).start()
        deadline = time.monotonic() + timeout_s
        while not self._ping():
            if process.poll() is not None:
                raise ServerError(self._reason(f"the program ended with status {process.returncode}"))
            if time.monotonic() > deadline:
                self.stop(drain_s=0)
                raise ServerError(self._reason(f"no answer within {timeout_s:.0f} seconds"))
            time.sleep(_PING_PAUSE_S)

    def wait(self) -> None:
        """Block until the program ends."""
        assert self._process is not None  # noqa: S101 - the caller has started it
        self._process.wait()

    def alive(self) -> bool:
        """Return whether the program runs."""
        return self._process is not None and self._process.poll() is None

    def lease(self) -> None:
        """Announce a request: `stop` waits until every lease is released."""
        with self._lease_released:
            self._leases += 1

    def release(self) -> None:
        """End a lease."""
        with self._lease_released:
            self._leases -= 1
            self._lease_released.notify_all()

    def execution_parameters(self) -> bytes | None:
        """Return the answer to GET /execution-parameters, which batch transform asks; None if there is none.

        https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
        """
        try:
            answer = self._pool.request("GET", "/execution-parameters")
        except urllib3.exceptions.HTTPError:
            return None
        return answer.data if answer.status == 200 else None

    def invoke(
        self,
        body: bytes,
        headers: Mapping[str, str],
        timeout_s: float = INVOCATION_TIMEOUT_S,
        *,
        chunked: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """Send POST /invocations.

        Args:
            body: The body.
            headers: The headers.
            timeout_s: How long the answer may take.
            chunked: Whether the body is sent in chunks, without its length.

        Raises:
            NoAnswerError: If the server ends, or takes longer.
        """
        timeout = urllib3.Timeout(connect=2, read=timeout_s)

        def send() -> urllib3.BaseHTTPResponse:
            return self._pool.request(
                "POST", "/invocations", body=body, headers=headers, timeout=timeout, chunked=chunked
            )

        try:
            try:
                return send()
            except urllib3.exceptions.ProtocolError as error:
                # A server may close an idle connection at the moment in which we reuse it: that is no failure.
                if not (self.alive() and isinstance(error.args[-1], RemoteDisconnected)):
                    raise
                return send()
        except urllib3.exceptions.TimeoutError as error:
            raise NoAnswerError(
                "Your invocation timed out while waiting for a response from container primary."
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswerError("Amazon SageMaker could not get a response from the endpoint.") from error

    def stop(self, drain_s: float = INVOCATION_TIMEOUT_S, grace_s: float = _END_GRACE_S) -> None:
        """Let the requests in progress finish, then end the program; it does not start any more.

        Args:
            drain_s: How long the requests may take.
            grace_s: Seconds between SIGTERM and SIGKILL.
        """
        with self._lease_released:
            self._lease_released.wait_for(lambda: self._leases == 0, timeout=drain_s)
        with self._starting:
            self._stopped = True
        if self._process is not None:
            programs.end(self._process, grace_s)
        self._pool.close()

    def _send_log(self, process: "subprocess.Popen[bytes]") -> None:
        while process.poll() is None:
            time.sleep(_LOG_PAUSE_S)
            self.log.send()
        self.log.finish()

    def _ping(self) -> bool:
        try:
            return self._pool.request("GET", "/ping", timeout=_PING_TIMEOUT_S).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def _reason(self, problem: str) -> str:
        self.log.finish()
        tail = "".join(deque(self.log.file.open(errors="replace"), maxlen=_LOG_LINES_IN_REASON)).strip()
        reason = f"{self._unhealthy}: {problem}. The end of its log ({self.log.file}):\n"
        # The last line is the cause.
        return reason + tail[-max(1, _MAX_REASON_LENGTH - len(reason)) :]
