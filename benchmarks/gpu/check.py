"""What the machine is: `python -m benchmarks.gpu.check --out OUT --device cuda`. Exit status 1 if it lacks its GPU."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.gpu.lines import Lines
from training.job.device import Machine

_DRIVER = 580  # contract/instances.json: CUDA 13 needs it
_PACKAGES = ("onnxruntime-gpu", "onnxruntime", "torch", "transformers", "nvidia-cudnn-cu13", "numpy")
_ASKED = "name,driver_version,memory.total,clocks.max.sm"


def main(arguments: list[str] | None = None) -> int:
    """Write what is seen, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.check", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args(arguments)
    lines = Lines(options.out, "check")
    lines.add(
        "machine", value=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    lines.add("packages", value=", ".join(_versions()))
    gpu = _gpu()
    if gpu:
        lines.add("GPU", value=gpu)
    else:
        lines.skipped("GPU", "nvidia-smi shows none")
    problem = _problem(gpu) if options.device == "cuda" else None
    if problem:
        lines.failed("CUDA", problem)
    elif options.device == "cuda":
        lines.add("CUDA", value=f"ONNX Runtime offers {', '.join(_providers())}")
    return 1 if problem else 0


def _problem(gpu: str | None) -> str | None:
    """Return why nothing can be measured on a GPU; None if it can."""
    if gpu is None:
        return "there is no GPU, or no driver: nvidia-smi shows none (--device cpu does without)"
    driver = Machine.seen().driver or gpu.split(", ")[1]
    if int(driver.partition(".")[0]) < _DRIVER:
        return f"the driver is {driver}, and CUDA 13 needs {_DRIVER}"
    if "CUDAExecutionProvider" not in _providers():
        return "ONNX Runtime offers no CUDA: install requirements/serve-gpu.txt"
    return None


def _providers() -> list[str]:
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def _gpu() -> str | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, f"--query-gpu={_ASKED}", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - nvidia-smi
    return done.stdout.strip().replace("\n", "; ") or None if done.returncode == 0 else None


def _versions() -> list[str]:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    raise SystemExit(main())
