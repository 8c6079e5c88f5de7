"""The image `train` as SageMaker starts it: training and evaluation with their files under /opt/ml."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.images.conftest import ROOT, Start
from tests.images.engine import Image
from training.datasets.generated.synthetic import generate

# The first test that needs an image waits for its build.
pytestmark = [pytest.mark.images, pytest.mark.timeout(3600)]
SETTINGS = {"family": "ssdlite", "epochs": "1", "batch_size": "4", "input_size": "128", "workers": "2"}


def job(folder: Path, instance_type: str = "ml.c5.xlarge", **settings: str) -> Path:
    """Return what becomes /opt/ml of a training job."""
    generate(folder / "input/data/train", 12, seed=5, size=128)
    configuration = folder / "input/config"
    configuration.mkdir(parents=True)
    (configuration / "hyperparameters.json").write_text(json.dumps({**SETTINGS, **settings}))
    resources = {"current_host": "algo-1", "current_instance_type": instance_type, "hosts": ["algo-1"]}
    (configuration / "resourceconfig.json").write_text(json.dumps(resources))
    for name in ("model", "output", "checkpoints"):
        (folder / name).mkdir()
    return folder


def test_the_image_is_what_sagemaker_takes(train_image: Image) -> None:
    assert train_image.architecture == "amd64"
    assert train_image.manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert train_image.config["Cmd"] == ["train"]
    assert train_image.environment["LOUPE_IMAGE"] == "train"
    assert train_image.environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"


def test_it_trains_from_a_read_only_root_with_less_shared_memory_than_its_batches_take(
    train_image: Image, tmp_path: Path, start: Start, report: list[str]
) -> None:
    ml = job(tmp_path / "ml")
    run = start(train_image, ml, "train", shm_mib=1)
    assert run.end() == 0, run.log
    assert '"event": "piped"' in run.log
    assert "val:map=" in run.log
    assert {path.name for path in (ml / "model").iterdir()} == {"model.onnx", "model.json"}
    assert not (ml / "output/failure").exists()
    metrics = json.loads((ml / "model/model.json").read_text())["metrics"]["training"]
    report.append(f"train: one epoch in {metrics['seconds']:.0f} s, with 1 MiB of /dev/shm")


def test_a_job_that_cannot_start_leaves_its_reason_where_sagemaker_reads_it(
    train_image: Image, tmp_path: Path, start: Start, report: list[str]
) -> None:
    ml = job(tmp_path / "ml", epochs="none")
    run = start(train_image, ml, "train")
    assert run.end() == 1
    reason = (ml / "output/failure").read_text()
    assert reason.startswith("HyperparameterError: hyperparameter epochs='none'")
    report.append(f"train: output/failure says: {reason}")


def test_on_a_gpu_instance_without_cuda_it_fails_with_the_reason(
    train_image: Image, tmp_path: Path, start: Start, report: list[str]
) -> None:
    ml = job(tmp_path / "ml", instance_type="ml.g5.xlarge")
    assert start(train_image, ml, "train").end() == 1
    reason = (ml / "output/failure").read_text()
    assert reason.startswith("DeviceError: ml.g5.xlarge has a GPU (A10G), but torch")
    report.append(f"train on ml.g5.xlarge without CUDA: {reason.splitlines()[0]}")


def test_sigterm_stops_it_after_a_whole_epoch_and_the_next_start_continues(
    train_image: Image, tmp_path: Path, start: Start, report: list[str]
) -> None:
    ml = job(tmp_path / "ml", epochs="200")
    run = start(train_image, ml, "train")
    run.wait_for("epoch=1 ")
    run.terminate()
    # Spot training gives two minutes, StopTrainingJob too.
    assert run.end(120) == 143
    assert '"event": "stopped"' in run.log
    assert not (ml / "output/failure").exists()
    again = start(train_image, ml, "train")
    again.wait_for('"event": "resume"')
    again.kill()
    report.append("train: SIGTERM ended it with 143 and its checkpoint; the next start continued")


@pytest.fixture
def processing(tmp_path: Path) -> Path:
    """What becomes /opt/ml of an evaluation, as the state machine asks for it."""
    ml = tmp_path / "ml"
    model = ml / "processing/input/data/model"
    model.mkdir(parents=True)
    shutil.copy(ROOT / "models/starter/model.tar.gz", model)
    generate(ml / "processing/input/data/test", 10, seed=6, size=128)
    settings = ml / "processing/input/config"
    settings.mkdir(parents=True)
    (settings / "hyperparameters.json").write_text(json.dumps({"split": "all"}))
    return ml


def test_it_evaluates_as_a_processing_job(
    train_image: Image, processing: Path, start: Start, report: list[str]
) -> None:
    run = start(train_image, processing, "evaluate", LOUPE_ML_ROOT="/opt/ml/processing")
    assert run.end() == 0, run.log
    output = processing / "processing/output/data"
    assert {path.name for path in output.iterdir()} == {"evaluation.json", "evaluation.html", "rules.json"}
    assert not (processing / "output/message").exists()
    report.append(f"evaluate: mAP {json.loads((output / 'evaluation.json').read_text())['map']:.3f}")


def test_an_evaluation_that_fails_leaves_its_reason_where_processing_reads_it(
    train_image: Image, processing: Path, start: Start, report: list[str]
) -> None:
    shutil.rmtree(processing / "processing/input/data/test")
    run = start(train_image, processing, "evaluate", LOUPE_ML_ROOT="/opt/ml/processing")
    assert run.end() == 1
    reason = (processing / "output/message").read_text()
    assert "an evaluation needs the channels model and test" in reason
    report.append(f"evaluate: output/message says: {reason}")
