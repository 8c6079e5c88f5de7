"""For the programs that the tests run: nothing but this machine is reached, and whoever tries is written down.

An audit hook sees every look-up of a name and every connection of Python's socket module, in every thread, also those
whose errors a library swallows: https://docs.python.org/3/library/audit_events.html
"""

import ipaddress
import os
import socket
import sys

_FILE = os.environ["LOUPE_TEST_CONNECTIONS"]
_EVENTS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto", "socket.sendmsg")


def _is_this_machine(host: object) -> bool:
    # A socket file has a path, and a program that binds to every interface names none.
    if host in (None, "", b"", "localhost", b"localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event not in _EVENTS:
        return
    host = arguments[0]
    if event not in ("socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments[1]
        if not isinstance(address, tuple):
            return
        host = address[0]
    if _is_this_machine(host):
        return
    # One write of a short line: of several processes, none mixes with another.
    with open(_FILE, "a", encoding="utf-8") as file:
        file.write(f"{event} {host!s}\n")
    raise OSError(f"the test reaches {host!s}, which is not this machine")


sys.addaudithook(_watch)
