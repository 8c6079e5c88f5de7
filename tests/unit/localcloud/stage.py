"""SageMaker over moto's S3 and CloudWatch Logs; its jobs are real child processes."""

import io
import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3

from localcloud.sagemaker import SageMaker
from localcloud.sagemaker.hosting.fleets import Fleet
from localcloud.sagemaker.hosting.model_server import ServerError
from localcloud.sagemaker.services import Services

REPO = Path(__file__).parents[2] / "system" / "cloud"
ROLE = "arn:aws:iam::000000000000:role/model"
BUCKET = "loupe"


class MotoRoles:
    """Roles with all permissions."""

    region, account = "us-east-1", "000000000000"

    def environment(self, role_arn: str) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": "ASIA0", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "x"}

    def client(self, service: str, role_arn: str) -> Any:
        return boto3.client(service, region_name=self.region)  # type: ignore[call-overload]

    def may_put_metrics(self, role_arn: str, namespace: str) -> bool:
        return True


class SocketlessFleet(Fleet):
    """A fleet whose server is not started, because unit tests open no sockets; it fails if its environment says so."""

    def start(self) -> None:
        if reason := self.plan["environment"].get("BROKEN"):
            raise ServerError(reason)


class MotoAlarms:
    """The alarms of moto's CloudWatch."""

    def put(self, alarm: dict[str, Any]) -> None:
        boto3.client("cloudwatch", region_name="us-east-1").put_metric_alarm(**alarm)

    def delete(self, names: list[str]) -> None:
        boto3.client("cloudwatch", region_name="us-east-1").delete_alarms(AlarmNames=names)


class Stage:
    """A SageMaker with a state folder, an S3 bucket and what the tests read of them.

    Attributes:
        folder: The state folder, which also contains the logs.
        measured: The recorded data points.
        s3: The client of S3.
        layers: What the layers in ECR contain, by digest.
        cloud: The SageMaker that runs at the moment.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.measured: list[tuple[Any, ...]] = []
        self.layers: dict[str, bytes] = {}
        self.s3 = boto3.client("s3", region_name="us-east-1")
        self.s3.create_bucket(Bucket=BUCKET)
        self.put("data/a.txt", "alpha")
        self.put("data/deep/b.txt", "beta")
        self.cloud = self._make()

    def _make(self) -> SageMaker:
        return SageMaker(
            self.folder,
            self.folder,
            REPO,
            MotoRoles(),  # type: ignore[arg-type]
            Services(lambda *point: self.measured.append(point), MotoAlarms(), self._layer),
            self.folder / "quotas.json",
        )

    def _layer(self, repository: str, digest: str) -> bytes | None:
        return self.layers.get(digest)

    def restart(self) -> None:
        """End SageMaker, and start another with the same state."""
        self.cloud.close()
        self.cloud = self._make()
        self.cloud.resume()

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        return self.cloud.call(operation, request)

    def put(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def keys(self, prefix: str = "") -> list[str]:
        objects = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [entry["Key"] for entry in objects]

    def text(self, key: str) -> str:
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()

    def model(self, description: dict[str, Any]) -> dict[str, Any]:
        """model.json in the artefact of a training job: what the program found in its environment."""
        key = description["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
        packed = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            file = tar.extractfile("model.json")
            assert file is not None
            content: dict[str, Any] = json.load(file)
        return content

    def train(
        self, name: str, hyperparameters: dict[str, str] | None = None, **members: Any
    ) -> dict[str, Any]:
        """CreateTrainingJob; `members` replace those of the request."""
        return self.call("CreateTrainingJob", **training_request(name, hyperparameters, **members))

    def ended(self, kind: str, name: str) -> dict[str, Any]:
        """The description of a job once it has ended."""

        def look() -> dict[str, Any] | None:
            description = self.call(f"Describe{kind}", **{f"{kind}Name": name})
            ended = description[f"{kind}Status"] in ("Completed", "Failed", "Stopped")
            return description if ended else None

        result: dict[str, Any] = eventually(look)
        return result

    def trained(
        self, name: str, hyperparameters: dict[str, str] | None = None, **members: Any
    ) -> dict[str, Any]:
        """The description of a new training job once it has ended."""
        self.train(name, hyperparameters, **members)
        return self.ended("TrainingJob", name)

    def config(
        self, name: str, instances: int = 1, instance_type: str = "ml.m5.large", **environment: str
    ) -> None:
        """Create a model and an endpoint configuration of that name; `environment` is the container's."""
        container = {"Image": "loupe/serve:local", "Environment": environment}
        self.call("CreateModel", ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InstanceType": instance_type,
            "InitialInstanceCount": instances,
        }
        self.call("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=[variant])

    def serve(self, name: str, **config: Any) -> None:
        """Create an endpoint with a configuration of the same name, and wait until it serves."""
        self.config(name, **config)
        self.call("CreateEndpoint", EndpointName=name, EndpointConfigName=name)
        assert self.settled(name)["EndpointStatus"] == "InService"

    def settled(self, name: str) -> dict[str, Any]:
        """The description of an endpoint once no change is in progress."""

        def look() -> dict[str, Any] | None:
            description = self.call("DescribeEndpoint", EndpointName=name)
            return description if description["EndpointStatus"] in ("InService", "Failed") else None

        result: dict[str, Any] = eventually(look)
        return result

    def log(self, name: str) -> str:
        """The output of a training job's programs so far."""
        file = self.folder / f"training-job-{name}.log"
        return file.read_text() if file.exists() else ""


def channel(uri: str = f"s3://{BUCKET}/data", kind: str = "S3Prefix", name: str = "train") -> dict[str, Any]:
    """An input channel."""
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": uri}}}


def training_request(
    name: str, hyperparameters: dict[str, str] | None = None, **members: Any
) -> dict[str, Any]:
    """A valid CreateTrainingJob request."""
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": "trainer:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": "val:map", "Regex": r"val:map=([0-9.e-]+)"},
                {"Name": "val:loss", "Regex": r"val:loss=([0-9.e-]+)"},
            ],
        },
        "HyperParameters": hyperparameters or {},
        "InputDataConfig": [channel()],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out/"},
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **members,
    }


def eventually(check: Callable[[], Any], timeout_s: float = 60) -> Any:
    """The first true result of `check`."""
    deadline = time.monotonic() + timeout_s
    while not (result := check()):
        assert time.monotonic() < deadline, f"not within {timeout_s} seconds"
        time.sleep(0.05)
    return result
