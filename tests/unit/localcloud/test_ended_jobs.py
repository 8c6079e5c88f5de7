"""The records of jobs are deleted once the jobs have ended, as on SageMaker."""

from pathlib import Path

import pytest

from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.ended_jobs import EndedJobs
from localcloud.sagemaker.resources import Resources
from localcloud.sagemaker.store import Store


@pytest.fixture
def resources(tmp_path: Path) -> Resources:
    return Resources(Store(tmp_path / "sagemaker.json"), "us-east-1", "000000000000")


@pytest.mark.parametrize("kind", ["TrainingJob", "ProcessingJob", "HyperParameterTuningJob"])
def test_a_job_that_has_ended_is_forgotten_and_its_name_is_free_again(
    resources: Resources, kind: str
) -> None:
    tags = [{"Key": "run", "Value": "a"}]
    resources.create(kind, {f"{kind}Name": "a", "Tags": tags}, **{f"{kind}Status": "Failed"})
    EndedJobs(resources).operations()[f"Delete{kind}"]({f"{kind}Name": "a"})
    assert resources.store.all(kind) == []
    assert resources.store.get("Tags", resources.arn(kind, "a")) is None
    resources.check_name_free(kind, "a")


@pytest.mark.parametrize("status", ["InProgress", "Stopping"])
def test_a_job_that_runs_is_not(resources: Resources, status: str) -> None:
    resources.create("TrainingJob", {"TrainingJobName": "a"}, TrainingJobStatus=status)
    with pytest.raises(AwsError, match=f"in status {status}"):
        EndedJobs(resources).operations()["DeleteTrainingJob"]({"TrainingJobName": "a"})
    assert len(resources.store.all("TrainingJob")) == 1
