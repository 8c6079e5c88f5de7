"""One way to run a model without an endpoint: `python -m benchmarks.gpu.bare --model M --provider cuda --batch 8`.

Prints one JSON document: images a second, and the median of a run. `--binding`: `none` gives arrays to `run`; `io`
keeps the pictures in a buffer on the device, and copies into it; `graph` also replays the kernels as one CUDA graph,
which needs fixed shapes. `--decode` begins with JPEG files, as the endpoint does, and runs in so many threads.
https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#using-cuda-graphs-preview
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from training.model.artefact import MODEL, unpack

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_OUTPUTS = ("boxes", "scores")


class VariantError(Exception):
    """The variant cannot run here; the message says why."""


def session_of(file: Path, options: argparse.Namespace) -> Any:
    """Return a session for the wanted provider.

    Raises:
        VariantError: ONNX Runtime does not offer it, or would run on another one.
    """
    provider = PROVIDERS[options.provider]
    if provider not in onnxruntime.get_available_providers():
        raise VariantError(f"ONNX Runtime offers no {provider}")
    if options.provider != "cpu":
        # Find CUDA and cuDNN where pip installed them (training/serving/session.py).
        onnxruntime.preload_dlls()
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    more: dict[str, str] = {}
    if options.binding == "graph":
        settings.add_free_dimension_override_by_name("n", options.batch)
        more["trt_cuda_graph_enable" if options.provider == "tensorrt" else "enable_cuda_graph"] = "1"
    if options.provider == "tensorrt":
        more |= {"trt_fp16_enable": "1" if options.half else "0", "trt_engine_cache_enable": "1"}
        more["trt_engine_cache_path"] = str(file.parent)
    session = onnxruntime.InferenceSession(str(file), settings, providers=[(provider, more)])
    session.disable_fallback()
    if session.get_providers()[0] != provider:
        raise VariantError(f"ONNX Runtime could not load {provider}")
    return session


def runner(session: Any, pixels: Any, options: argparse.Namespace) -> Callable[[], Any]:
    """Return what is measured: from pictures in memory to boxes and scores in memory.

    Raises:
        VariantError: There is no such binding for the provider.
    """
    device = "cpu" if options.provider == "cpu" else "cuda"
    if options.binding == "none":
        return lambda: session.run(list(_OUTPUTS), {"images": pixels})
    binding = session.io_binding()
    on_device = onnxruntime.OrtValue.ortvalue_from_numpy(pixels, device, 0)
    binding.bind_ortvalue_input("images", on_device)
    if options.binding == "io":
        for name in _OUTPUTS:
            binding.bind_output(name, "cpu")

        def run() -> Any:
            on_device.update_inplace(pixels)
            session.run_with_iobinding(binding)
            return binding.copy_outputs_to_cpu()

        return run
    if device == "cpu":
        raise VariantError("a CUDA graph needs CUDA")
    shapes = [answer.shape for answer in _answers(session, pixels)]
    kept = [
        onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, device, 0) for shape in shapes
    ]
    for name, value in zip(_OUTPUTS, kept, strict=True):
        binding.bind_ortvalue_output(name, value)

    def replay() -> Any:
        on_device.update_inplace(pixels)
        session.run_with_iobinding(binding)
        return [value.numpy() for value in kept]

    return replay


def _answers(session: Any, pixels: Any) -> Any:
    """Return one answer, for its shapes: without a graph, which would be recorded with other buffers."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", "-1")
    return session.run(list(_OUTPUTS), {"images": pixels}, options)


def measure(run: Callable[[], Any], batch: int, seconds: float) -> dict[str, float]:
    """Run for some seconds, after a tenth of them to warm up."""
    until = time.perf_counter() + max(0.1, seconds / 10)
    while time.perf_counter() < until:
        run()
    times = []
    began = time.perf_counter()
    while (start := time.perf_counter()) < began + seconds:
        run()
        times.append(time.perf_counter() - start)
    rate = batch * len(times) / (time.perf_counter() - began)
    return {"images_per_s": round(rate, 1), "p50_ms": round(1000 * statistics.median(times), 2)}


def decoding(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Decode and infer in threads with the endpoint's own functions, from files to detections."""
    from benchmarks.serve_images import steel
    from training.model.models import decode_for
    from training.serving.session import load_served

    models = load_served(folder, device=options.device)
    if models.detector is None or not (options.batch == 1 or models.detector.any_batch):
        raise VariantError("the model takes one picture at a time")
    detector, files = models.detector, steel()

    def loop(until: float, decoders: ThreadPoolExecutor) -> int:
        done = 0
        while time.perf_counter() < until:
            wanted = [files[(done + number) % len(files)] for number in range(options.batch)]
            views = list(decoders.map(decode_for, [models] * options.batch, wanted))
            detector.detect([view.picture.pixels for view in views])
            done += options.batch
        return done

    with ThreadPoolExecutor(options.decode) as pool, ThreadPoolExecutor(options.decoders) as decoders:
        loop(time.perf_counter() + max(0.1, options.seconds / 10), decoders)
        began = time.perf_counter()
        loops = [pool.submit(loop, began + options.seconds, decoders) for _ in range(options.decode)]
        done = sum(one.result() for one in loops)
        rate = done / (time.perf_counter() - began)
        single = measure(
            lambda: detector.detect([decode_for(models, files[0]).picture.pixels]), 1, options.seconds / 2
        )
    return {"images_per_s": round(rate, 1), "p50_ms": single["p50_ms"]}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the figures, and return the exit status: 1 with the reason on stderr."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        card = unpack(options.model, folder)
        try:
            if options.decode:
                found = decoding(folder, options)
            else:
                size = card.input_size
                shape = (options.batch, size, size, 3)
                pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
                session = session_of(folder / MODEL, options)
                found = measure(runner(session, pixels, options), options.batch, options.seconds)
        # ONNX Runtime's errors share no public base class, and a variant that fails is a result.
        except Exception as error:  # noqa: BLE001
            sys.stderr.write(f"{type(error).__name__}: {str(error).strip()}\n")
            return 1
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.bare", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--provider", choices=PROVIDERS, default="cuda")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--binding", choices=("none", "io", "graph"), default="none")
    parser.add_argument("--half", action="store_true", help="TensorRT in half precision")
    parser.add_argument("--decode", type=int, default=0, metavar="THREADS")
    parser.add_argument("--decoders", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
