"""The AWS CLI, with nothing but the variables of `loupe env`."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.clients.bench import REPOSITORY, Bench, FailedError
from tests.system.cloud_process import eventually

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]
PICTURES = REPOSITORY / "samples/line-1/top"
DEFECTIVE = REPOSITORY / "samples/line-2/bottom/SN1003.jpg"
_ENDED = re.compile(r"END RequestId: (\S+)")


def test_the_caller_is_the_operator_of_the_local_cloud(bench: Bench):
    identity = bench.aws_json("sts", "get-caller-identity")
    assert identity["Arn"] == f"arn:aws:iam::{bench.cloud.account_id}:user/loupe-operator"


def test_files_are_copied_listed_synchronized_and_removed(bench: Bench, tmp_path: Path):
    names = sorted(file.name for file in PICTURES.iterdir())
    bucket = f"s3://{bench.environment['LOUPE_ARTEFACTS_BUCKET']}"
    place = f"{bucket}/sagemaker/cli"
    assert bucket.removeprefix("s3://") in bench.aws("s3", "ls")
    bench.aws("s3", "cp", str(PICTURES / names[0]), f"{place}/{names[0]}")
    uploaded = bench.aws("s3", "sync", str(PICTURES), place, "--no-progress")
    assert uploaded.count("upload: ") == len(names) - 1  # the one that was copied is there already
    assert [line.split()[-1] for line in bench.aws("s3", "ls", f"{place}/").splitlines()] == names
    bench.aws("s3", "sync", place, str(tmp_path), "--no-progress")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        name: (PICTURES / name).read_bytes() for name in names
    }
    bench.aws("s3", "rm", place, "--recursive")
    with pytest.raises(FailedError):  # `ls` of nothing ends with 1
        bench.aws("s3", "ls", f"{place}/")


def test_whoever_has_a_presigned_link_reads_the_file(bench: Bench):
    place = f"s3://{bench.environment['LOUPE_ARTEFACTS_BUCKET']}/sagemaker/cli-link.jpg"
    bench.aws("s3", "cp", str(DEFECTIVE), place)
    link = bench.aws("s3", "presign", place).strip()
    # As a browser asks that follows the link from another page, such as a notebook's.
    clicked = urllib.request.Request(link, headers={"Sec-Fetch-Site": "cross-site"})
    with urllib.request.urlopen(clicked) as answer:
        assert answer.read() == DEFECTIVE.read_bytes()
    forged = urllib.request.Request(link.replace("cli-link", "cli/model"))
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(forged)


class Inspected:
    """A picture that was uploaded with the CLI, and its record."""

    def __init__(self, bench: Bench, serial: str) -> None:
        self.uri = f"s3://{bench.environment['LOUPE_IMAGES_BUCKET']}/incoming/line-2/bottom/{serial}.jpg"
        bench.aws("s3", "cp", str(DEFECTIVE), self.uri)
        self.record: dict[str, Any] = eventually(functools.partial(self._find, bench))

    def _find(self, bench: Bench) -> dict[str, Any] | None:
        table = bench.environment["LOUPE_INSPECTIONS_TABLE"]
        found = bench.aws_json(
            *("dynamodb", "query", "--table-name", table),
            *("--key-condition-expression", "image = :image"),
            *("--expression-attribute-values", json.dumps({":image": {"S": self.uri}})),
        )
        return next(iter(found["Items"]), None)


@pytest.fixture(scope="module")
def inspected(bench: Bench) -> Inspected:
    return Inspected(bench, "CLI1")


def test_an_uploaded_picture_is_inspected_and_its_record_is_queried(inspected: Inspected):
    assert inspected.record["verdict"] == {"S": "fail"}
    assert {each["M"]["label"]["S"] for each in inspected.record["detections"]["L"]} >= {"patches"}


def function(bench: Bench) -> str:
    """Return the name of the function that inspects, asked as the documentation says."""
    query = "Stacks[0].Outputs[?OutputKey=='InspectFunctionName'].OutputValue"
    arguments = ("--stack-name", bench.environment["LOUPE_STACK"], "--query", query, "--output", "text")
    name = bench.aws("cloudformation", "describe-stacks", *arguments).strip()
    assert name == bench.cloud.outputs["InspectFunctionName"]
    return name


def group(bench: Bench) -> str:
    return str(
        bench.aws(
            *("lambda", "get-function-configuration", "--function-name", function(bench)),
            *("--query", "LoggingConfig.LogGroup", "--output", "text"),
        ).strip()
    )


def test_the_log_is_searched_by_fields_and_by_words(bench: Bench, inspected: Inspected):
    def messages(pattern: str) -> list[str]:
        found = bench.aws_json(
            "logs", "filter-log-events", "--log-group-name", group(bench), "--filter-pattern", pattern
        )
        return [event["message"] for event in found["events"]]

    assert "/aws/lambda" in bench.aws("logs", "describe-log-groups")
    by_line = messages('{ $.line = "line-2" && $.Failed[0] >= 1 }')
    assert by_line
    assert all(json.loads(message)["line"] == "line-2" for message in by_line)
    assert messages('{ $.line = "line-9" }') == []
    assert all(message.startswith("REPORT") for message in messages('"Billed Duration"'))


def test_the_metrics_are_listed_and_read(bench: Bench, inspected: Inspected):
    name = function(bench)
    listed = bench.aws_json(
        *("cloudwatch", "list-metrics", "--namespace", "AWS/Lambda", "--metric-name", "Invocations"),
        *("--dimensions", f"Name=FunctionName,Value={name}"),
    )
    assert len(listed["Metrics"]) == 1
    metric = {
        "Namespace": "AWS/Lambda",
        "MetricName": "Invocations",
        "Dimensions": [{"Name": "FunctionName", "Value": name}],
    }
    now = datetime.now(UTC)
    queries = [
        {"Id": "calls", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}},
        {"Id": "half", "Expression": "calls / 2", "Label": "half of them"},
    ]
    answer = bench.aws_json(
        *("cloudwatch", "get-metric-data", "--metric-data-queries", json.dumps(queries)),
        *("--start-time", (now - timedelta(hours=1)).isoformat()),
        *("--end-time", (now + timedelta(minutes=1)).isoformat()),
    )
    calls, half = answer["MetricDataResults"]
    assert sum(calls["Values"]) >= 1
    assert half["Values"] == [value / 2 for value in calls["Values"]]
    assert [calls["Label"], half["Label"]] == ["Invocations", "half of them"]
    assert calls["Timestamps"] == sorted(calls["Timestamps"], reverse=True)
    assert bench.aws_json("cloudwatch", "describe-alarms")["MetricAlarms"]


def test_the_endpoint_is_described_and_asked(bench: Bench, tmp_path: Path):
    endpoint = bench.environment["LOUPE_ENDPOINT"]
    listed = bench.aws_json("sagemaker", "list-endpoints")["Endpoints"]
    assert endpoint in [each["EndpointName"] for each in listed]
    described = bench.aws_json("sagemaker", "describe-endpoint", "--endpoint-name", endpoint)
    assert described["EndpointStatus"] == "InService"
    answer = tmp_path / "answer.json"
    bench.aws(
        *("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", endpoint),
        *("--content-type", "image/jpeg", "--body", f"fileb://{DEFECTIVE}", str(answer)),
    )
    labels = [
        found["label"] for found in json.loads(answer.read_text())["detections"] if found["score"] > 0.9
    ]
    assert labels == ["patches", "patches"]


def test_an_endpoint_that_is_not_there_is_told_in_the_words_of_aws(bench: Bench):
    with pytest.raises(
        FailedError, match=r'Could not find endpoint "arn:aws:sagemaker:[^"]*:endpoint/nothing"'
    ):
        bench.aws("sagemaker", "describe-endpoint", "--endpoint-name", "nothing")


def test_a_model_and_a_configuration_are_created_tagged_described_and_deleted(bench: Bench):
    container = {"Image": bench.environment["LOUPE_SERVING_IMAGE"], "ModelDataUrl": starter(bench)}
    bench.aws(
        *("sagemaker", "create-model", "--model-name", "cli", "--tags", "Key=by,Value=cli"),
        *("--primary-container", json.dumps(container)),
        *("--execution-role-arn", bench.environment["LOUPE_TRAINING_ROLE_ARN"]),
    )
    variant = f"VariantName=all,ModelName=cli,InstanceType={bench.environment['LOUPE_HOSTING_INSTANCE_TYPE']}"
    bench.aws(
        *("sagemaker", "create-endpoint-config", "--endpoint-config-name", "cli"),
        *("--production-variants", f"{variant},InitialInstanceCount=1"),
    )
    model = bench.aws_json("sagemaker", "describe-model", "--model-name", "cli")
    assert model["PrimaryContainer"]["Image"] == container["Image"]
    tags = bench.aws_json("sagemaker", "list-tags", "--resource-arn", model["ModelArn"])["Tags"]
    assert tags == [{"Key": "by", "Value": "cli"}]
    config = bench.aws_json("sagemaker", "describe-endpoint-config", "--endpoint-config-name", "cli")
    assert config["ProductionVariants"][0]["ModelName"] == "cli"
    bench.aws("sagemaker", "delete-endpoint-config", "--endpoint-config-name", "cli")
    bench.aws("sagemaker", "delete-model", "--model-name", "cli")
    assert bench.aws_json("sagemaker", "list-models", "--name-contains", "cli")["Models"] == []


def starter(bench: Bench) -> str:
    """Return where the starter model is."""
    place = f"s3://{bench.environment['LOUPE_ARTEFACTS_BUCKET']}/sagemaker/cli/model.tar.gz"
    bench.aws("s3", "cp", str(REPOSITORY / "models/starter/model.tar.gz"), place)
    return place


@pytest.fixture
def queue(bench: Bench) -> Iterator[str]:
    """A queue that takes the messages of topics of this account."""
    arn = f"arn:aws:sqs:{bench.cloud.region}:{bench.cloud.account_id}:cli"
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    attributes = json.dumps({"Policy": policy})
    url = sqs(bench, "create-queue", "--queue-name", "cli", "--attributes", attributes)["QueueUrl"]
    yield url
    sqs(bench, "delete-queue", "--queue-url", url)


def sqs(bench: Bench, *arguments: str) -> Any:
    """Version 1 of the CLI ignores AWS_ENDPOINT_URL for this service alone."""
    return bench.aws_json("sqs", *arguments, "--endpoint-url", bench.environment["AWS_ENDPOINT_URL"])


def test_a_message_of_a_topic_reaches_a_queue(bench: Bench, queue: str):
    topic = bench.aws_json("sns", "create-topic", "--name", "cli")["TopicArn"]
    assert topic in [each["TopicArn"] for each in bench.aws_json("sns", "list-topics")["Topics"]]
    described = sqs(bench, "get-queue-attributes", "--queue-url", queue, "--attribute-names", "QueueArn")
    bench.aws(
        *("sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs"),
        *("--notification-endpoint", described["Attributes"]["QueueArn"]),
        *("--attributes", "RawMessageDelivery=true"),
    )
    bench.aws("sns", "publish", "--topic-arn", topic, "--message", "a dent")
    (message,) = sqs(bench, "receive-message", "--queue-url", queue, "--wait-time-seconds", "20")["Messages"]
    assert message["Body"] == "a dent"
    bench.aws("sns", "delete-topic", "--topic-arn", topic)


def test_the_queues_of_the_stack_are_listed(bench: Bench):
    assert bench.cloud.outputs["DeadLetterQueueUrl"] in sqs(bench, "list-queues")["QueueUrls"]


def test_the_state_machine_is_described(bench: Bench):
    machine = bench.cloud.outputs["RetrainStateMachineArn"]
    listed = bench.aws_json("stepfunctions", "list-state-machines")["stateMachines"]
    assert machine in [each["stateMachineArn"] for each in listed]
    described = bench.aws_json("stepfunctions", "describe-state-machine", "--state-machine-arn", machine)
    assert json.loads(described["definition"])["States"]
    executions = bench.aws_json("stepfunctions", "list-executions", "--state-machine-arn", machine)
    assert executions["executions"] == []


def test_the_stack_and_its_resources_are_described(bench: Bench):
    stack = bench.environment["LOUPE_STACK"]
    assert stack in bench.aws("cloudformation", "list-stacks")
    resource = bench.aws_json(
        *("cloudformation", "describe-stack-resource", "--stack-name", stack),
        *("--logical-resource-id", "InspectionsTable"),
    )
    assert (
        resource["StackResourceDetail"]["PhysicalResourceId"] == bench.environment["LOUPE_INSPECTIONS_TABLE"]
    )


def test_the_rules_are_read_in_the_parameter_store(bench: Bench):
    name = bench.cloud.outputs["RulesParameterName"]
    parameter = bench.aws_json("ssm", "get-parameter", "--name", name)["Parameter"]
    assert json.loads(parameter["Value"])["default"]["fail_score"]
    assert name in [each["Name"] for each in bench.aws_json("ssm", "describe-parameters")["Parameters"]]


def test_a_repository_is_created_listed_and_deleted(bench: Bench):
    made = bench.aws_json("ecr", "create-repository", "--repository-name", "cli/serve")["repository"]
    listed = bench.aws_json("ecr", "describe-repositories")["repositories"]
    assert made["repositoryArn"] in [each["repositoryArn"] for each in listed]
    assert bench.aws_json("ecr", "list-images", "--repository-name", "cli/serve")["imageIds"] == []
    bench.aws("ecr", "delete-repository", "--repository-name", "cli/serve")
    assert bench.aws_json("ecr", "describe-repositories")["repositories"] == []


@functools.cache
def second_version() -> str | None:
    """Return the path of an AWS CLI of version 2, which no package index has; None without one."""
    for folder in os.environ["PATH"].split(os.pathsep):
        program = Path(folder, "aws")
        if program.is_file():
            version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
            if version.startswith("aws-cli/2."):
                return str(program)
    return None


def test_the_log_is_followed_by_version_2(bench: Bench, inspected: Inspected):
    program = second_version()
    if program is None:
        pytest.skip("there is no AWS CLI of version 2 (Debian, Ubuntu: apt-get install awscli)")
    # Before 2.13 it ignores AWS_ENDPOINT_URL.
    command = [program, "--endpoint-url", bench.environment["AWS_ENDPOINT_URL"], "logs", "tail", group(bench)]
    found = bench.run([*command, "--since", "1h", "--filter-pattern", '"Billed Duration"'])
    assert "REPORT RequestId" in found
    known = ended(bench)
    follower = subprocess.Popen(
        [*command, "--since", "1h", "--follow"],
        env=bench.variables(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert follower.stdout is not None
    try:
        # First the lines that were there, and after the next look those of a picture that comes now.
        assert "RequestId" in follower.stdout.readline()
        Inspected(bench, "CLI2")
        assert any(set(_ENDED.findall(line)) - known for line in follower.stdout)
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()


def ended(bench: Bench) -> set[str]:
    """Return the invocations of the function that inspects which have ended."""
    found = bench.aws_json(
        "logs", "filter-log-events", "--log-group-name", group(bench), "--filter-pattern", '"END RequestId"'
    )
    return {request for event in found["events"] for request in _ENDED.findall(event["message"])}
