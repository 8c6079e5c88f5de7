"""Clients that send requests as fast as an endpoint answers: `python -m benchmarks.serve_load --url U --connections N`.

It is a separate process, so that it shares no interpreter with what it measures. Unlike a real client it uses the
server's cores, so it does no more than HTTP needs: a request is one `send` of prepared bytes, and httptools, which is
written in C, parses the response. (http.client took 0.4 ms of CPU for each request where this takes 0.15, and it sends
head and body separately, which woke the server twice; botocore sends them together, too.) Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import httptools

from benchmarks.serve_images import large, mixed, steel


class Connection:
    """Posts images to one address over one connection, which is opened again when it is lost."""

    def __init__(self, address: str, path: str) -> None:
        host, _, port = address.partition(":")
        self._peer = (host, int(port))
        head = f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: image/jpeg\r\nContent-Length: "
        self._head = head.encode()
        self._socket: socket.socket | None = None
        self._clear()

    def _clear(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body, self._complete, self._kept = b"", False, False

    def post(self, image: bytes) -> tuple[int, bytes]:
        """Send an image, and return the status and the body of the response.

        Raises:
            OSError: The connection was lost.
            httptools.HttpParserError: The response is not HTTP.
        """
        if self._socket is None:
            self._socket = socket.create_connection(self._peer, timeout=60)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(b"%b%d\r\n\r\n%b" % (self._head, len(image), image))
        self._clear()
        while not self._complete:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("the server closed the connection without a response")
            self._parser.feed_data(data)
        if not self._kept:
            self.close()
        return self._parser.get_status_code(), self._body

    def on_body(self, data: bytes) -> None:
        """Receive a part of the body from the parser."""
        self._body += data

    def on_message_complete(self) -> None:
        """Note the end of the response; the parser forgets later whether the connection is kept open."""
        self._complete, self._kept = True, self._parser.should_keep_alive()

    def close(self) -> None:
        """Close the connection; the next `post` opens another."""
        if self._socket:
            self._socket.close()
            self._socket = None


class Load:
    """Closed loops: each connection sends its next image when the previous one is answered.

    Attributes:
        times: The seconds of each request.
        statuses: The number of responses with each status, and of lost connections by error.
        wrong: The responses that were not as expected.
    """

    def __init__(self, url: str, path: str, seconds: float, mix: bool) -> None:
        self._address, self._path = urlsplit(url).netloc, path
        self._images = mixed() if mix else [(image, 200, "") for image in steel()]
        self._until = time.perf_counter() + seconds
        self.times: list[float] = []
        self.statuses: dict[str, int] = {}
        self.wrong: list[str] = []

    def run(self, connections: int) -> None:
        """Send on all connections in parallel until the time is up."""
        threads = [threading.Thread(target=self._loop, args=(number,)) for number in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def large(self, count: int) -> int:
        """Send large images, one after the other, and return the number of tiles in each."""
        connection = Connection(self._address, self._path)
        document: dict[str, Any] = {}
        for _ in range(count):
            began = time.perf_counter()
            document = json.loads(connection.post(large())[1])
            self.times.append(time.perf_counter() - began)
        connection.close()
        return int(document["tiles"])

    def _loop(self, number: int) -> None:
        connection = Connection(self._address, self._path)
        while time.perf_counter() < self._until:
            image, expected, code = self._images[number % len(self._images)]
            # So that the connections do not send the same images in the same order.
            number += 7
            began = time.perf_counter()
            try:
                status, text = connection.post(image)
            except (OSError, httptools.HttpParserError) as error:
                self.statuses[type(error).__name__] = self.statuses.get(type(error).__name__, 0) + 1
                connection.close()
                continue
            self.times.append(time.perf_counter() - began)
            self.statuses[str(status)] = self.statuses.get(str(status), 0) + 1
            # Loupe answers 429 when it is full, others 503.
            if status in (429, 503):
                time.sleep(0.05)
            elif status != expected or (code and json.loads(text)["error"]["code"] != code):
                self.wrong.append(f"{status} {text[:100]!r} instead of {expected} {code}")
        connection.close()


def main() -> None:
    """Send the load and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--path", default="/invocations")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--mix", action="store_true", help="send good, bad and huge images")
    parser.add_argument("--large", type=int, default=0, help="first send so many images with 24 megapixels")
    options = parser.parse_args()
    load = Load(options.url, options.path, options.seconds, options.mix)
    began, used = time.perf_counter(), time.process_time()
    tiles = load.large(options.large) if options.large else 0
    load.run(options.connections)
    seconds = time.perf_counter() - began
    count = max(1, len(load.times))
    times = sorted(load.times) or [0.0]
    result: dict[str, Any] = {
        "answers": len(load.times),
        "images_per_s": round(len(load.times) / seconds, 1),
        "p50_ms": round(times[len(times) // 2] * 1000, 2),
        "p99_ms": round(times[len(times) * 99 // 100] * 1000, 2),
        "client_cpu_ms": round((time.process_time() - used) * 1000 / count, 2),
        "tiles": tiles,
        "statuses": load.statuses,
        "wrong": len(load.wrong),
        "first_wrong": load.wrong[:3],
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
