"""The local cloud alone, with the small chain in `cloud/`."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from boto3.dynamodb.conditions import Attr
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud import (
    AlreadyRunningError,
    DeployError,
    NotRunningError,
    PortInUseError,
    connection,
)
from localcloud.cloud import LocalCloud
from localcloud.deploy import deploy
from loupe.stack.alarms import alarms
from loupe.stack.alert_inbox import AlarmMessage, AlertInbox
from loupe.stack.target import Target
from tests.system.cloud_process import CloudProcess, eventually, host, settled, wait_until_saved
from tests.system.site_client import Client

pytestmark = pytest.mark.system
REPO = Path(__file__).parent / "cloud"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    shell = {"AWS_PROFILE": "somebody", "AWS_SECRET_ACCESS_KEY": "canary", "A_SECRET": "canary"}
    cloud = CloudProcess(tmp_path_factory.mktemp("home"), REPO, **shell)
    yield cloud
    assert cloud.stop() == 0


@pytest.fixture(scope="module")
def cloud(process: CloudProcess) -> Any:
    """The connection, with the endpoint that the chain calls."""
    connected = process.connection
    assert host(connected, "allowed", **hosting(connected), name="one")["EndpointStatus"] == "InService"
    return connected


def hosting(cloud: Any) -> dict[str, str]:
    return {"bucket": cloud.outputs["ModelsBucketName"], "role": cloud.outputs["ModelRoleArn"]}


def call(cloud: Any, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
    """Call AWS from the inspect function."""
    return act(cloud, operation, service=service, **{"with": arguments})


def act(cloud: Any, do: str, **event: Any) -> dict[str, Any]:
    """Run one action in the inspect function, with its role's permissions."""
    answer = cloud.client("lambda").invoke(
        FunctionName=cloud.outputs["InspectName"], Payload=json.dumps({"do": do, **event})
    )
    result: dict[str, Any] = json.load(answer["Payload"])
    return result


def drop(cloud: Any, key: str, body: bytes = b"image") -> dict[str, Any]:
    """Upload an image, and return its record once it exists."""
    cloud.client("s3").put_object(Bucket=cloud.outputs["BucketName"], Key=key, Body=body)
    return eventually(lambda: record(cloud, key))


def record(cloud: Any, key: str) -> dict[str, Any] | None:
    table, dynamodb = cloud.outputs["TableName"], cloud.client("dynamodb")
    return dynamodb.get_item(TableName=table, Key={"image": {"S": key}}).get("Item")


def messages(cloud: Any, url: str) -> list[str]:
    received = cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [message["Body"] for message in received]


def invoke(cloud: Any, body: bytes = b"image", endpoint: str = "allowed") -> dict[str, Any]:
    once = Config(retries={"total_max_attempts": 1})
    answer = cloud.client("sagemaker-runtime", once).invoke_endpoint(EndpointName=endpoint, Body=body)
    result: dict[str, Any] = json.load(answer["Body"])
    return result


def request(cloud: Any, method: str, path: str, **headers: str) -> int:
    """Send an HTTP request without an SDK, and return its status."""
    client = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)
    client.request(method, path, headers=headers)
    return client.getresponse().status


class TestGuard:
    def test_web_pages_unsigned_callers_and_administration_are_refused(self, cloud: Any) -> None:
        function = "/2015-03-31/functions"
        assert request(cloud, "POST", function, Origin="https://evil.example") == 403
        assert request(cloud, "POST", function, **{"Sec-Fetch-Site": "cross-site"}) == 403
        assert request(cloud, "GET", "/", Host="evil.example") == 403
        assert request(cloud, "GET", f"/{cloud.outputs['BucketName']}") == 403
        assert request(cloud, "POST", "/_ministack/reset") == 403
        root = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"
        assert request(cloud, "GET", "/", Authorization=root) == 403

    def test_a_presigned_link_opens_in_a_browser(self, cloud: Any) -> None:
        drop(cloud, "picture")
        target = {"Bucket": cloud.outputs["BucketName"], "Key": "picture"}
        link = cloud.client("s3").generate_presigned_url("get_object", Params=target)
        path = link.removeprefix(cloud.endpoint_url)
        assert request(cloud, "GET", path, **{"Sec-Fetch-Site": "cross-site"}) == 200
        assert request(cloud, "GET", path.replace("picture", "another"), **{"Sec-Fetch-Site": "none"}) == 403

    def test_a_wrong_secret_is_refused_by_every_service(self, cloud: Any) -> None:
        stranger = connection_with(cloud, secret_access_key="0" * 40)
        with pytest.raises(ClientError, match="Signature"):
            stranger.client("s3").list_buckets()
        with pytest.raises(ClientError, match="Signature"):
            stranger.client("sagemaker").list_endpoints()
        with pytest.raises(ClientError, match="Signature"):
            invoke(stranger)

    def test_the_home_is_private(self, process: CloudProcess) -> None:
        assert process.home.stat().st_mode & 0o777 == 0o700
        assert (process.home / "cloud.json").stat().st_mode & 0o777 == 0o600


