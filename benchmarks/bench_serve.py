"""What the endpoint costs above its model: `loupe bench serve [--model PATH] [--peers] [--soak MINUTES] [--json]`.

Bare inference is one process that only decodes images and calls `InferenceSession.run`, with the numbers of threads
and images in a batch that are best on this machine. The endpoint, and each peer, is another process that does the same
with the same functions behind HTTP. Its clients are a third process on the same cores; their CPU time is part of a
server's result, and is printed. The rounds alternate, so that a busy machine is busy for all.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnxruntime
import psutil

from benchmarks import serve_images
from benchmarks.output import machine, say, show
from benchmarks.serve_one_client import compare_one_client
from benchmarks.serve_servers import PEERS, ROOT, endpoint, load, peak_mib, peer, resident_mib
from training.job.container import cores
from training.model import tiling
from training.model.artefact import unpack
from training.model.models import Models, decode_for, look
from training.retile import retile
from training.serving.session import load_served

STARTER = ROOT / "models/starter/model.tar.gz"


def bare(folder: Path, seconds: float) -> dict[str, Any]:
    """Measure bare inference.

    Returns:
        The images per second of the best numbers of threads and images in a batch.
    """
    best: dict[str, Any] = {"images_per_s": 0.0}
    for threads, batch in [(cores(), 1), (1, 1), (1, 4), (1, 8)]:
        models = load_served(folder, max(1, cores() // threads))
        if batch == 1 or _can_batch(models):
            with ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(cores()) as decoders:
                _infer_until(models, time.perf_counter() + 0.3, batch, decoders)
                began = time.perf_counter()
                loops = [
                    pool.submit(_infer_until, models, began + seconds, batch, decoders)
                    for _ in range(threads)
                ]
                done = sum(loop.result() for loop in loops)
                rate = round(done / (time.perf_counter() - began), 1)
            if rate > best["images_per_s"]:
                best = {"images_per_s": rate, "threads": threads, "batch": batch}
    return best


def _can_batch(models: Models) -> bool:
    """Whether images share an inference, as the endpoint does it: of a detector alone."""
    return models.anomaly is None and models.detector is not None and models.detector.any_batch


def _infer_until(models: Models, until: float, batch: int, decoders: ThreadPoolExecutor) -> int:
    """Decode and infer until a time, and return the number of images."""
    images, done = serve_images.steel(), 0
    while time.perf_counter() < until:
        files = [images[(done + number) % len(images)] for number in range(batch)]
        if batch == 1 or models.detector is None:
            look(models, decode_for(models, files[0]))
        else:
            views = decoders.map(decode_for, [models] * batch, files)
            models.detector.detect([view.picture.pixels for view in views])
        done += batch
    return done


def bare_in_new_process(folder: Path, seconds: float) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(bare, folder, seconds).result()


def measure_server(url: str, folder: Path, seconds: float) -> dict[str, Any]:
    """Measure a server: throughput at the better of two numbers of connections, and one client."""
    load(url, 0.5, 2)
    runs = [load(url, seconds, connections) for connections in (2 * cores(), 8 * cores())]
    many = max(runs, key=lambda run: float(run["images_per_s"]))
    one = compare_one_client(url, folder, seconds)
    not_200 = Counter({status: n for status, n in many["statuses"].items() if status != "200"})
    return {
        "images_per_s": many["images_per_s"],
        "client_cpu_ms": many["client_cpu_ms"],
        **one,
        "not_200": not_200 + one["not_200"],
    }


def compare(model: Path, folder: Path, peers: bool, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the medians over the rounds, and of the ratios to bare inference within each round."""
    names = ["bare", "endpoint", *(PEERS if peers else ())]
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            say(f"round {number + 1} of {rounds}: {name} ...")
            if name == "bare":
                figures[name].append(bare_in_new_process(folder, seconds))
                continue
            with endpoint(model) if name == "endpoint" else peer(name, folder) as (url, _):
                figures[name].append(measure_server(url, folder, seconds))
    return {name: _medians(figures[name], figures["bare"]) for name in names}


