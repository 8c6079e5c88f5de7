"""What the tests of the local SageMaker share: a role, a bucket, valid requests."""

import json
from typing import Any

from localcloud import Connection
from tests.system.cloud_process import eventually

BUCKET = "loupe-jobs"
# What a role needs to run jobs and host models in a state machine, besides their own data.
RUNS_JOBS = ("sagemaker:*", "iam:PassRole", "ecr:*", "events:*", "cloudwatch:PutMetricData")
_TRUST = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"Service": ["sagemaker.amazonaws.com", "states.amazonaws.com"]},
        "Action": "sts:AssumeRole",
    },
}


def make_role(cloud: Connection, name: str, *actions: str) -> str:
    """Create a role for SageMaker and Step Functions that allows `actions`, and return its ARN."""
    iam = cloud.client("iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))["Role"]
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    iam.put_role_policy(RoleName=name, PolicyName="actions", PolicyDocument=document)
    return str(role["Arn"])


def make_data(cloud: Connection) -> None:
    """Create a bucket with two files as training data."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="data/a.txt", Body=b"alpha")
    s3.put_object(Bucket=BUCKET, Key="data/deep/b.txt", Body=b"beta")


def training(
    name: str, role: str, hyperparameters: dict[str, str] | None = None, **members: Any
) -> dict[str, Any]:
    """Return a valid CreateTrainingJob request."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data"}
    return {
        "TrainingJobName": name,
        "RoleArn": role,
        "AlgorithmSpecification": {
            "TrainingImage": "trainer:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "val:map", "Regex": "val:map=([0-9.]+)"}],
        },
        "HyperParameters": hyperparameters or {},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **members,
    }


def processing(name: str, role: str, *arguments: str) -> dict[str, Any]:
    """Return a valid CreateProcessingJob request; the program gets further arguments."""
    source, target = "/opt/ml/processing/input", "/opt/ml/processing/output"
    data = {"S3Uri": f"s3://{BUCKET}/data", "LocalPath": source, "S3DataType": "S3Prefix"}
    report = {"S3Uri": f"s3://{BUCKET}/report", "LocalPath": target, "S3UploadMode": "EndOfJob"}
    return {
        "ProcessingJobName": name,
        "RoleArn": role,
        "AppSpecification": {
            "ImageUri": "trainer:1",
            "ContainerEntrypoint": ["python", "-m", "training.process"],
            "ContainerArguments": ["--input", source, "--output", target, *arguments],
        },
        "Environment": {"COLOUR": "red"},
        "ProcessingInputs": [{"InputName": "data", "S3Input": data}],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "report", "S3Output": report}]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
        },
    }


def ended(cloud: Connection, kind: str, name: str, timeout_s: float = 60) -> dict[str, Any]:
    """Wait until a job has ended, and return its description."""
    client = cloud.client("sagemaker")
    describe = {
        "TrainingJob": client.describe_training_job,
        "ProcessingJob": client.describe_processing_job,
        "HyperParameterTuningJob": client.describe_hyper_parameter_tuning_job,
    }[kind]

    def describe_if_ended() -> dict[str, Any] | None:
        description: dict[str, Any] = describe(**{f"{kind}Name": name})
        ended = description[f"{kind}Status"] in ("Completed", "Failed", "Stopped")
        return description if ended else None

    result: dict[str, Any] = eventually(describe_if_ended, timeout_s)
    return result
