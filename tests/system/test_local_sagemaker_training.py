"""The real programs as jobs: train a detector, evaluate it, tune it, serve it."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud import Connection
from tests.system.cloud_process import CloudProcess, eventually, settled
from tests.system.sagemaker_stage import BUCKET, ended, make_role, training
from training.datasets.generated.synthetic import generate

pytestmark = [pytest.mark.system, pytest.mark.slow]
REPOSITORY = Path(__file__).parents[2]
SETTINGS = {
    "family": "ssdlite",
    "input_size": "128",
    "epochs": "1",
    "batch_size": "8",
    "workers": "0",
    "validate_every": "1",
}
ROOT = "/opt/ml/processing"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    generate(folder, 24, seed=5, size=128)
    return folder


def upload(cloud: Connection, folder: Path) -> None:
    """Upload all files in `folder` to where the jobs read them."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for file in folder.rglob("*"):
        if file.is_file():
            s3.upload_file(str(file), BUCKET, f"data/{file.relative_to(folder).as_posix()}")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Connection]:
    process = CloudProcess(tmp_path_factory.mktemp("home"), REPOSITORY)
    upload(process.connection, images)
    yield process.connection
    assert process.stop() == 0


@pytest.fixture(scope="module")
def role(cloud: Connection) -> str:
    return make_role(cloud, "trainer", "s3:*", "logs:*")


@pytest.fixture(scope="module")
def trained(cloud: Connection, role: str) -> dict[str, Any]:
    """The description of a real training job."""
    cloud.client("sagemaker").create_training_job(**training("real", role, SETTINGS))
    done = ended(cloud, "TrainingJob", "real", 240)
    assert done["TrainingJobStatus"] == "Completed", done
    return done


def card(cloud: Connection, uri: str) -> dict[str, Any]:
    """Return model.json of an artefact in S3."""
    key = uri.removeprefix(f"s3://{BUCKET}/")
    packed = cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        file = tar.extractfile("model.json")
        assert file is not None
        content: dict[str, Any] = json.load(file)
    return content


def test_a_detector_is_trained(cloud: Connection, trained: dict[str, Any]) -> None:
    model = card(cloud, trained["ModelArtifacts"]["S3ModelArtifacts"])
    assert (model["family"], model["input_size"]) == ("ssdlite", 128)
    assert {metric["MetricName"] for metric in trained["FinalMetricDataList"]} == {"val:map"}


def test_it_is_evaluated(cloud: Connection, role: str, trained: dict[str, Any]) -> None:
    def given(name: str, uri: str) -> dict[str, Any]:
        place = {"S3Uri": uri, "LocalPath": f"{ROOT}/input/data/{name}", "S3DataType": "S3Prefix"}
        return {"InputName": name, "S3Input": place}

    report = {
        "S3Uri": f"s3://{BUCKET}/report",
        "LocalPath": f"{ROOT}/output/data",
        "S3UploadMode": "EndOfJob",
    }
    cloud.client("sagemaker").create_processing_job(
        ProcessingJobName="evaluate",
        RoleArn=role,
        AppSpecification={
            "ImageUri": "trainer:1",
            "ContainerEntrypoint": ["python", "-m", "training.evaluate"],
        },
        Environment={"LOUPE_ML_ROOT": ROOT},
        ProcessingInputs=[
            given("model", trained["ModelArtifacts"]["S3ModelArtifacts"]),
            given("test", f"s3://{BUCKET}/data"),
        ],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "report", "S3Output": report}]},
        ProcessingResources={
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
        },
    )
    done = ended(cloud, "ProcessingJob", "evaluate", 120)
    assert done["ProcessingJobStatus"] == "Completed", done
    body = cloud.client("s3").get_object(Bucket=BUCKET, Key="report/evaluation.json")["Body"]
    evaluation = json.load(body)
    assert evaluation["split"] == "test"
    assert evaluation["trained_on_this_dataset"]