def _medians(rounds: list[dict[str, Any]], bare_rounds: list[dict[str, Any]]) -> dict[str, Any]:
    pairs = zip(rounds, bare_rounds, strict=True)
    shares = [server["images_per_s"] / bare["images_per_s"] for server, bare in pairs]
    measured = [name for name in rounds[-1] if name == "images_per_s" or name.endswith("_ms")]
    return {
        **rounds[-1],
        **{name: round(statistics.median(figures[name] for figures in rounds), 2) for name in measured},
        "share_of_bare": round(statistics.median(shares), 3),
    }


def measure_tiles(model: Path, work: Path, size: int) -> dict[str, Any]:
    """Return the time of an image with 24 megapixels in tiles, that of one tile, and the server's peak memory."""
    tiled = work / "tiled.tar.gz"
    retile(model, lambda _: tiling.Tiles(size, overlap=0.2), tiled)
    with endpoint(tiled) as (url, process):
        peak_before = peak_mib(process)
        answers = load(url, 0.0, 1, "--large", "3")
        # The model also sees the whole image at once.
        inferences = answers["tiles"] + 1
        return {
            "megapixels": 24,
            "tile": size,
            "tiles": answers["tiles"],
            "p50_ms": answers["p50_ms"],
            "ms_a_tile": round(answers["p50_ms"] / inferences, 2),
            "peak_mib_before": peak_before,
            "peak_mib": peak_mib(process),
        }


def soak(model: Path, minutes: float) -> dict[str, Any]:
    """Send good, bad and huge images for a long time.

    Returns:
        The memory at ten moments, and the numbers of answers that were wrong, lost, or refused because of load.
    """
    memory, totals = [], {"answers": 0, "wrong": 0, "lost": 0, "busy": 0}
    with endpoint(model) as (url, process):
        load(url, 3, 4 * cores(), "--mix")
        for part in range(10):
            result = load(url, minutes * 6, 4 * cores(), "--mix")
            memory.append(resident_mib(process))
            totals["answers"] += result["answers"]
            totals["wrong"] += result["wrong"]
            totals["busy"] += sum(result["statuses"].get(status, 0) for status in ("429", "503"))
            totals["lost"] += sum(n for name, n in result["statuses"].items() if not name.isdecimal())
            say(f"  {part + 1} of 10: {result['answers']} answers, {memory[-1]} MiB {result['first_wrong']}")
    return {"minutes": minutes, **totals, "resident_mib": memory}


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(prog="loupe bench serve", description=__doc__)
    parser.add_argument("--model", type=Path, default=STARTER, help="model.tar.gz (default: the starter)")
    parser.add_argument(
        "--peers", action="store_true", help=f"also measure {', '.join(PEERS)}; installed on first use"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5, help="the length of each measurement")
    parser.add_argument("--tile", type=int, default=1000, help="the edge of a tile in pixels")
    parser.add_argument(
        "--soak", type=float, default=0, metavar="MINUTES", help="send the mixed load for so long"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as folder:
        work = Path(folder)
        card = unpack(options.model, work / "model")
        result: dict[str, Any] = {
            "machine": machine(
                load_average=[round(load_average, 1) for load_average in os.getloadavg()],
                memory_gib=round(psutil.virtual_memory().total / (1 << 30)),
                onnxruntime=onnxruntime.__version__,
                provider=load_served(work / "model").provider,
            ),
            "model": {"name": card.name, "family": card.family, "input_size": card.input_size},
            "serving": compare(options.model, work / "model", options.peers, options.rounds, options.seconds),
        }
        # An anomaly model always sees the whole picture.
        if card.anomaly is None:
            say("an image with 24 megapixels in tiles ...")
            result["tiles"] = measure_tiles(options.model, work, options.tile)
        if options.soak:
            say(f"the mixed load for {options.soak:g} minutes ...")
            result["soak"] = soak(options.model, options.soak)
    show(result, options.json)


if __name__ == "__main__":
    main()
