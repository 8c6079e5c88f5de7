"""What the endpoint costs above its model: `loupe bench serve [--model PATH] [--peers] [--soak MINUTES] [--json]`.

Bare is one process that does nothing but decode and `InferenceSession.run`, with the threads and the batch
size that are best on this machine. The endpoint, and each peer, is a process of its own that does the same with
the same functions behind HTTP; its clients are a further process on the same cores, whose CPU time is told and
is part of what a server is measured with. Rounds alternate, so that a busy machine is busy for all.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnxruntime
import psutil

from benchmarks import serve_images
from benchmarks.output import machine, say, show
from benchmarks.serve_servers import PEERS, ROOT, endpoint, load, peak_mib, peer, resident_mib
from training.job.container import cores
from training.model import tiling
from training.model.artefact import unpack
from training.model.pixels import decode
from training.retile import retile
from training.serving.session import ServedModel

STARTER = ROOT / "models/starter/model.tar.gz"


def bare(folder: Path, seconds: float) -> dict[str, Any]:
    """Images per second of the best way of threads and batch, and p50 in milliseconds of one at a time."""
    best: dict[str, Any] = {"images_per_s": 0.0}
    for threads, batch in [(cores(), 1), (1, 1), (1, 4), (1, 8)]:
        model = ServedModel(folder, max(1, cores() // threads))
        if batch == 1 or model.any_batch:
            with ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(cores()) as decoders:
                _until(model, time.perf_counter() + 0.3, batch, decoders)
                began = time.perf_counter()
                work = [pool.submit(_until, model, began + seconds, batch, decoders) for _ in range(threads)]
                done = sum(each.result() for each in work)
                rate = round(done / (time.perf_counter() - began), 1)
            if rate > best["images_per_s"]:
                best = {"images_per_s": rate, "threads": threads, "batch": batch}
    return best | {"p50_ms": _one_at_a_time(ServedModel(folder, 1), seconds)}


def _until(model: ServedModel, until: float, batch: int, decoders: ThreadPoolExecutor) -> int:
    images, size, done = serve_images.steel(), model.card.input_size, 0
    while time.perf_counter() < until:
        some = [images[(done + number) % len(images)] for number in range(batch)]
        pictures = [decode(some[0], size)] if batch == 1 else list(decoders.map(decode, some, [size] * batch))
        model.detect([picture.pixels for picture in pictures])
        done += batch
    return done


def _one_at_a_time(model: ServedModel, seconds: float) -> float:
    images, taken = serve_images.steel(), [0.0]
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        model.detect([decode(images[len(taken) % len(images)], model.card.input_size).pixels])
        taken.append(time.perf_counter() - began)
    return round(statistics.median(taken) * 1000, 2)


def apart(folder: Path, seconds: float) -> dict[str, Any]:
    """`bare` in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(bare, folder, seconds).result()


def against(url: str, seconds: float) -> dict[str, Any]:
    """One server: throughput at the better of two numbers of connections, and p50 of one client."""
    load(url, 0.5, 2)
    runs = [load(url, seconds, connections) for connections in (2 * cores(), 8 * cores())]
    many = max(runs, key=lambda each: float(each["images_per_s"]))
    one = load(url, seconds, 1)
    wrong = {status: n for each in (many, one) for status, n in each["statuses"].items() if status != "200"}
    return {
        "images_per_s": many["images_per_s"],
        "client_cpu_ms": many["client_cpu_ms"],
        "p50_ms": one["p50_ms"],
        "p99_ms": one["p99_ms"],
        "not_200": wrong,
    }


