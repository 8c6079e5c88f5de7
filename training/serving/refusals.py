"""How the endpoint refuses a request: a status and a stable code for programs, a message for people."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping


class RefusedError(Exception):
    """A request that gets an error instead of an answer.

    Attributes:
        status: 4xx if the request or its image is at fault, so that sending it again does not help; 503 if it may
            succeed later; 500 if the model or this program failed.
        code: Stable, for programs; docs/serving.md lists them.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers. A 503 tells the client when to try again."""
        return {"Retry-After": "1"} if self.status == 503 else {}


def internal_error(error: Exception) -> RefusedError:
    """Log an error of this program, and return what the client is told about it.

    The log gets the stack trace and the error's type, but not its message: a library may have put bytes of the image
    into it.
    """
    trace = "".join(traceback.format_tb(error.__traceback__))
    sys.stderr.write(f"{trace}{type(error).__name__}\n")
    return RefusedError(500, "internal_error", "the endpoint failed; its log says how")
