"""The stop of the local cloud, as every thread in this process sees it.

Threads cannot be ended from outside. So whatever waits in this process waits for `stopping` too, and raises
`CloudStoppedError` once it is set: the work is then neither done nor failed, and the next start begins it again.
"""

import threading

# Set once, when the cloud of this process begins to stop.
stopping = threading.Event()


class CloudStoppedError(BaseException):
    """The cloud stops before the work is done. No `except Exception` may record it as the work's failure."""


def check() -> None:
    """Raise CloudStoppedError if the cloud stops."""
    if stopping.is_set():
        raise CloudStoppedError


def pause(seconds: float) -> None:
    """Sleep, but raise CloudStoppedError as soon as the cloud stops."""
    if stopping.wait(max(0.0, seconds)):
        raise CloudStoppedError
