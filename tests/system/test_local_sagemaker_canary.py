"""Canaries: two fleets at the same time, a rollback on an alarm, and no request lost."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud import Connection
from tests.system.cloud_process import CloudProcess, eventually, host, model_archive, settled

pytestmark = pytest.mark.system
REPO = Path(__file__).parent / "cloud"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    cloud = CloudProcess(tmp_path_factory.mktemp("home"), REPO)
    yield cloud
    assert cloud.stop() == 0


@pytest.fixture(scope="module")
def cloud(process: CloudProcess) -> Connection:
    return process.connection


def hosting(cloud: Connection) -> dict[str, str]:
    return {"bucket": cloud.outputs["ModelsBucketName"], "role": cloud.outputs["ModelRoleArn"]}


def canary(wait_s: int, percent: int = 25, alarm: str | None = None, **policy: Any) -> dict[str, Any]:
    """Return a DeploymentConfig with a canary."""
    size = {"Type": "CAPACITY_PERCENT", "Value": percent}
    routing = {"Type": "CANARY", "WaitIntervalInSeconds": wait_s, "CanarySize": size}
    config: dict[str, Any] = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **policy}}
    if alarm is not None:
        config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": alarm}]}
    return config


def update(cloud: Connection, endpoint: str, config: dict[str, Any] | None, **model: Any) -> str:
    """Update an endpoint to a new model, and return the name of its configuration."""
    sagemaker, place = cloud.client("sagemaker"), hosting(cloud)
    name = f"{endpoint}-{time.time_ns()}"
    key = f"models/{name}.tar.gz"
    cloud.client("s3").put_object(Bucket=place["bucket"], Key=key, Body=model_archive(**model))
    container = {"Image": "detector:2", "ModelDataUrl": f"s3://{place['bucket']}/{key}"}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=place["role"])
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant | {"InitialInstanceCount": 2}]
    )
    options = {"DeploymentConfig": config} if config is not None else {}
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=name, **options)
    return name


class Load:
    """Requests without a pause from four callers.

    Attributes:
        invocations: When each request began, and its answer or the code of its error.
    """

    def __init__(self, cloud: Connection, endpoint: str) -> None:
        self._client = cloud.client("sagemaker-runtime", Config(retries={"total_max_attempts": 1}))
        self._endpoint = endpoint
        self._done = threading.Event()
        self.invocations: list[tuple[float, str]] = []

    def _work(self) -> None:
        while not self._done.is_set():
            began = time.monotonic()
            try:
                answer = self._client.invoke_endpoint(EndpointName=self._endpoint, Body=b"image")
                answer = answer["Body"].read().decode()
            except ClientError as error:
                answer = error.response["Error"]["Code"]
            self.invocations.append((began, answer))

    def __enter__(self) -> "Load":
        self._pool = ThreadPoolExecutor(4)
        self._workers: list[Future[None]] = [self._pool.submit(self._work) for _ in range(4)]
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for worker in self._workers:
            worker.result()
        self._pool.shutdown()

    def answers(self, since: float = 0, until: float = float("inf")) -> list[str]:
        return [answer for began, answer in self.invocations if since <= began < until]


def describe(cloud: Connection, endpoint: str) -> dict[str, Any]:
    description: dict[str, Any] = cloud.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    return description


def baking(cloud: Connection, endpoint: str) -> dict[str, Any]:
    """Wait until the canary gets requests, and return the endpoint's description."""

    def describe_if_baking() -> dict[str, Any] | None:
        description = describe(cloud, endpoint)
        (variant,) = description["PendingDeploymentSummary"]["ProductionVariants"]
        return description if variant["VariantStatus"][0]["Status"] == "Baking" else None

    result: dict[str, Any] = eventually(describe_if_baking)
    return result