def connection_with(cloud: Any, **changes: Any) -> Any:
    return type(cloud)(**{field: getattr(cloud, field) for field in cloud.__dataclass_fields__} | changes)


class TestStarting:
    def test_a_second_start_names_the_process_and_port_of_the_first(self, process: CloudProcess) -> None:
        with pytest.raises(AlreadyRunningError, match=f"process {process.process.pid} on port"):
            LocalCloud(process.home).start()

    def test_a_port_in_use_is_refused(self, process: CloudProcess, tmp_path: Path) -> None:
        with pytest.raises(PortInUseError, match=str(process.connection.port)):
            LocalCloud(tmp_path, port=process.connection.port).start()

    def test_a_home_without_a_running_cloud_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(NotRunningError, match="No local cloud is running"):
            connection(tmp_path)


class TestDeploying:
    def test_only_a_change_updates_the_stack(self, cloud: Any, tmp_path: Path) -> None:
        def updated() -> Any:
            return cloud.client("cloudformation").describe_stacks()["Stacks"][0].get("LastUpdatedTime")

        before = updated()
        assert deploy(cloud, REPO, {}) == cloud.outputs
        assert updated() == before
        assert deploy(cloud, REPO, {"Greeting": "good evening"}) == cloud.outputs
        environment = act(cloud, "environment")
        assert (environment["GREETING"], environment["LIMIT"]) == ("good evening", "4")
        changed = shutil.copytree(REPO, tmp_path / "repo")
        source = changed / "functions" / "chain.py"
        source.write_text(source.read_text().replace("short and stout", "tall and thin"))
        deploy(cloud, changed, {})
        assert act(cloud, "raise")["errorMessage"] == "tall and thin"
        deploy(cloud, REPO, {})

    def test_a_refused_template_reports_the_reason(self, cloud: Any, tmp_path: Path) -> None:
        broken = shutil.copytree(REPO, tmp_path / "repo")
        template = broken / "template.yaml"
        template.write_text(template.read_text().replace("!GetAtt Dead.Arn, max", "!GetAtt Missing.Arn, max"))
        with pytest.raises(DeployError, match="Queue: Invalid value for the parameter RedrivePolicy"):
            deploy(cloud, broken, {})


