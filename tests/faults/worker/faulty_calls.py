"""Faults in the calls of botocore's clients, by the orders in a file. See tests/faults/__init__.py."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_THROTTLED = {"dynamodb": "ProvisionedThroughputExceededException", "s3": "SlowDown", "sns": "Throttling"}
_CREATE_CLIENT = botocore.session.Session.create_client


def install(folder: str) -> None:
    """Let every client that is made from now on follow the orders in this folder."""
    orders = _Orders(Path(folder))

    def create_client(session: Any, service: str, *arguments: Any, **options: Any) -> Any:
        client = _CREATE_CLIENT(session, service, *arguments, **options)

        def before_send(request: Any, event_name: str, **_: Any) -> AWSResponse | None:
            return _happen(orders, client, service, event_name.rpartition(".")[2], request)

        client.meta.events.register_first("before-send", before_send)
        return client

    botocore.session.Session.create_client = create_client  # type: ignore[method-assign]


class _Orders:
    """The orders, read again when the file has been replaced."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, folder / "orders.json"
        self._function = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "").lower()
        self._state: tuple[int, int] | None = None
        self._seed = 0
        self._faults: list[dict[str, Any]] = []

    def due(self, service: str, operation: str) -> dict[str, Any] | None:
        """Return the fault of this call; None if it passes."""
        status = self._file.stat()
        if (state := (status.st_ino, status.st_mtime_ns)) != self._state:
            orders = json.loads(self._file.read_text())
            self._seed, self._faults, self._state = orders["seed"], orders["faults"], state
        for fault in self._faults:
            fits = fault["service"] in ("*", service) and fault["operation"] in ("*", operation)
            if fits and fault["function"] in self._function and self._meets(fault):
                return fault
        return None

    def _meets(self, fault: dict[str, Any]) -> bool:
        number = self._count(f"{fault['name']}.calls")
        draw = hashlib.blake2b(f"{self._seed}:{fault['name']}:{number}".encode(), digest_size=8).digest()
        if int.from_bytes(draw, "big") >= fault["share"] * 2**64:
            return False
        if fault["first"] is not None and self._count(f"{fault['name']}.chosen") > fault["first"]:
            return False
        self._count(f"{fault['name']}.injected")
        return True

    def _count(self, name: str) -> int:
        """Count one more over all processes, and return how many they are: the file has one byte for each."""
        file = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, b".")
            # After its own write at the end of the file, this descriptor stands there.
            return os.lseek(file, 0, os.SEEK_CUR)
        finally:
            os.close(file)


def _happen(orders: _Orders, client: Any, service: str, operation: str, request: Any) -> AWSResponse | None:
    """Do to one call what the orders say. None: it is sent as usual."""
    fault = orders.due(service, operation)
    if fault is None:
        return None
    what, after = fault["what"].removesuffix(" after"), fault["what"].endswith(" after")
    if after:
        client._endpoint.http_session.send(request)
    if what == "exit":
        os._exit(1)
    if what == "reset":
        raise ConnectionClosedError(endpoint_url=request.url)
    if what == "time-out":
        raise ReadTimeoutError(endpoint_url=request.url)
    if what == "slow":
        time.sleep(fault["seconds"])
        return None
    if what == "answer":
        return _response(request.url, 200, fault["body"].encode(), {"Content-Type": "application/json"})
    status, code = {
        "throttle": (503 if service == "s3" else 400, _THROTTLED.get(service, "ThrottlingException")),
        "error": (500, "InternalError"),
        "unavailable": (503, "ServiceUnavailable"),
    }[what]
    return _error(client, request.url, status, code)


def _error(client: Any, url: str, status: int, code: str) -> AWSResponse:
    """Return an error in the form of the service's protocol."""
    message = "injected by a test"
    protocol = client.meta.service_model.resolved_protocol
    if protocol in ("rest-xml", "query"):
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        body = error if protocol == "rest-xml" else f"<ErrorResponse>{error}</ErrorResponse>"
        return _response(url, status, body.encode(), {"Content-Type": "text/xml"})
    body = json.dumps({"__type": code, "message": message})
    return _response(
        url, status, body.encode(), {"Content-Type": "application/json", "x-amzn-errortype": code}
    )


class _Raw(io.BytesIO):
    """What botocore reads an answer from."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


def _response(url: str, status: int, body: bytes, headers: dict[str, str]) -> AWSResponse:
    return AWSResponse(url, status, headers | {"Content-Length": str(len(body))}, _Raw(body))