def test_it_is_tuned_two_at_a_time(cloud: Connection, role: str) -> None:
    definition = training("unused", role)
    del definition["TrainingJobName"], definition["HyperParameters"]
    rate = {"Name": "learning_rate", "MinValue": "0.0001", "MaxValue": "0.01", "ScalingType": "Logarithmic"}
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="tune",
        HyperParameterTuningJobConfig={
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "val:map"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {"ContinuousParameterRanges": [rate]},
        },
        TrainingJobDefinition=definition | {"StaticHyperParameters": SETTINGS},
    )
    done = ended(cloud, "HyperParameterTuningJob", "tune", 280)
    assert done["HyperParameterTuningJobStatus"] == "Completed", done
    assert done["TrainingJobStatusCounters"]["Completed"] == 3
    best = done["BestTrainingJob"]
    model = card(cloud, f"s3://{BUCKET}/out/{best['TrainingJobName']}/output/model.tar.gz")
    tuned = float(best["TunedHyperParameters"]["learning_rate"])
    assert model["hyperparameters"]["learning_rate"] == tuned


def test_it_detects_behind_an_endpoint(cloud: Connection, role: str, trained: dict[str, Any]) -> None:
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="detectors")
    container = {"Image": "detector:1", "ModelDataUrl": trained["ModelArtifacts"]["S3ModelArtifacts"]}
    package = sagemaker.create_model_package(
        ModelPackageGroupName="detectors",
        ModelApprovalStatus="Approved",
        InferenceSpecification={"Containers": [container]},
    )["ModelPackageArn"]
    sagemaker.create_model(
        ModelName="real", ExecutionRoleArn=role, PrimaryContainer={"ModelPackageName": package}
    )
    variant = {
        "VariantName": "v",
        "ModelName": "real",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="real", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="real", EndpointConfigName="real")
    assert settled(cloud, "real")["EndpointStatus"] == "InService"
    image = (REPOSITORY / "samples/line-2/bottom/SN1003.jpg").read_bytes()
    answer = cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="real", Body=image, ContentType="image/jpeg"
    )
    assert "detections" in json.load(answer["Body"])
    # As the page for users of Lookout for Vision calls it.
    page = (REPOSITORY / "docs/migrate-from-lookout.md").read_text()
    code = "import base64" + page.partition("```python\nimport base64")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the page is ours
    asked = {"ProjectName": "real", "ModelVersion": "1", "Body": image, "ContentType": "image/jpeg"}
    result = names["detect_anomalies"](**asked, runtime=cloud.client("sagemaker-runtime"))
    assert result["DetectAnomalyResult"]["AnomalyMask"].startswith(b"\x89PNG")
    assert result["DetectAnomalyResult"]["Anomalies"][0]["Name"] == "background"


def test_a_training_job_killed_with_the_cloud_continues_after_its_last_epoch(
    tmp_path: Path, images: Path
) -> None:
    first = CloudProcess(tmp_path, REPOSITORY)
    upload(first.connection, images)
    role = make_role(first.connection, "trainer", "s3:*", "logs:*")
    first.connection.client("sagemaker").create_training_job(
        **training("killed", role, SETTINGS | {"epochs": "3"})
    )
    log = tmp_path / "logs" / "training-job-killed.log"
    eventually(lambda: log.exists() and '"epoch": 1' in log.read_text(), 120)
    eventually(lambda: "trainer" in (tmp_path / "state" / "iam.json").read_text())
    first.kill()

    again = CloudProcess(tmp_path, REPOSITORY)
    done = ended(again.connection, "TrainingJob", "killed", 240)
    assert done["TrainingJobStatus"] == "Completed", done
    lines = log.read_text()
    assert '"event": "resume"' in lines
    assert lines.count('"event": "epoch", "epoch": 1,') == 1
    assert card(again.connection, done["ModelArtifacts"]["S3ModelArtifacts"])["family"] == "ssdlite"
    assert again.stop() == 0