class TestFunctions:
    def test_an_image_goes_through_the_whole_chain(self, cloud: Any) -> None:
        assert drop(cloud, "line 1/äöü+defect.jpg", b"12345")["size"] == {"N": "5"}
        alerts = eventually(lambda: messages(cloud, cloud.outputs["AlertsUrl"]))
        assert "defect" in json.loads(alerts[0])["Message"]

    def test_a_function_has_the_permissions_of_its_role(self, cloud: Any) -> None:
        denied = call(cloud, "sagemaker-runtime", "invoke_endpoint", EndpointName="other", Body="x")
        assert denied["errorType"] == "ClientError"
        assert "not authorized to perform: sagemaker:InvokeEndpoint" in denied["errorMessage"]
        allowed = {"EndpointName": "allowed", "Body": "x"}
        assert call(cloud, "sagemaker-runtime", "invoke_endpoint", **allowed) == {"status": 200}

    def test_an_exception_is_reported_under_its_name(self, cloud: Any) -> None:
        assert act(cloud, "raise") == {"errorType": "TeapotError", "errorMessage": "short and stout"}

    def test_an_invocation_ends_on_the_version_that_it_began_with(self, cloud: Any) -> None:
        functions, name = cloud.client("lambda"), cloud.outputs["InspectName"]
        with ThreadPoolExecutor(1) as pool:
            asleep = pool.submit(act, cloud, "sleep", seconds=4)
            eventually(lambda: record(cloud, "asleep"))
            functions.update_function_configuration(FunctionName=name, Timeout=21)
            assert asleep.result() is None
        assert act(cloud, "raise")["errorType"] == "TeapotError"

    def test_no_variable_of_the_shell_reaches_a_function_or_a_model(self, cloud: Any) -> None:
        for environment in (act(cloud, "environment"), invoke(cloud, b"environment")):
            assert "canary" not in environment.values()
            assert "AWS_PROFILE" not in environment
            assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")

    def test_logs_are_in_a_file(self, process: CloudProcess, cloud: Any) -> None:
        act(cloud, "emit", value=7)
        log = process.home / "logs" / f"function-{cloud.outputs['InspectName']}.log"
        eventually(lambda: "CloudWatchMetrics" in log.read_text())

    def test_a_failing_stream_record_ends_in_the_failure_queue_and_raises_the_alarm(self, cloud: Any) -> None:
        dead = cloud.outputs["DeadUrl"]
        cloud.client("cloudwatch").put_metric_alarm(
            AlarmName="dead letters",
            Namespace="AWS/SQS",
            MetricName="ApproximateNumberOfMessagesVisible",
            Dimensions=[{"Name": "QueueName", "Value": dead.rsplit("/", 1)[-1]}],
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            AlarmActions=[cloud.outputs["TopicArn"]],
        )
        drop(cloud, "poison")
        drop(cloud, "defect after it")
        alerts: list[dict[str, Any]] = []

        def arrived() -> bool:
            alerts.extend(map(json.loads, messages(cloud, cloud.outputs["AlertsUrl"])))
            bodies = {alert["Message"] for alert in alerts}
            subjects = {alert.get("Subject") for alert in alerts}
            return "defect after it" in bodies and 'ALARM: "dead letters" in us-east-1' in subjects

        eventually(arrived)
        assert json.loads(messages(cloud, dead)[0])["requestContext"]["condition"] == "RetryAttemptsExhausted"

    def test_metrics_in_logs_and_of_endpoints_reach_cloudwatch(self, cloud: Any) -> None:
        act(cloud, "emit", value=7)
        invoke(cloud)

        def total(namespace: str, metric: str, **dimensions: str) -> float:
            points = cloud.client("cloudwatch").get_metric_statistics(
                Namespace=namespace,
                MetricName=metric,
                Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
                StartTime=time.time() - 600,
                EndTime=time.time() + 60,
                Period=3600,
                Statistics=["Sum"],
            )["Datapoints"]
            return sum(point["Sum"] for point in points)

        assert eventually(lambda: total("Test", "Emitted", line="a")) >= 7
        endpoint = {"EndpointName": "allowed", "VariantName": "AllTraffic"}
        assert total("AWS/SageMaker", "Invocations", **endpoint) > 0
        assert total("AWS/SageMaker", "ModelLatency", **endpoint) > 0


