"""HTTP/1.1 that ignores an offer to change the protocol.

Java's HttpClient and `curl --http2` send `Upgrade: h2c` with their first request. A server that does not know the new
protocol ignores the offer: https://www.rfc-editor.org/rfc/rfc9110#section-7.8. httptools, however, stops at the end of
such a request's headers, and takes its body for bytes of the new protocol, so that an image would arrive empty.
"""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# What belongs to the offer and to nothing else: https://www.rfc-editor.org/rfc/rfc7540#section-3.2.1
_OFFER = (b"upgrade", b"http2-settings")


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which reads a request that offers another protocol again, without the offer."""

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                head = self._head_without_the_offer()
                data = head + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
            else:
                return

    def _head_without_the_offer(self) -> bytes:
        """Return the request's line and headers, which the parser has accepted, except the offer."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b\r\n" % (method, self.url, version)]
        for name, value in self.headers:
            if name.lower() == b"connection":
                value = _without_upgrade(value)
            if name.lower() not in _OFFER:
                lines.append(b"%b: %b\r\n" % (name, value))
        return b"".join([*lines, b"\r\n"])

    def on_headers_complete(self) -> None:
        """Start the request, unless it is read again."""
        if self.parser.get_method() == b"CONNECT":
            # It would change the protocol by its method.
            raise httptools.HttpParserInvalidMethodError("this server is no proxy")
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the request's body, unless the request is read again."""
        if not self.parser.should_upgrade():
            super().on_message_complete()


def _without_upgrade(connection: bytes) -> bytes:
    tokens = [token.strip() for token in connection.split(b",")]
    return b", ".join(token for token in tokens if token.lower() not in _OFFER)