def servers(process: CloudProcess, endpoint: str) -> int:
    """Return how many servers of an endpoint run."""
    count = 0
    for child in process.children():
        try:
            count += f"/endpoints/{endpoint}/" in child.cwd()
        except psutil.Error:
            continue
    return count


def test_a_canary_gets_its_share_then_all_requests(process: CloudProcess, cloud: Connection) -> None:
    host(cloud, "shared", **hosting(cloud), name="old", seconds=0.02)
    with Load(cloud, "shared") as load:
        name = update(cloud, "shared", canary(4, TerminationWaitInSeconds=1), name="new", seconds=0.02)
        during = baking(cloud, "shared")
        since = time.monotonic()
        assert during["EndpointStatus"] == "Updating"
        (old,) = during["ProductionVariants"]
        pending = during["PendingDeploymentSummary"]
        (new,) = pending["ProductionVariants"]
        assert (old["CurrentWeight"], new["CurrentWeight"]) == (0.75, 0.25)
        assert (pending["EndpointConfigName"], new["InstanceType"]) == (name, "ml.m5.large")
        assert servers(process, "shared") == 2
        eventually(lambda: len(load.answers(since)) >= 60)
        until = time.monotonic()
        done = settled(cloud, "shared")
        after = time.monotonic()
        eventually(lambda: len(load.answers(after)) >= 8)
    shared = load.answers(since, until)
    assert sum('"new"' in answer for answer in shared) / len(shared) == pytest.approx(0.25, abs=0.06)
    assert all('"new"' in answer for answer in load.answers(after))
    assert not [answer for answer in load.answers() if '"new"' not in answer and '"old"' not in answer]
    assert (done["EndpointStatus"], done["EndpointConfigName"]) == ("InService", name)
    assert done["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 1
    assert "PendingDeploymentSummary" not in done
    assert "FailureReason" not in done
    eventually(lambda: servers(process, "shared") == 1)


@pytest.mark.promise(16)
def test_an_alarm_rolls_back_to_the_old_model(process: CloudProcess, cloud: Connection) -> None:
    """The whole chain: errors of the canary, their metric, the alarm, the rollback."""
    host(cloud, "guarded", **hosting(cloud), name="old")
    before = describe(cloud, "guarded")["EndpointConfigName"]
    dimensions = {"EndpointName": "guarded", "VariantName": "AllTraffic"}
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="guarded-errors",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=2,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    with Load(cloud, "guarded") as load:
        update(cloud, "guarded", canary(120, 10, "guarded-errors"), name="new", status=500)
        baking(cloud, "guarded")
        rolled = settled(cloud, "guarded")
        after = time.monotonic()
        eventually(lambda: len(load.answers(after)) >= 8)
    assert (rolled["EndpointStatus"], rolled["EndpointConfigName"]) == ("InService", before)
    assert "alarms went into ALARM state: [guarded-errors]" in rolled["FailureReason"]
    assert set(load.answers()) - {"ModelError"} == {answer for answer in load.answers() if '"old"' in answer}
    assert all('"old"' in answer for answer in load.answers(after))
    eventually(lambda: servers(process, "guarded") == 1)
    update(cloud, "guarded", None, name="third")
    assert "FailureReason" not in settled(cloud, "guarded")


def test_a_canary_that_does_not_start_changes_nothing(process: CloudProcess, cloud: Connection) -> None:
    host(cloud, "firm", **hosting(cloud), name="old")
    with Load(cloud, "firm") as load:
        update(cloud, "firm", canary(60), broken="no such weights")
        kept = settled(cloud, "firm")
    assert kept["EndpointStatus"] == "InService"
    assert "no such weights" in kept["FailureReason"]
    assert all('"old"' in answer for answer in load.answers())
    assert servers(process, "firm") == 1


def test_an_unknown_alarm_rolls_back(cloud: Connection) -> None:
    host(cloud, "unsure", **hosting(cloud), name="old")
    update(cloud, "unsure", canary(60, alarm="nobody"), name="new")
    assert "no CloudWatch alarm nobody" in settled(cloud, "unsure")["FailureReason"]


def test_a_bad_deployment_config_and_a_second_update_are_refused(cloud: Connection) -> None:
    host(cloud, "strict", **hosting(cloud), name="old")
    with pytest.raises(ClientError, match="less than or equal to 50%"):
        update(cloud, "strict", canary(1, percent=60), name="new")
    update(cloud, "strict", canary(2), name="new")
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        update(cloud, "strict", canary(2), name="newer")
    settled(cloud, "strict")


def test_a_full_container_is_the_callers_error(cloud: Connection) -> None:
    """What answers 429 must not look as broken as what answers 500: alarms on 5XX roll models back."""
    host(cloud, "full", **hosting(cloud), name="busy", status=429)
    with pytest.raises(ClientError) as caught:
        cloud.client("sagemaker-runtime").invoke_endpoint(EndpointName="full", Body=b"x")
    answer: Any = caught.value.response
    assert (answer["Error"]["Code"], answer["OriginalStatusCode"]) == ("ModelError", 429)
    assert answer["Error"]["Message"].startswith("Received client error (429) from primary")
    now = datetime.now(UTC)
    for name, value in (("Invocation4XXErrors", 1), ("Invocation5XXErrors", 0), ("Invocations", 1)):
        points = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=name,
            Dimensions=[
                {"Name": "EndpointName", "Value": "full"},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        assert sum(point["Sum"] for point in points) == value, name


def test_autoscaling_and_quotas_have_their_apis(cloud: Connection) -> None:
    host(cloud, "scaled", **hosting(cloud), name="old")
    scaling = cloud.client("application-autoscaling")
    variant = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/scaled/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    scaling.register_scalable_target(**variant, MinCapacity=1, MaxCapacity=3)
    put = scaling.put_scaling_policy(
        **variant,
        PolicyName="invocations",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={"TargetValue": 60, "PredefinedMetricSpecification": metric},
    )
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert target["MaxCapacity"] == 3
    names = [alarm["AlarmName"] for alarm in put["Alarms"]]
    describe_alarms = cloud.client("cloudwatch").describe_alarms
    assert len(describe_alarms(AlarmNames=names)["MetricAlarms"]) == 2
    scaling.deregister_scalable_target(**variant)
    assert describe_alarms(AlarmNames=names)["MetricAlarms"] == []
    with pytest.raises(scaling.exceptions.ObjectNotFoundException):
        scaling.deregister_scalable_target(**variant)

    quotas = cloud.client("service-quotas")
    pages = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    values = {quota["QuotaName"]: quota["Value"] for page in pages for quota in page["Quotas"]}
    assert values["ml.g5.xlarge for endpoint usage"] >= 1
    with pytest.raises(quotas.exceptions.NoSuchResourceException):
        quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode="L-0")


@pytest.mark.slow
def test_a_cloud_killed_during_a_deployment_begins_it_again(tmp_path: Path) -> None:
    first = CloudProcess(tmp_path, REPO)
    host(first.connection, "halfway", **hosting(first.connection), name="old")
    name = update(first.connection, "halfway", canary(3), name="new")
    baking(first.connection, "halfway")
    state = tmp_path / "state" / "iam.json"
    eventually(lambda: state.exists() and "ModelRole" in state.read_text())
    first.kill()
    again = CloudProcess(tmp_path, REPO)
    statuses = []

    def is_updated() -> bool:
        description = describe(again.connection, "halfway")
        statuses.append(description["EndpointStatus"])
        return bool(
            description["EndpointStatus"] == "InService" and description["EndpointConfigName"] == name
        )

    eventually(is_updated)
    assert "Updating" in statuses
    answer = again.connection.client("sagemaker-runtime").invoke_endpoint(EndpointName="halfway", Body=b"x")
    assert b'"new"' in answer["Body"].read()
    assert again.stop() == 0
