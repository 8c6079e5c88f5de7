"""The SageMaker SDK 3 as users call it: it trains, tunes, evaluates, deploys, registers and deletes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients.bench import REPOSITORY, Bench
from training.datasets.generated.synthetic import generate

pytestmark = [pytest.mark.clients, pytest.mark.timeout(1000)]
STARTER = REPOSITORY / "models/starter/model.tar.gz"
DEFECTIVE = REPOSITORY / "samples/line-2/bottom/SN1003.jpg"
TOOL = "notebook"


@pytest.fixture(scope="module")
def jobs(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the SDK's jobs came to."""
    pictures = tmp_path_factory.mktemp("pictures")
    generate(pictures, 24, seed=5, size=128)
    result: dict[str, Any] = bench.script(TOOL, "sdk3_jobs", str(pictures))
    return result


def test_a_session_keeps_its_data_in_the_artefacts_bucket_without_asking_for_it(
    bench: Bench, jobs: dict[str, Any]
):
    assert jobs["bucket"] == bench.environment["LOUPE_ARTEFACTS_BUCKET"]
    assert jobs["data"] == f"s3://{jobs['bucket']}/sagemaker/sdk3/data"


def test_a_trainer_trains_with_the_role_of_the_stack_and_shows_its_metric(bench: Bench, jobs: dict[str, Any]):
    trained = jobs["trained"]
    assert trained["status"] == "Completed"
    assert trained["role"] == bench.environment["LOUPE_TRAINING_ROLE_ARN"]
    assert trained["artefact"].startswith(f"s3://{jobs['bucket']}/sagemaker/sdk3/sdk3-")
    assert 0 <= trained["metrics"]["val:map"] <= 1
    assert trained["billable"] >= 1
    assert trained["listed"]


def test_a_tuner_finds_the_best_of_its_jobs(jobs: dict[str, Any]):
    tuned = jobs["tuned"]
    assert tuned["status"] == "Completed"
    assert len(set(tuned["jobs"])) == 2
    assert tuned["best"] in tuned["jobs"]
    assert all(0.0001 <= rate <= 0.01 for rate in tuned["rates"])


def test_a_processor_evaluates_what_was_trained(jobs: dict[str, Any]):
    assert jobs["evaluated"]["split"] == "test"
    assert jobs["evaluated"]["trained_on"]
    assert jobs["evaluated"]["images"] > 0


def test_a_model_is_deployed_judges_is_registered_and_nothing_of_it_stays(bench: Bench):
    served = bench.script(TOOL, "sdk3_serve", str(STARTER), str(DEFECTIVE))
    assert served["status"] == "InService"
    assert served["variant"] == "AllTraffic"
    assert [found["label"] for found in served["detections"] if found["score"] > 0.9] == [
        "patches",
        "patches",
    ]
    assert served["package"].endswith(":model-package/sdk3/1")
    assert served["approved"] == "Approved"
    name = "sdk3-served"
    assert served["before"] == [f"endpoint {name}", f"config {name}", f"model {name}", "group sdk3"]
    assert served["after"] == []


def test_without_the_settings_of_loupe_env_the_sdk_refuses_the_role_and_reports_to_others(
    bench: Bench, tmp_path: Path
):
    """So the settings are what the other tests pass with, and the guard sees who is called."""
    empty = tmp_path / "config.yaml"
    empty.write_text("SchemaVersion: '1.0'\n")
    unset = bench.script(
        TOOL, "sdk3_unset", SAGEMAKER_USER_CONFIG_OVERRIDE=str(empty), SAGEMAKER_VALIDATE_ROLE="true"
    )
    assert "ec2:CreateNetworkInterface" in unset["said"]
    assert any("amazonaws.com" in reached for reached in bench.reached_elsewhere())
