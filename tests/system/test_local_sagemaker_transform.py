"""Transform jobs of the local SageMaker when they are stopped, and when the cloud ends or is killed meanwhile."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import psutil
import pytest

from localcloud import Connection
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.sagemaker_stage import BUCKET, RUNS_JOBS, make_role

pytestmark = [pytest.mark.system, pytest.mark.slow]
REPO = Path(__file__).parent / "cloud"
OBJECTS = 8


def make_model(cloud: Connection) -> None:
    """A model that takes half a second for each object, and the objects."""
    s3, packed = cloud.client("s3"), io.BytesIO()
    card = json.dumps({"name": "slow", "seconds": 0.5}).encode()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("model.json")
        member.size = len(card)
        tar.addfile(member, io.BytesIO(card))
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=packed.getvalue())
    for number in range(OBJECTS):
        s3.put_object(Bucket=BUCKET, Key=f"in/{number}.jpg", Body=b"x" * number)
    cloud.client("sagemaker").create_model(
        ModelName="slow",
        ExecutionRoleArn=make_role(cloud, "judge", "s3:*", "logs:*", *RUNS_JOBS),
        PrimaryContainer={"Image": "serve:1", "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"},
    )


def begin(cloud: CloudProcess, name: str) -> list[psutil.Process]:
    """Start a job, and return the cloud's children once the job has its first answer."""
    cloud.connection.client("sagemaker").create_transform_job(
        TransformJobName=name,
        ModelName="slow",
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"}}
        },
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/{name}"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    eventually(lambda: answers(cloud, name))
    return cloud.children()


def answers(cloud: CloudProcess, name: str) -> list[Path]:
    """What waits to be stored."""
    return list(cloud.home.rglob(f"transform-job/{name}/output/*.out"))


def ended(cloud: CloudProcess, name: str) -> Any:
    sagemaker = cloud.connection.client("sagemaker")

    def look() -> Any:
        status = sagemaker.describe_transform_job(TransformJobName=name)["TransformJobStatus"]
        return status if status not in ("InProgress", "Stopping") else None

    return eventually(look)


def stored(cloud: CloudProcess, name: str) -> int:
    listed = cloud.connection.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"{name}/")
    return len(listed.get("Contents", []))


def test_no_server_outlives_its_job_and_no_answer_is_lost_with_the_cloud(tmp_path: Path) -> None:
    cloud = CloudProcess(tmp_path, REPO)
    make_model(cloud.connection)
    begin(cloud, "stopped")
    cloud.connection.client("sagemaker").stop_transform_job(TransformJobName="stopped")
    assert (ended(cloud, "stopped"), stored(cloud, "stopped")) == ("Stopped", 0)
    eventually(lambda: not answers(cloud, "stopped"))

    children = begin(cloud, "interrupted")
    assert cloud.stop() == 0
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert answers(cloud, "interrupted")
    cloud = CloudProcess(tmp_path, REPO)
    assert (ended(cloud, "interrupted"), stored(cloud, "interrupted")) == ("Completed", OBJECTS)

    children = begin(cloud, "killed")
    cloud.kill()
    cloud = CloudProcess(tmp_path, REPO)
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert (ended(cloud, "killed"), stored(cloud, "killed")) == ("Completed", OBJECTS)
    assert cloud.stop() == 0