def compare(model: Path, folder: Path, peers: bool, rounds: int, seconds: float) -> dict[str, Any]:
    """Medians over the rounds, and the ratios to bare within each round."""
    names = ["bare", "endpoint", *(PEERS if peers else ())]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            say(f"round {number + 1} of {rounds}: {name} ...")
            if name == "bare":
                found[name].append(apart(folder, seconds))
                continue
            with endpoint(model) if name == "endpoint" else peer(name, folder) as (url, _):
                found[name].append(against(url, seconds))
    result: dict[str, Any] = {}
    for name in names:
        rates = [each["images_per_s"] / free["images_per_s"] for each, free in _pairs(found, name)]
        over = [each["p50_ms"] - free["p50_ms"] for each, free in _pairs(found, name)]
        result[name] = {
            **found[name][-1],
            "images_per_s": statistics.median(each["images_per_s"] for each in found[name]),
            "p50_ms": statistics.median(each["p50_ms"] for each in found[name]),
            "share_of_bare": round(statistics.median(rates), 3),
            "p50_over_bare_ms": round(statistics.median(over), 2),
        }
    return result


def _pairs(found: dict[str, list[dict[str, Any]]], name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return list(zip(found[name], found["bare"], strict=True))


def tiles(model: Path, work: Path, size: int) -> dict[str, Any]:
    """One picture of 24 megapixels by tiles: its time, that of a tile, and the server's memory at its peak."""
    tiled = work / "tiled.tar.gz"
    retile(model, tiling.Tiles(size, overlap=0.2), tiled)
    with endpoint(tiled) as (url, process):
        before = peak_mib(process)
        answers = load(url, 0.0, 1, "--large", "3")
        count = answers["tiles"] + 1  # the whole picture is judged, too
        return {
            "megapixels": 24,
            "tile": size,
            "tiles": answers["tiles"],
            "p50_ms": answers["p50_ms"],
            "ms_a_tile": round(answers["p50_ms"] / count, 2),
            "peak_mib_before": before,
            "peak_mib": peak_mib(process),
        }


def soak(model: Path, minutes: float) -> dict[str, Any]:
    """Good, bad and huge images at once for long: memory at ten moments, and what was lost or answered wrongly."""
    memory, totals = [], {"answers": 0, "wrong": 0, "lost": 0, "busy": 0}
    with endpoint(model) as (url, process):
        load(url, 3, 4 * cores(), "--mix")
        for part in range(10):
            result = load(url, minutes * 6, 4 * cores(), "--mix")
            memory.append(resident_mib(process))
            totals["answers"] += result["answers"]
            totals["wrong"] += result["wrong"]
            totals["busy"] += result["statuses"].get("503", 0)
            totals["lost"] += sum(n for name, n in result["statuses"].items() if not name.isdecimal())
            say(f"  {part + 1} of 10: {result['answers']} answers, {memory[-1]} MiB {result['first_wrong']}")
    return {"minutes": minutes, **totals, "resident_mib": memory}


def main() -> None:
    """Run what is asked for and print the figures."""
    parser = argparse.ArgumentParser(prog="loupe bench serve", description=__doc__)
    parser.add_argument("--model", type=Path, default=STARTER, help="model.tar.gz (default: the starter)")
    parser.add_argument("--peers", action="store_true", help=f"also {', '.join(PEERS)}, installed at first")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--tile", type=int, default=1000, help="edge of a tile, in pixels")
    parser.add_argument("--soak", type=float, default=0, metavar="MINUTES", help="the mixed load, that long")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as folder:
        work = Path(folder)
        card = unpack(options.model, work / "model")
        result: dict[str, Any] = {
            "machine": machine(
                load_average=[round(each, 1) for each in os.getloadavg()],
                memory_gib=round(psutil.virtual_memory().total / (1 << 30)),
                onnxruntime=onnxruntime.__version__,
                provider=ServedModel(work / "model").provider,
            ),
            "model": {"name": card.name, "family": card.family, "input_size": card.input_size},
            "serving": compare(options.model, work / "model", options.peers, options.rounds, options.seconds),
        }
        say("a picture of 24 megapixels by tiles ...")
        result["tiles"] = tiles(options.model, work, options.tile)
        if options.soak:
            say(f"the mixed load for {options.soak:g} minutes ...")
            result["soak"] = soak(options.model, options.soak)
    show(result, options.json)


if __name__ == "__main__":
    main()
