"""Ports on the loopback interface."""

import errno
import random
import socket

from localcloud.errors import InvalidPortError, PortInUseError, StartError

# Below the ephemeral range (32768 and up on Linux): a client that polls a port in that range until a server
# listens may be given the same port as its own source port, and then connects to itself.
_LOWEST, _HIGHEST = 20000, 32000


def check(port: int) -> None:
    """Check a port that the user has chosen.

    Raises:
        InvalidPortError: If there is no such port, or it belongs to the system.
    """
    if not 1 <= port <= 65535:
        raise InvalidPortError(port, "does not exist")
    if port < 1024:
        raise InvalidPortError(port, "is reserved for services of the system")


def bind(port: int) -> socket.socket:
    """Return a socket that listens on 127.0.0.1:`port`.

    Raises:
        PortInUseError: If the port is in use.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
        # Linux lets two sockets with SO_REUSEADDR bind the same port until one of them listens.
        bound.listen()
    except OSError as error:
        bound.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortInUseError(port) from error
        raise
    return bound


def bind_free(preferred: int | None = None) -> socket.socket:
    """Return a socket that listens on `preferred` if that port is free, otherwise on any free port.

    Raises:
        StartError: If no port is free.
    """
    candidates = random.sample(range(_LOWEST, _HIGHEST), 50)
    for port in [preferred, *candidates] if preferred else candidates:
        try:
            return bind(port)
        except PortInUseError:
            continue
    raise StartError(f"No free port between {_LOWEST} and {_HIGHEST} on 127.0.0.1.")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with bind_free() as bound:
        return int(bound.getsockname()[1])
