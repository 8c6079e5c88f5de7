"""Decides which requests the site answers: those of its own page, and of programs on this machine."""

from collections.abc import Mapping

_READS = ("GET", "HEAD", "OPTIONS")


def refusal(method: str, headers: Mapping[str, str], port: int) -> str | None:
    """Return why a request is refused, or None if it is accepted.

    A browser cannot be made to send a false Host (a name that an attacker's DNS points to 127.0.0.1), nor to omit
    Origin from another page's POST.

    Args:
        method: The HTTP method.
        headers: The headers, with names in lower case.
        port: The port of the site.

    >>> refusal("GET", {"host": "127.0.0.1:4567"}, 4567)
    >>> refusal("GET", {"host": "evil.example:4567"}, 4567)
    'The Host header does not name this dashboard.'
    >>> refusal("POST", {"host": "localhost:4567", "origin": "http://evil.example"}, 4567)
    'Other web pages may not change anything here.'
    """
    host = headers.get("host")
    if host not in (f"127.0.0.1:{port}", f"localhost:{port}"):
        return "The Host header does not name this dashboard."
    foreign = headers.get("origin", f"http://{host}") != f"http://{host}"
    across = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    if method not in _READS and (foreign or across):
        return "Other web pages may not change anything here."
    return None