class TestEndpoints:
    def test_errors_are_as_on_aws(self, cloud: Any) -> None:
        with pytest.raises(ClientError, match=r"Endpoint nowhere of account 0{12} not found") as unknown:
            invoke(cloud, endpoint="nowhere")
        assert unknown.value.response["Error"]["Code"] == "ValidationError"
        assert unknown.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        with pytest.raises(ClientError, match=r"Received client error \(415\) from primary") as refused:
            invoke(cloud, b"refuse")
        assert refused.value.response["Error"]["Code"] == "ModelError"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424
        assert refused.value.response["OriginalStatusCode"] == 415
        assert "no image" in refused.value.response["OriginalMessage"]
        assert invoke(cloud, b"x" * 6_291_456)["size"] == 6_291_456
        with pytest.raises(ClientError, match="content length exceeded"):
            invoke(cloud, b"x" * 6_291_457)

    def test_what_is_not_there_says_what_works(self, cloud: Any) -> None:
        with pytest.raises(ClientError, match=r"\(NoSuchBucket\).*JumpStart's models.*What works: to train"):
            cloud.client("s3").get_object(Bucket="jumpstart-cache-prod-us-east-1", Key="models_manifest.json")
        with pytest.raises(ClientError, match=r"\(404\)"):
            cloud.client("s3").head_object(
                Bucket="jumpstart-cache-prod-us-east-1", Key="models_manifest.json"
            )
        runtime = cloud.client("sagemaker-runtime")
        with pytest.raises(ClientError, match=r"\(ValidationError\).*What works: InvokeEndpoint"):
            runtime.invoke_endpoint_async(EndpointName="allowed", InputLocation="s3://bucket/key")
        with pytest.raises(ClientError, match=r"\(ValidationError\).*What works: InvokeEndpoint"):
            runtime.invoke_endpoint_with_response_stream(EndpointName="allowed", Body=b"image")
        with pytest.raises(ClientError, match=r"\(UnknownOperationException\).*What works: "):
            cloud.client("sagemaker").list_contexts()

    def test_a_server_that_dies_is_replaced(self, cloud: Any) -> None:
        before = invoke(cloud)["pid"]
        with pytest.raises(ClientError, match=r"server error \(0\)"):
            invoke(cloud, b"die")

        def again() -> dict[str, Any] | None:
            with contextlib.suppress(cloud.client("sagemaker-runtime").exceptions.ServiceUnavailable):
                return invoke(cloud)
            return None

        assert eventually(again)["pid"] != before

    def test_a_model_that_does_not_start_gives_the_reason(self, cloud: Any) -> None:
        failed = host(cloud, "broken", **hosting(cloud), broken="no such weights")
        assert failed["EndpointStatus"] == "Failed"
        assert "ping health check" in failed["FailureReason"]
        assert "no such weights" in failed["FailureReason"]
        kept = host(cloud, "allowed", **hosting(cloud), broken="no such weights")
        assert (kept["EndpointStatus"], invoke(cloud)["model"]) == ("InService", "one")
        assert "no such weights" in kept["FailureReason"]

    def test_an_update_under_load_loses_nothing(self, cloud: Any) -> None:
        host(cloud, "busy", **hosting(cloud), name="old", seconds=0.05)
        host(cloud, "busy", **hosting(cloud), name="new", seconds=0.05, settle=False)
        client = cloud.client("sagemaker-runtime", Config(retries={"total_max_attempts": 1}))
        done = threading.Event()

        def work() -> list[str]:
            models = []
            while not done.is_set():
                answer = client.invoke_endpoint(EndpointName="busy", Body=b"image")
                models.append(json.load(answer["Body"])["model"])
            return models

        with ThreadPoolExecutor(4) as threads:
            workers = [threads.submit(work) for _ in range(4)]
            settled(cloud, "busy")
            time.sleep(0.3)
            done.set()
            models = [model for worker in workers for model in worker.result()]
        assert {"old", "new"} == set(models)
        assert invoke(cloud, endpoint="busy")["model"] == "new"

    def test_a_deleted_endpoint_ends_its_server(self, process: CloudProcess, cloud: Any) -> None:
        host(cloud, "brief", **hosting(cloud), name="brief")
        server = psutil.Process(invoke(cloud, endpoint="brief")["pid"])
        cloud.client("sagemaker").delete_endpoint(EndpointName="brief")
        server.wait(timeout=60)
        with pytest.raises(ClientError, match="not found"):
            invoke(cloud, endpoint="brief")


