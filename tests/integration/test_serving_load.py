"""The client that measures serving: it keeps its connection, so that one request does not pay for another."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.serve_load import Connection


@pytest.fixture
def server():
    """A server that returns each request's body; /last closes the connection after each answer."""
    clients = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            super().setup()
            clients.append(self.client_address)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(422 if body == b"bad" else 200)
            self.send_header("Content-Length", str(len(body)))
            if self.path == "/last":
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever).start()
        yield f"127.0.0.1:{running.server_port}", clients
        running.shutdown()


@pytest.mark.parametrize(("path", "connections"), [("/kept", 1), ("/last", 3)])
def test_a_connection_is_kept_unless_the_server_ends_it(server, path, connections):
    address, clients = server
    client = Connection(address, path)
    images = [b"x" * 200_000, b"bad", b""]
    assert [client.post(image) for image in images] == [(200, images[0]), (422, b"bad"), (200, b"")]
    client.close()
    assert len(clients) == connections


def test_a_server_that_closes_the_connection_is_an_error():
    with ThreadingHTTPServer(("127.0.0.1", 0), lambda *_: None) as silent:
        threading.Thread(target=silent.serve_forever).start()
        client = Connection(f"127.0.0.1:{silent.server_port}", "/")
        with pytest.raises(ConnectionError):
            client.post(b"x")
        client.close()
        silent.shutdown()
