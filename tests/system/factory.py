"""A local cloud of a test module, and the loupe command that works on it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from contract.s3 import split
from loupe.stack.target import Target
from tests.system.cloud_process import CloudProcess

ROOT = Path(__file__).resolve().parents[2]
STARTER = ROOT / "models" / "starter" / "model.tar.gz"
SMALL = {"input_size": "128", "batch_size": "8", "workers": "0", "validate_every": "1"}


class Factory:
    """A local cloud for this module, and the loupe command that works on it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process = CloudProcess(home, ROOT)

    @property
    def target(self) -> Target:
        return Target.local(self.home)

    def loupe(self, *arguments: str, timeout: float = 800) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from loupe.cli import main; main()", *arguments],
            capture_output=True,
            text=True,
            cwd=self.home,  # reports are written where the command is run
            env=os.environ | {"LOUPE_HOME": str(self.home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            timeout=timeout,
        )

    def retrain(self, *arguments: str, epochs: int = 1) -> dict[str, Any]:
        settings = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
        return self.run("--epochs", str(epochs), *settings, *arguments)

    def run(self, *arguments: str) -> dict[str, Any]:
        """Return the result of a run with the stack's own settings."""
        done = self.loupe("retrain", "--wait", "--json", *arguments)
        assert done.stdout, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        assert (done.returncode == 0) == (result["status"] == "SUCCEEDED"), done.stderr
        return result

    @property
    def rules(self) -> dict[str, Any]:
        """The rules in force."""
        document: dict[str, Any] = json.loads(self.loupe("rules", "show", "--json").stdout)
        return document

    def document(self, uri: str) -> bytes:
        bucket, key = split(uri)
        return self.target.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def restart(self) -> None:
        self.process.kill()
        self.process = CloudProcess(self.home, ROOT)
