"""How the endpoint refuses: a status for machines, a stable code, a message for people."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping


class RefusedError(Exception):
    """A request that gets no answer.

    status: 4xx where the request or its image is at fault and sending it again will not help; 503 where it
    may succeed later; 500 where the model failed.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def headers(self) -> Mapping[str, str]:
        """A 503 says when to come back."""
        return {"Retry-After": "1"} if self.status == 503 else {}


def internal(error: Exception) -> RefusedError:
    """What is told of an error of ours. The log gets the places it came through, and its type.

    Not its text: a library may have put bytes of the image into it.
    """
    where = "".join(traceback.format_tb(error.__traceback__))
    sys.stderr.write(f"{where}{type(error).__name__}\n")
    return RefusedError(500, "internal_error", "the endpoint failed; its log says how")
