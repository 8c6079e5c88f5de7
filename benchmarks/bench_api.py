"""The speed of the dashboard's API with 100,000 inspections: `loupe bench api [--records 100000] [--json]`.

`loupe up` runs the local cloud in another process. Its tables are filled with the inspections of a month. Then this
process asks as a page does: through the dashboard's own address, signed in, one request after another. At the end it
uploads images, and measures the time from a record until the feed shows it.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
from PIL import Image

from benchmarks.filling import RARE, fill
from benchmarks.local_cloud import local_cloud
from benchmarks.output import machine, say, show
from contract.keys import incoming
from localcloud.home import administrator
from loupe.stack.target import Target

_WARM_UP = 3
_PATIENCE_S = 60


@dataclass
class Page:
    """A signed-in page.

    Attributes:
        origin: The dashboard's address.
        token: The access token.
        http: Keeps the connection open, as a browser does.
    """

    origin: str
    token: str
    http: urllib3.PoolManager

    @classmethod
    def enter(cls, target: Target, home: Path) -> Page:
        """Sign in as the local cloud's administrator."""
        origin, http = target.output("DashboardUrl"), urllib3.PoolManager()
        credentials = {"username": administrator.USER, "password": administrator.password(home)}
        reply = http.request("POST", f"{origin}/api/session", json=credentials)
        return cls(origin, reply.json()["token"], http)

    def get(self, path: str, query: dict[str, Any] | None = None) -> tuple[float, Any]:
        """Return the milliseconds of a request, and the answer's document."""
        began = time.perf_counter()
        reply = self.http.request(
            "GET",
            f"{self.origin}/api{path}?{urlencode(query or {})}",
            headers={"Authorization": f"Bearer {self.token}"},
        )
        body = reply.data
        taken = (time.perf_counter() - began) * 1000
        if reply.status != 200:
            raise SystemExit(f"{path} {query}: {reply.status} {body[:500]!r}")
        return taken, json.loads(body)


def _figures(milliseconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(milliseconds, n=20, method="inclusive")
    return {"count": len(milliseconds), "p50_ms": round(cuts[9]), "p95_ms": round(cuts[18])}


def _requests(page: Page, made: list[dict[str, Any]], rounds: int) -> dict[str, Any]:
    """Return the figures of each kind of request."""
    _, feed = page.get("/changes", {"limit": 50})
    part = made[len(made) // 3]
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "the newest 50 of all lines": ("/inspections", {"limit": 50}),
        "the newest 50 failed of a line, in 30 days": (
            "/inspections",
            {"limit": 50, "line": "line-2", "verdict": "fail", "since": "30d"},
        ),
        "50 with a rare defect, in 30 days": ("/inspections", {"limit": 50, "defect": RARE, "since": "30d"}),
        "50 of a station and a model, in 30 days": (
            "/inspections",
            {"limit": 50, "line": "line-3", "station": "station-2", "model": "7", "since": "30d"},
        ),
        "nothing found, in 30 days": (
            "/inspections",
            {"limit": 50, "line": "line-1", "defect": "no such defect", "since": "30d"},
        ),
        "a part by its serial": (f"/serials/{part['serial']}", {}),
        "one inspection": (f"/inspections/{part['id']}", {}),
        "statistics of 30 days": ("/statistics", {"since": "30d", "by": "day"}),
        "statistics of 14 days by the hour": ("/statistics", {"since": "14d", "by": "hour"}),
        "the feed, nothing new": ("/changes", {"after": feed["next"]}),
        "the newest 50 of the feed": ("/changes", {"limit": 50}),
    }
    result: dict[str, Any] = {}
    for name, (path, query) in asked.items():
        for _ in range(_WARM_UP):
            page.get(path, query)
        taken = [page.get(path, query) for _ in range(rounds)]
        result[name] = _figures([milliseconds for milliseconds, _ in taken])
        result[name]["items"] = len(taken[0][1].get("items", taken[0][1].get("buckets", [])))
        say(f"  {name}: {result[name]}")
    return result


def _until_in_the_feed(page: Page, target: Target, count: int) -> dict[str, Any]:
    """Return the milliseconds from the time of a record until an answer of the feed contains it.

    The feed is asked ten times a second, so that the figures are those of the system and not of a page's pause.
    """
    bucket, delays = target.output("ImagesBucketName"), []
    for number in range(count + 1):
        picture = io.BytesIO()
        Image.effect_noise((200, 200), 40 + number).save(picture, "JPEG")
        _, feed = page.get("/changes", {"limit": 1})
        key = incoming("line-1", "station-1", f"live-{number}.jpg")
        target.s3.put_object(Bucket=bucket, Key=key, Body=picture.getvalue())
        delays.append(_wait_for(page, f"live-{number}", feed["next"]))
    # The first image waits for the processes of the functions.
    return _figures(delays[1:])


def _wait_for(page: Page, serial: str, cursor: str) -> float:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        _, feed = page.get("/changes", {"after": cursor})
        cursor = feed["next"]
        for item in feed["items"]:
            if item["serial"] == serial:
                return (time.time() - datetime.fromisoformat(item["inspected_at"]).timestamp()) * 1000
        time.sleep(0.1)
    raise SystemExit(f"{serial} did not appear in the feed")


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(prog="loupe bench api", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40, help="requests of each kind")
    parser.add_argument("--images", type=int, default=20, help="images that are followed into the feed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), "records": options.records}
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as folder:
        home = Path(folder) / "home"
        say("starting the local cloud with the null model ...")
        with local_cloud(home) as process:
            target = Target.local(home)
            began = time.monotonic()
            made = fill(target, options.records)
            say(f"{options.records} records written in {time.monotonic() - began:.0f} s; asking ...")
            page = Page.enter(target, home)
            result["requests"] = _requests(page, made, options.rounds)
            say("from a record to the feed ...")
            result["record_to_feed"] = _until_in_the_feed(page, target, options.images)
            result["cloud_mib"] = round(process.memory_info().rss / (1 << 20))
    show(result, options.json)


if __name__ == "__main__":
    main()
