"""One client of an endpoint beside bare inference, in turns: a core's speed changes from second to second."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from benchmarks import serve_images
from benchmarks.serve_load import Connection
from training.model.models import decode_for, look
from training.serving.session import load_served

_Result = TypeVar("_Result")
_IMAGES_A_TURN = 50
# What our endpoint says of its own time, apart from the total.
_STAGES = ("receive", "queue", "decode", "inference")


def compare_one_client(url: str, folder: Path, seconds: float) -> dict[str, Any]:
    """Send images one after the other to a server, and do the same without it.

    Args:
        url: The server's.
        folder: The model's, for bare inference with one thread.
        seconds: How long the server is measured.

    Returns:
        p50 and p99 of the server and the p50 of bare inference in milliseconds, the median over the turns of the
        difference between both p50, the median of each stage if the server tells its own, and the answers other than
        200.
    """
    models, connection = load_served(folder, 1), Connection(urlsplit(url).netloc, "/invocations")

    def bare(image: bytes) -> None:
        look(models, decode_for(models, image))

    _turn(bare)
    _turn(connection.post)
    bare_times: list[float] = []
    times: list[float] = []
    answers: list[tuple[int, bytes]] = []
    differences = []
    while sum(times) < seconds * 1000:
        (bare_turn, _), (turn, answered) = _turn(bare), _turn(connection.post)
        differences.append(statistics.median(turn) - statistics.median(bare_turn))
        bare_times += bare_turn
        times += turn
        answers += answered
    connection.close()
    return {
        "bare_p50_ms": round(statistics.median(bare_times), 2),
        "p50_ms": round(statistics.median(times), 2),
        "p99_ms": round(sorted(times)[len(times) * 99 // 100], 2),
        "p50_over_bare_ms": round(statistics.median(differences), 2),
        **_stages([body for status, body in answers if status == 200]),
        "not_200": Counter(str(status) for status, _ in answers if status != 200),
    }


def _turn(judge: Callable[[bytes], _Result]) -> tuple[list[float], list[_Result]]:
    """Judge some images, and return the milliseconds and the result of each."""
    times, results = [], []
    for image in serve_images.steel()[:_IMAGES_A_TURN]:
        began = time.perf_counter()
        results.append(judge(image))
        times.append((time.perf_counter() - began) * 1000)
    return times, results


def _stages(bodies: list[bytes]) -> dict[str, float]:
    timings = [json.loads(body).get("timings_ms") for body in bodies]
    return {
        f"{stage}_ms": round(statistics.median(timing[stage] for timing in timings), 2)
        for stage in _STAGES
        if timings and all(timings)
    }
