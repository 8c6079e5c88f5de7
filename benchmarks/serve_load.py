"""A client that asks an endpoint as fast as it answers: `python -m benchmarks.serve_load --url U --connections N`.

A process of its own, so that it shares no interpreter with what it measures. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from benchmarks.serve_images import large, mixed, steel

_HEADERS = {"Content-Type": "image/jpeg"}


class Load:
    """Closed loops: each connection sends its next image when it has the answer to its last."""

    def __init__(self, url: str, path: str, seconds: float, mix: bool) -> None:
        self._address, self._path = urlsplit(url).netloc, path
        self._images = mixed() if mix else [(image, 200, "") for image in steel()]
        self._until = time.perf_counter() + seconds
        self.taken: list[float] = []
        self.statuses: dict[str, int] = {}
        self.wrong: list[str] = []

    def run(self, connections: int) -> None:
        """All connections at once, until the time is up."""
        threads = [threading.Thread(target=self._loop, args=(number,)) for number in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def large(self, count: int) -> int:
        """Large pictures, one after the other; the tiles that each was judged by."""
        connection = http.client.HTTPConnection(self._address, timeout=60)
        document: dict[str, Any] = {}
        for _ in range(count):
            began = time.perf_counter()
            connection.request("POST", self._path, large(), _HEADERS)
            document = json.loads(connection.getresponse().read())
            self.taken.append(time.perf_counter() - began)
        connection.close()
        return int(document["tiles"])

    def _loop(self, number: int) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        while time.perf_counter() < self._until:
            image, status, code = self._images[number % len(self._images)]
            number += 7  # a connection's images are not its neighbour's
            began = time.perf_counter()
            try:
                connection.request("POST", self._path, image, _HEADERS)
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.statuses[type(error).__name__] = self.statuses.get(type(error).__name__, 0) + 1
                connection.close()
                continue
            self.taken.append(time.perf_counter() - began)
            self.statuses[str(answer.status)] = self.statuses.get(str(answer.status), 0) + 1
            if answer.status == 503:
                time.sleep(0.05)
            elif answer.status != status or (code and json.loads(text)["error"]["code"] != code):
                self.wrong.append(f"{answer.status} {text[:100]!r} instead of {status} {code}")
        connection.close()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--path", default="/invocations")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--mix", action="store_true", help="good, bad and huge images")
    parser.add_argument("--large", type=int, default=0, help="so many pictures of 24 megapixels instead")
    options = parser.parse_args()
    load = Load(options.url, options.path, options.seconds, options.mix)
    began, used = time.perf_counter(), time.process_time()
    tiles = load.large(options.large) if options.large else 0
    load.run(options.connections)
    seconds = time.perf_counter() - began
    count = max(1, len(load.taken))
    taken = sorted(load.taken) or [0.0]
    result: dict[str, Any] = {
        "answers": len(load.taken),
        "images_per_s": round(len(load.taken) / seconds, 1),
        "p50_ms": round(taken[len(taken) // 2] * 1000, 2),
        "p99_ms": round(taken[len(taken) * 99 // 100] * 1000, 2),
        "client_cpu_ms": round((time.process_time() - used) * 1000 / count, 2),
        "tiles": tiles,
        "statuses": load.statuses,
        "wrong": len(load.wrong),
        "first_wrong": load.wrong[:3],
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
