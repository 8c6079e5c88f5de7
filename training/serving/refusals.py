"""How the endpoint refuses a request: a status and a stable code for programs, a message for people."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping

# The statuses of requests that may succeed later.
LATER = (408, 429, 503)
# The statuses of images that are themselves at fault: too large, or not readable.
OF_THE_IMAGE = (413, 422)


class RefusedError(Exception):
    """A request that gets an error instead of an answer.

    Attributes:
        status: 429 if all places are taken, 408 if the body comes too slowly, 503 if something else is not ready or
            was lost: these may succeed later. Another 4xx if the request or its image is at fault, so that sending it
            again does not help; 500 if the model or this program failed. CloudWatch counts a 5xx as an error of the
            model, a backlog's 429 not.
        code: Stable, for programs; docs/serving.md lists them.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers. What may succeed later tells the client when to try again."""
        if self.status == 408:
            # The rest of the body may never come: https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9
            return {"Retry-After": "1", "Connection": "close"}
        if self.status in LATER:
            return {"Retry-After": "1"}
        # https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3: which encodings of a body are known.
        return {"Accept-Encoding": "gzip, deflate"} if self.code == "unsupported_encoding" else {}


def internal_error(error: Exception) -> RefusedError:
    """Log an error of this program, and return what the client is told about it.

    The log gets the stack trace and the error's type, but not its message: a library may have put bytes of the image
    into it.
    """
    trace = "".join(traceback.format_tb(error.__traceback__))
    sys.stderr.write(f"{trace}{type(error).__name__}\n")
    return RefusedError(500, "internal_error", "the endpoint failed; its log says how")
