"""Nothing about a model leaves the machine: ONNX Runtime's telemetry is off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# ONNX Runtime's telemetry begins with a file that identifies the machine.
LOAD = (
    "from pathlib import Path; from training.model.onnx_model import OnnxModel; OnnxModel(Path({folder!r}))"
)


def test_onnx_runtime_leaves_no_identity_of_the_machine_and_so_sends_nothing(starter_folder, tmp_path):
    # Its telemetry is also off where a variable says that this is CI, which is no merit of ours.
    environment = {name: os.environ[name] for name in ("PATH",)} | {"HOME": str(tmp_path)}
    command = [sys.executable, "-c", LOAD.format(folder=str(starter_folder))]
    subprocess.run(command, cwd=Path(__file__).parents[4], env=environment, check=True)
    assert list(tmp_path.rglob("*")) == []
