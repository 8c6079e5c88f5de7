"""The SageMaker SDK 2 against the local cloud: the calls of its users' notebooks, and the data that they send."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loupe.stack import deployment
from tests.clients.bench import Bench
from training.datasets.generated.synthetic import generate

# Longer than for others: three trainings, and the SDK itself takes ten seconds to import on a busy machine.
pytestmark = [pytest.mark.clients, pytest.mark.timeout(1200)]
TOOL = "sagemaker2"
MODEL = str(deployment.STARTER)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of labelled pictures, enough to train and to validate on."""
    folder: Path = tmp_path_factory.mktemp("pictures")
    generate(folder, 16, seed=5, size=96)
    return str(folder)


def test_an_estimator_trains_with_its_logs_is_attached_to_and_serves(bench: Bench, pictures: str) -> None:
    done = bench.script(TOOL, "sdk2_train", pictures)
    for line in (
        r"Starting - Preparing the instances",
        r"epoch=1 loss=",
        r"Completed - ",
        r"Training seconds: \d+",
    ):
        assert re.search(line, done["log"]), line
    assert done["metrics"] == ["val:map"]
    bucket = bench.environment["LOUPE_ARTEFACTS_BUCKET"]
    assert re.fullmatch(rf"s3://{bucket}/sagemaker/sdk2-[\d-]+/output/model\.tar\.gz", done["model"])
    assert (done["key"], done["family"]) == ("", '"ssdlite"')
    assert done["answer"]["model"]["name"] == "sdk2"
    assert done["answer"]["image"] == {"width": 96, "height": 96, "format": "JPEG"}


def test_a_tuner_is_attached_to_and_serves_its_best_model(bench: Bench, pictures: str) -> None:
    done = bench.script(TOOL, "sdk2_tune", pictures)
    assert done["statuses"] == ["Completed", "Completed"]
    assert {"learning_rate", "batch_size", "FinalObjectiveValue"} <= set(done["columns"])
    assert done["instance_type"] == bench.environment["LOUPE_EVALUATION_INSTANCE_TYPE"]
    assert done["fixed"]["family"] == "ssdlite"
    assert "_tuning_objective_metric" not in done["fixed"]
    assert 0.001 <= float(done["tuned"]["learning_rate"]) <= 0.01
    assert done["tuned"]["batch_size"] in ("4", "8")
    assert done["best"] in done["model"]
    assert done["answer"]["image"]["format"] == "JPEG"


def test_a_processor_measures_and_a_registered_version_serves(bench: Bench, pictures: str) -> None:
    done = bench.script(TOOL, "sdk2_register", MODEL, pictures)
    assert '"event": "evaluation"' in done["log"]
    assert done["inputs"] == ["model", "test"]
    assert 0 < done["report"]["map"] <= 1
    assert done["before"] == "PendingManualApproval"
    assert done["after"] == ["Approved", "looked at"]
    assert done["answer"]["model"]["name"] == "starter"
    assert "sdk2" not in done["groups"]


def test_what_does_not_run_here_is_refused_with_what_does(bench: Bench) -> None:
    said = bench.script(TOOL, "sdk2_refusals", MODEL)
    expected = {
        "with_a_script": ("ValidationException", "no scripts (hyperparameter sagemaker_program)"),
        "of_a_framework": ("ValidationException", "no scripts (hyperparameter sagemaker_program)"),
        "with_an_image_of_aws": ("ValidationException", "object-detection:1 is not Loupe's"),
        "of_jumpstart": ("NoSuchBucket", "JumpStart's models are not in the local cloud"),
        "process_with_a_script": (
            "ValidationException",
            "no scripts (/opt/ml/processing/input/code/train.py)",
        ),
        "serve_asynchronously": ("ValidationException", "no asynchronous inference (AsyncInferenceConfig)"),
        "invoke_asynchronously": ("ValidationError", "no asynchronous inference (InvokeEndpointAsync)"),
        "look_for_lineage": ("UnknownOperationException", "no lineage"),
    }
    assert set(said) == set(expected)
    for asked, (code, words) in expected.items():
        assert said[asked][0] == code, asked
        assert words in said[asked][1], asked
        assert "What works: " in said[asked][1], asked
