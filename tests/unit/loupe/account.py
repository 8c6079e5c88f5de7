"""An account's edge for tests: each AWS operation answered by a function of its request, without a socket.

botocore checks and shapes every request as it does for AWS; only the answers are made here.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from loupe.stack.target import Target


class RefusedError(Exception):
    """An error of the service."""

    def __init__(self, code: str, message: str = "refused", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@contextmanager
def answering(target: Target, service: str, **operations: Callable[[dict[str, Any]], Any]) -> Iterator[None]:
    """Answers these operations of `target.<service>`; any other goes where it went before."""
    client = getattr(target, service)
    prefix = client.meta.service_model.service_id.hyphenize()

    def handler(model: Any, params: dict[str, Any], **_: Any) -> Any:
        answer = operations[model.name]
        try:
            return SimpleNamespace(status_code=200), answer(json.loads(params["body"]))
        except RefusedError as refusal:
            error = {"Code": refusal.code, "Message": refusal.message}
            meta = {"HTTPStatusCode": refusal.status}
            return SimpleNamespace(status_code=refusal.status), {"Error": error, "ResponseMetadata": meta}

    events = [f"before-call.{prefix}.{name}" for name in operations]
    for event in events:
        client.meta.events.register_first(event, handler)
    try:
        yield
    finally:
        for event in events:
            client.meta.events.unregister(event, handler)
