"""The image `serve` as SageMaker starts it: `docker run IMAGE serve`, with a model under /opt/ml/model."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.images.conftest import ROOT, Start
from tests.images.engine import Image
from tests.images.sandbox import PATIENCE, Run
from training.model.artefact import unpack

# The first test that needs an image waits for its build.
pytestmark = [pytest.mark.images, pytest.mark.timeout(3600)]
SAMPLE = ROOT / "samples/line-2/bottom/SN1003.jpg"


@pytest.fixture
def ml(tmp_path: Path) -> Path:
    """What becomes /opt/ml: the starter model, as SageMaker unpacks it."""
    folder = tmp_path / "ml"
    unpack(ROOT / "models/starter/model.tar.gz", folder / "model")
    return folder


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def answer(run: Run, url: str) -> int:
    """Return the status of /ping once the server answers."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert run.process.poll() is None, run.log
        try:
            return urllib.request.urlopen(f"{url}/ping").status
        except urllib.error.URLError:
            # It does not listen yet, or is warming up.
            time.sleep(0.05)
    raise AssertionError(run.log)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_the_image_is_what_sagemaker_takes(serve_image: Image) -> None:
    assert serve_image.architecture == "amd64"
    assert serve_image.manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert serve_image.config["Cmd"] == ["serve"]
    assert not serve_image.config.get("Entrypoint")
    assert serve_image.config["Labels"]["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"
    assert serve_image.environment["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert serve_image.environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
    assert serve_image.environment["LOUPE_IMAGE"] == "serve"


def test_it_answers_images_from_a_read_only_root_and_ends_in_time(
    serve_image: Image, ml: Path, start: Start, report: list[str]
) -> None:
    before, port = files(ml), free_port()
    url = f"http://127.0.0.1:{port}"
    began = time.monotonic()
    run = start(serve_image, ml, "serve", SAGEMAKER_BIND_TO_PORT=str(port), LOUPE_WORKERS="2")
    assert answer(run, url) == 200
    report.append(f"serve: /ping answered 200 after {time.monotonic() - began:.1f} s")
    request = urllib.request.Request(
        f"{url}/invocations", SAMPLE.read_bytes(), {"Content-Type": "image/jpeg"}
    )
    document = json.loads(urllib.request.urlopen(request).read())
    assert document["detections"][0]["label"] == "patches"
    report.append(f"serve: /invocations answered {document['detections'][0]['label']}")
    run.terminate()
    # SageMaker kills a container 30 s after SIGTERM.
    assert run.end(30) == 0
    assert files(ml) == before


def test_a_model_that_is_missing_ends_it_with_the_reason(serve_image: Image, ml: Path, start: Start) -> None:
    (ml / "model/model.onnx").unlink()
    run = start(serve_image, ml, "serve", SAGEMAKER_BIND_TO_PORT=str(free_port()))
    assert run.end() == 1
    assert "model.onnx" in run.log
    assert "Traceback" not in run.log


def test_the_cpu_image_on_a_gpu_instance_says_which_image_is_needed(
    serve_image: Image, ml: Path, start: Start, report: list[str]
) -> None:
    run = start(serve_image, ml, "serve", gpus=("nvidia0",), SAGEMAKER_BIND_TO_PORT=str(free_port()))
    assert run.end() == 1
    assert "This is the CPU image on a GPU instance. Deploy the image serve-gpu" in run.log
    report.append(f"serve on a GPU instance: {run.log.strip()}")
