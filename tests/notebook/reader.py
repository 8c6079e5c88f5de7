"""Runs the notebook as a reader does, and looks at its pages and at what it leaves behind."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from loupe.stack.target import Target

_RUNNING = ("InProgress", "Stopping")


@dataclass
class Page:
    """An executed notebook.

    Attributes:
        status: The exit status of its execution.
        said: What the execution wrote to stderr.
        cells: Its cells by id, as nbformat has them.
    """

    status: int
    said: str
    cells: dict[str, dict[str, Any]]

    def text(self, cell: str) -> str:
        """Return what a cell has printed."""
        outputs = self.cells[cell]["outputs"]
        return "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")

    def error(self, cell: str) -> str:
        """Return the error that a cell shows."""
        outputs = self.cells[cell]["outputs"]
        return "\n".join(
            "\n".join(output["traceback"]) for output in outputs if output["output_type"] == "error"
        )

    def data(self, cell: str, kind: str) -> list[str]:
        """Return what a cell shows in a MIME type."""
        outputs = (output.get("data", {}) for output in self.cells[cell]["outputs"])
        return ["".join(data[kind]) for data in outputs if kind in data]

    def pictures(self, cell: str) -> list[Image.Image]:
        """Return the pictures that a cell shows."""
        return [Image.open(io.BytesIO(base64.b64decode(data))) for data in self.data(cell, "image/png")]


@dataclass
class Reader:
    """Whoever runs the notebook.

    Attributes:
        repository: The checkout.
        target: The stack in the local cloud.
        environment: The variables that lead `loupe` to it.
        folder: For executed notebooks.
    """

    repository: Path
    target: Target
    environment: dict[str, str]
    folder: Path

    def start(self, *options: str, **variables: str) -> subprocess.Popen[str]:
        """Start the notebook's execution, and return its process."""
        return self._program("notebooks/execute.py", str(self.folder / "page.ipynb"), *options, **variables)

    def run(self, *options: str, **variables: str) -> Page:
        """Execute the notebook, and return its page."""
        process = self.start(*options, **variables)
        _, said = process.communicate()
        return self.page(process.returncode, said)

    def page(self, status: int, said: str) -> Page:
        """Return the page of the last execution."""
        notebook = json.loads((self.folder / "page.ipynb").read_text())
        return Page(status, said, {cell["id"]: cell for cell in notebook["cells"]})

    def clean(self, name: str) -> str:
        """Clean up from a terminal, and return what is printed."""
        process = self._program("notebooks/cleaning.py", "--name", name)
        printed, said = process.communicate()
        assert process.returncode == 0, said
        return printed

    def _program(self, program: str, *options: str, **variables: str) -> subprocess.Popen[str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            [self.repository / ".tools/notebook/bin/python", self.repository / program, *options],
            env=os.environ | {"PATH": path} | self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def holdings(self) -> dict[str, list[str]]:
        """Return what there is in the account that a notebook creates: all of it, whatever its name."""
        client = self.target.sagemaker
        found = {
            "endpoints": [entry["EndpointName"] for entry in client.list_endpoints()["Endpoints"]],
            "configurations": [
                entry["EndpointConfigName"] for entry in client.list_endpoint_configs()["EndpointConfigs"]
            ],
            "models": [entry["ModelName"] for entry in client.list_models()["Models"]],
            "running": self.running(),
            "objects": self._objects(),
        }
        return {kind: sorted(names) for kind, names in found.items()}

    def running(self) -> list[str]:
        """Return the jobs of all kinds that run."""
        client = self.target.sagemaker
        jobs = [
            *((job["TrainingJobName"], job["TrainingJobStatus"]) for job in self.trainings()),
            *(
                (job["ProcessingJobName"], job["ProcessingJobStatus"])
                for job in client.list_processing_jobs()["ProcessingJobSummaries"]
            ),
            *(
                (job["HyperParameterTuningJobName"], job["HyperParameterTuningJobStatus"])
                for job in client.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
            ),
        ]
        return [name for name, status in jobs if status in _RUNNING]

    def trainings(self, name: str = "") -> list[dict[str, Any]]:
        """Return the training jobs whose names begin so."""
        pages = self.target.sagemaker.get_paginator("list_training_jobs").paginate()
        jobs = [dict(job) for page in pages for job in page["TrainingJobSummaries"]]
        return [job for job in jobs if job["TrainingJobName"].startswith(name)]

    def versions(self) -> list[dict[str, Any]]:
        """Return the versions in the registry, as `loupe models --json` prints them."""
        command = [sys.executable, "-m", "loupe", "models", "--json"]
        printed = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, check=True
        ).stdout
        return list(json.loads(printed)["versions"])

    def _objects(self) -> list[str]:
        pages = self.target.s3.get_paginator("list_object_versions").paginate(
            Bucket=self.target.output("ArtefactsBucketName")
        )
        found = [
            entry["Key"]
            for page in pages
            for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
        return list(dict.fromkeys(found))
