"""AWS's answers in tests: each operation is answered by a function of its request, without a socket.

botocore validates and serialises every request as it does for AWS; only the answers are the tests' own.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from loupe.stack.target import Target


class RefusedError(Exception):
    """Raised by an answering function: the service answers with this error."""

    def __init__(self, code: str, message: str = "refused", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@contextmanager
def answering(target: Target, service: str, **operations: Callable[[dict[str, Any]], Any]) -> Iterator[None]:
    """Answer these operations of `target.<service>`; other operations are not affected."""
    client = getattr(target, service)
    prefix = client.meta.service_model.service_id.hyphenize()

    def handler(model: Any, params: dict[str, Any], **_: Any) -> Any:
        answer = operations[model.name]
        try:
            # A GET has no body, and the older protocols have a form.
            body = params["body"] or "{}"
            return SimpleNamespace(status_code=200), answer(
                body if isinstance(body, dict) else json.loads(body)
            )
        except RefusedError as refusal:
            error = {"Code": refusal.code, "Message": refusal.message}
            metadata = {"HTTPStatusCode": refusal.status}
            return SimpleNamespace(status_code=refusal.status), {"Error": error, "ResponseMetadata": metadata}

    events = [f"before-call.{prefix}.{name}" for name in operations]
    for event in events:
        client.meta.events.register_first(event, handler)
    try:
        yield
    finally:
        for event in events:
            client.meta.events.unregister(event, handler)