class TestTheRealTemplate:
    def test_deploys_as_it_is_and_feeds_its_alarms(self, loupe_process: CloudProcess, target: Target) -> None:
        """Every alarm on queues, functions, endpoint and API gets data."""
        Client(loupe_process.connection.site_url).sign_in("nobody", "")
        samples = sorted((REPO.parents[2] / "samples").rglob("*.jpg"))
        for sample in samples:
            target.s3.put_object(
                Bucket=target.output("ImagesBucketName"),
                Key=f"incoming/line/station/{sample.name}",
                Body=sample.read_bytes(),
            )
        table = target.dynamodb.Table(target.output("InspectionsTableName"))
        # The cloud is shared with other tests.
        of_this_test = Attr("line").eq("line")
        eventually(lambda: table.scan(FilterExpression=of_this_test)["Count"] == len(samples))
        cloudwatch = loupe_process.connection.client("cloudwatch")

        def fed() -> bool:
            described = cloudwatch.describe_alarms()["MetricAlarms"]
            pages = cloudwatch.get_paginator("list_metrics").paginate()
            measured = [identity(metric) for page in pages for metric in page["Metrics"]]
            without_data = {
                alarm["MetricName"]
                for alarm in described
                if identity(alarm) not in measured and not is_of_seldom_function(alarm)
            }
            # These have data only after an image waited, the queue got something foreign, or a retraining failed.
            expected = {"Deferred", "UnknownMessages", "ExecutionsFailed", "ExecutionsTimedOut"}
            return without_data <= expected and len(described) > 5

        def is_of_seldom_function(alarm: dict[str, Any]) -> bool:
            """Whether the alarm is on a function that no image invokes: after a failed run, by the clock or by hand."""
            names = [dimension["Value"].lower() for dimension in alarm["Dimensions"]]
            return any(
                word in name for name in names for word in ("aftermath", "hours", "reconcile", "replay")
            )

        eventually(fed)

    def test_the_endpoints_log_is_in_cloudwatch_logs(self, target: Target) -> None:
        group = f"/aws/sagemaker/Endpoints/{target.output('EndpointName')}"

        def lines() -> list[str]:
            with contextlib.suppress(target.logs.exceptions.ResourceNotFoundException):
                events = target.logs.filter_log_events(logGroupName=group)["events"]
                return [event["message"] for event in events]
            return []

        assert any('"event": "serving"' in line for line in eventually(lines))

    def test_an_alarm_reaches_the_operations_topic(self, loupe_process: CloudProcess, target: Target) -> None:
        inbox = AlertInbox(target)
        dead = target.output("DeadLetterQueueUrl")
        target.sqs.send_message(QueueUrl=dead, MessageBody="an image that could not be processed")
        received: list[AlarmMessage] = []

        def arrived() -> bool:
            messages = [message for message in inbox.receive() if isinstance(message, AlarmMessage)]
            received.extend(message for message in messages if message.name == "DeadLetterAlarm")
            return bool(received)

        eventually(arrived)
        assert received[0].state == "ALARM"
        assert "was greater than the threshold (0.0)" in received[0].reason
        (alarm,) = [alarm for alarm in alarms(target) if alarm.name == "DeadLetterAlarm"]
        assert (alarm.state, alarm.reason) == ("ALARM", received[0].reason)
        target.sqs.purge_queue(QueueUrl=dead)


def identity(metric: dict[str, Any]) -> tuple[str, str, frozenset[tuple[str, str]]]:
    """What tells a metric from all others."""
    dimensions = {(dimension["Name"], dimension["Value"]) for dimension in metric["Dimensions"]}
    return metric["Namespace"], metric["MetricName"], frozenset(dimensions)


class TestEnding:
    def test_a_killed_cloud_leaves_no_process_and_comes_back_with_its_data_also_on_another_port(
        self, tmp_path: Path
    ) -> None:
        first = CloudProcess(tmp_path, REPO)
        host(first.connection, "allowed", **hosting(first.connection), name="one")
        drop(first.connection, "before")
        wait_until_saved(tmp_path, "before")
        children = first.children()
        assert len(children) >= 2
        first.kill()
        assert psutil.wait_procs(children, timeout=60)[1] == []

        again = CloudProcess(tmp_path, REPO)
        cloud = again.connection
        assert cloud.port == first.connection.port
        assert cloud.access_key_id == first.connection.access_key_id
        bucket = cloud.outputs["BucketName"]
        assert cloud.client("s3").get_object(Bucket=bucket, Key="before")["Body"].read() == b"image"
        assert record(cloud, "before")
        assert settled(cloud, "allowed")["EndpointStatus"] == "InService"
        drop(cloud, "a defect after the restart")
        alerts = eventually(lambda: messages(cloud, cloud.outputs["AlertsUrl"]))
        assert "after the restart" in alerts[0]

        children = again.children()
        assert again.stop() == 0
        assert psutil.wait_procs(children, timeout=60)[1] == []

        # The port is taken: the queues move to another one.
        with socket.socket() as squatter:
            squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            squatter.bind(("127.0.0.1", cloud.port))
            squatter.listen()
            moved = CloudProcess(tmp_path, REPO)
        assert moved.connection.port != cloud.port
        settled(moved.connection, "allowed")
        assert drop(moved.connection, "elsewhere")
        assert moved.stop() == 0
        assert os.environ.get("GATEWAY_PORT") is None
