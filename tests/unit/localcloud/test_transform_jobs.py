"""Transform jobs: S3 by moto, and a model server without a socket that answers by what an object contains."""

import gzip
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import boto3
import pytest
from ministack.services import stepfunctions

from localcloud.sagemaker import step_functions
from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.hosting.model_server import NoAnswerError, ServerError
from localcloud.sagemaker.transform import invoker, transform_job
from tests.unit.localcloud.stage import BUCKET, ROLE, Stage, eventually


class ScriptedServer:
    """Answers with the body's size; these bodies are answered otherwise.

    `bad` is refused, `fail` fails, `busy` is refused for the moment when it comes first, `hang` gets no answer, `wait`
    gets one when the server is stopped or `go` is set, `mirror ...` is answered by itself.
    """

    parameters: ClassVar[bytes | None]
    broken: ClassVar[str | None]
    requests: ClassVar[list[tuple[bytes, dict[str, str], float, bool]]]
    go: ClassVar[threading.Event]
    environment: ClassVar[dict[str, str]]

    def __init__(self, root: Path, repo: Path, environment: dict[str, str], log: Any, **_: Any) -> None:
        self.root, self.log = root, log
        self._stopped = threading.Event()
        type(self).environment = environment

    def start(self, timeout_s: float) -> None:
        if self.broken:
            raise ServerError(self.broken)
        self.log.write("the container's own line")

    def execution_parameters(self) -> bytes | None:
        return self.parameters

    def alive(self) -> bool:
        return not self._stopped.is_set()

    def stop(self, drain_s: float = 60, grace_s: float = 5) -> None:
        self._stopped.set()
        self.log.finish()

    def invoke(self, body: bytes, headers: dict[str, str], timeout_s: float, *, chunked: bool) -> Any:
        again = any(body == earlier[0] for earlier in self.requests)
        self.requests.append((body, headers, timeout_s, chunked))
        while body == b"wait" and not self.go.wait(0.01):
            if self._stopped.is_set():
                raise NoAnswerError("ended")
        if body == b"hang":
            raise NoAnswerError("Your invocation timed out")
        status = {b"bad": 422, b"fail": 500, b"busy": 200 if again else 429}.get(body, 200)
        answer = json.dumps({"size": len(body)}).encode() if status == 200 else b'{"error":"as asked"}'
        if body.startswith(b"mirror"):
            answer = body.removeprefix(b"mirror ")
        return SimpleNamespace(status=status, data=answer)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[ScriptedServer]]:
    ScriptedServer.parameters, ScriptedServer.broken = None, None
    ScriptedServer.requests, ScriptedServer.go = [], threading.Event()
    monkeypatch.setattr(transform_job, "ModelServer", ScriptedServer)
    monkeypatch.setattr(invoker, "_FIRST_PAUSE_S", 0.001)
    yield ScriptedServer
    ScriptedServer.go.set()


def request(name: str, source: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """A valid CreateTransformJob request over data/; `source` has further members of the input."""
    data = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/"}
    return {
        "TransformJobName": name,
        "ModelName": "judge",
        "TransformInput": {
            "DataSource": {"S3DataSource": data},
            "ContentType": "image/jpeg",
            **(source or {}),
        },
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/judged"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **members,
    }


def with_source(uri: str, kind: str = "S3Prefix") -> dict[str, Any]:
    return {"DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": f"s3://{BUCKET}/{uri}"}}}


def make_model(stage: Stage, **environment: str) -> None:
    container = {"Image": "loupe/serve:local", "Environment": environment}
    stage.call("CreateModel", ModelName="judge", PrimaryContainer=container, ExecutionRoleArn=ROLE)


def run(stage: Stage, name: str = "one", *arguments: Any, **members: Any) -> dict[str, Any]:
    """The description of a new job once it has ended."""
    if not stage.cloud._resources.store.all("Model"):
        make_model(stage)
    stage.call("CreateTransformJob", **request(name, *arguments, **members))
    return stage.ended("TransformJob", name)


def log_lines(stage: Stage, name: str, suffix: str) -> list[str]:
    """What CloudWatch Logs has in the stream of a job that ends like this."""
    logs, group = boto3.client("logs", region_name="us-east-1"), "/aws/sagemaker/TransformJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/i-")["logStreams"]
    stream = next(found["logStreamName"] for found in streams if found["logStreamName"].endswith(suffix))
    events = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
    return [event["message"].partition("]: ")[2] or event["message"] for event in events]


def test_every_object_is_sent_and_its_answer_stored_under_its_key(
    stage: Stage, server: type[ScriptedServer]
) -> None:
    make_model(stage, LOUPE_WORKERS="1", COLOUR="red")
    environment = {"COLOUR": "blue"}
    output = {"S3OutputPath": f"s3://{BUCKET}/judged/", "Accept": "application/json"}
    stage.put("data/folder/", "")
    created = stage.call(
        "CreateTransformJob", **request("one", Environment=environment, TransformOutput=output)
    )
    assert created == {"TransformJobArn": "arn:aws:sagemaker:us-east-1:000000000000:transform-job/one"}
    done = stage.ended("TransformJob", "one")
    assert done["TransformJobStatus"] == "Completed"
    assert done["CreationTime"] <= done["TransformStartTime"] <= done["TransformEndTime"]
    assert stage.keys("judged") == ["judged/a.txt.out", "judged/deep/b.txt.out"]
    assert stage.text("judged/a.txt.out") == '{"size": 5}'
    headers = {"content-type": "image/jpeg", "accept": "application/json"}
    assert sorted(server.requests) == [(b"alpha", headers, 600, False), (b"beta", headers, 600, False)]
    assert server.environment["COLOUR"] == "blue"
    assert server.environment["LOUPE_WORKERS"] == "1"
    assert server.environment["SAGEMAKER_BATCH"] == "true"
    assert "SAGEMAKER_MAX_PAYLOAD_IN_MB" not in server.environment
    assert log_lines(stage, "one", "/data-log")[0] == (
        "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"
    )


def test_a_description_has_the_values_that_the_request_left_out(
    stage: Stage, server: type[ScriptedServer]
) -> None:
    done = run(stage, ExperimentConfig={"TrialName": "t"}, Tags=[{"Key": "line", "Value": "7"}])
    assert (done["TransformInput"]["SplitType"], done["TransformInput"]["CompressionType"]) == ("None",) * 2
    assert done["TransformOutput"] == {
        "S3OutputPath": f"s3://{BUCKET}/judged",
        "AssembleWith": "None",
        "KmsKeyId": "",
    }
    assert done["DataProcessing"] == {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
    assert done["ExperimentConfig"] == {"TrialName": "t"}
    assert "MaxPayloadInMB" not in done
    tags = stage.call("ListTags", ResourceArn=done["TransformJobArn"])["Tags"]
    assert tags == [{"Key": "line", "Value": "7"}]


def test_the_newest_job_is_listed_first_and_a_name_is_used_once(
    stage: Stage, server: type[ScriptedServer]
) -> None:
    run(stage, "one")
    run(stage, "two", TransformOutput={"S3OutputPath": f"s3://{BUCKET}/again"})
    listed = stage.call("ListTransformJobs", StatusEquals="Completed")["TransformJobSummaries"]
    assert [job["TransformJobName"] for job in listed] == ["two", "one"]
    assert stage.keys("again") == ["again/a.txt.out", "again/deep/b.txt.out"]
    with pytest.raises(AwsError, match="Job name must be unique") as taken:
        stage.call("CreateTransformJob", **request("one"))
    assert taken.value.code == "ResourceInUse"


def test_one_object_that_the_container_refuses_fails_the_job_and_the_others_have_outputs(
    stage: Stage, server: type[ScriptedServer]
) -> None:
    stage.put("data/b.jpg", "bad")
    done = run(stage)
    assert (done["TransformJobStatus"], done["FailureReason"]) == (
        "Failed",
        "ClientError: See job logs for more information",
    )
    assert stage.keys("judged") == ["judged/a.txt.out", "judged/deep/b.txt.out"]
    assert log_lines(stage, "one", "/data-log")[1:5] == [
        "loupe/data/b.jpg: ClientError: 422",
        "loupe/data/b.jpg: ",
        "loupe/data/b.jpg: Message:",
        'loupe/data/b.jpg: {"error":"as asked"}',
    ]
    assert sum(body == b"bad" for body, *_ in server.requests) == 1
    assert log_lines(stage, "one", "") == ["the container's own line"]


@pytest.mark.parametrize(
    ("body", "reason", "line", "sent"),
    [
        (
            "fail",
            "AlgorithmError: See job logs for more information",
            "Bad HTTP status received from algorithm: 500",
            3,
        ),
        (
            "hang",
            "InternalServerError: We encountered an internal error.  Please try again.",
            "Unable to get response from algorithm",
            3,
        ),
    ],
)
def test_a_request_that_fails_is_sent_again_as_often_as_the_job_says(
    stage: Stage, server: type[ScriptedServer], body: str, reason: str, line: str, sent: int
) -> None:
    stage.put("data/b.jpg", body)
    client = {"InvocationsMaxRetries": 2, "InvocationsTimeoutInSeconds": 7}
    done = run(stage, ModelClientConfig=client)
    assert done["FailureReason"] == reason
    assert f"loupe/data/b.jpg: {line}" in log_lines(stage, "one", "/data-log")
    assert [timeout for given, _, timeout, _ in server.requests if given == body.encode()] == [7] * sent


def test_a_busy_container_is_asked_again(stage: Stage, server: type[ScriptedServer]) -> None:
    stage.put("data/b.jpg", "busy")
    assert run(stage)["TransformJobStatus"] == "Completed"
    assert stage.text("judged/b.jpg.out") == '{"size": 4}'


def test_a_stopped_job_stores_nothing(stage: Stage, server: type[ScriptedServer]) -> None:
    stage.put("data/z.jpg", "wait")
    make_model(stage)
    stage.call("CreateTransformJob", **request("one"))
    eventually(lambda: any(body == b"wait" for body, *_ in server.requests))
    assert stage.call("DescribeTransformJob", TransformJobName="one")["TransformJobStatus"] == "InProgress"
    stage.call("StopTransformJob", TransformJobName="one")
    stopped = stage.ended("TransformJob", "one")
    assert stopped["TransformJobStatus"] == "Stopped"
    assert "FailureReason" not in stopped
    assert stage.keys("judged") == []
    eventually(lambda: not (stage.folder / "jobs/transform-job/one").exists())
    with pytest.raises(AwsError, match="in status Stopped"):
        stage.call("StopTransformJob", TransformJobName="one")


def test_a_job_goes_on_after_a_restart_of_the_cloud_also_without_its_model(
    stage: Stage, server: type[ScriptedServer]
) -> None:
    stage.put("data/z.jpg", "wait")
    make_model(stage)
    stage.call("CreateTransformJob", **request("one"))
    eventually(lambda: any(body == b"wait" for body, *_ in server.requests))
    stage.call("DeleteModel", ModelName="judge")
    server.requests.clear()
    stage.restart()
    eventually(lambda: server.requests)
    server.go.set()
    assert stage.ended("TransformJob", "one")["TransformJobStatus"] == "Completed"
    assert stage.keys("judged") == ["judged/a.txt.out", "judged/deep/b.txt.out", "judged/z.jpg.out"]
    assert [body for body, *_ in server.requests] == [b"wait"]


@pytest.mark.parametrize(
    ("uri", "outputs"),
    [
        ("data", ["judged/a.txt.out", "judged/deep/b.txt.out"]),
        ("data/de", ["judged/deep/b.txt.out"]),
        ("data/deep/b.txt", ["judged/b.txt.out"]),
    ],
)
def test_a_prefix_may_end_anywhere_in_a_key(
    stage: Stage, server: type[ScriptedServer], uri: str, outputs: list[str]
) -> None:
    assert run(stage, "one", with_source(uri))["TransformJobStatus"] == "Completed"
    assert stage.keys("judged") == outputs


def test_a_manifest_names_the_objects(stage: Stage, server: type[ScriptedServer]) -> None:
    manifest = [{"prefix": f"s3://{BUCKET}/data/"}, "deep/b.txt", "gone.txt"]
    stage.put("lists/some.manifest", json.dumps(manifest))
    done = run(stage, "one", with_source("lists/some.manifest", "ManifestFile"))
    assert done["FailureReason"] == "ClientError: See job logs for more information"
    assert stage.keys("judged") == ["judged/deep/b.txt.out"]
    assert any("gone.txt: An error occurred (NoSuchKey)" in line for line in log_lines(stage, "one", "-log"))


def test_lines_are_records_whose_answers_are_joined_with_them_in_order(
    stage: Stage, server: type[ScriptedServer]
) -> None:
    stage.put("lists/some.jsonl", '{"part":1,"key":"a"}\n\n{"part":2,"key":"bb"}\n')
    json_type = "application/json"
    source = with_source("lists/") | {"SplitType": "Line", "ContentType": json_type}
    output = {"S3OutputPath": f"s3://{BUCKET}/judged", "AssembleWith": "Line", "Accept": json_type}
    processing = {
        "InputFilter": "$.key",
        "JoinSource": "Input",
        "OutputFilter": "$['part','SageMakerOutput']",
    }
    run(
        stage,
        "one",
        source,
        TransformOutput=output,
        DataProcessing=processing,
        BatchStrategy="SingleRecord",
        MaxConcurrentTransforms=4,
    )
    assert sorted(body for body, *_ in server.requests) == [b'"a"', b'"bb"']
    lines = [json.loads(line) for line in stage.text("judged/some.jsonl.out").splitlines()]
    assert lines == [
        {"part": 1, "SageMakerOutput": {"size": 3}},
        {"part": 2, "SageMakerOutput": {"size": 4}},
    ]


def test_a_packed_object_is_unpacked(stage: Stage, server: type[ScriptedServer]) -> None:
    stage.s3.put_object(Bucket=BUCKET, Key="packed/a.gz", Body=gzip.compress(b"unpacked"))
    stage.put("packed/b.gz", "not packed")
    done = run(stage, "one", with_source("packed/") | {"CompressionType": "Gzip"})
    assert stage.text("judged/a.gz.out") == '{"size": 8}'
    assert done["FailureReason"].startswith("ClientError: ")
    assert stage.keys("judged") == ["judged/a.gz.out"]


def test_an_object_larger_than_the_payload_is_not_sent(stage: Stage, server: type[ScriptedServer]) -> None:
    stage.put("data/large.jpg", "x" * (1024 * 1024 + 1))
    done = run(stage, MaxPayloadInMB=1)
    assert done["FailureReason"] == "ClientError: See job logs for more information"
    line = "loupe/data/large.jpg: ClientError: 1,048,577 bytes are more than MaxPayloadInMB allows"
    assert any(text.startswith(line) for text in log_lines(stage, "one", "-log"))
    assert server.environment["SAGEMAKER_MAX_PAYLOAD_IN_MB"] == "1"
    assert max(len(body) for body, *_ in server.requests) == 5


def test_a_state_machine_waits_for_a_job(stage: Stage, server: type[ScriptedServer]) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html has CreateTransformJob."""
    make_model(stage)
    answer = step_functions._invoke_optimized(stage.cloud, "createTransformJob.sync", request("one"))
    assert answer["TransformJobStatus"] == "Completed"
    stage.put("data/b.jpg", "bad")
    with pytest.raises(stepfunctions._ExecutionError, match="See job logs for more information"):
        step_functions._invoke_optimized(stage.cloud, "createTransformJob.sync", request("two"))


def test_outputs_are_encrypted_with_the_key_of_the_job(stage: Stage, server: type[ScriptedServer]) -> None:
    key = boto3.client("kms", region_name="us-east-1").create_key()["KeyMetadata"]["KeyId"]
    run(stage, TransformOutput={"S3OutputPath": f"s3://{BUCKET}", "KmsKeyId": key})
    stored = stage.s3.head_object(Bucket=BUCKET, Key="a.txt.out")
    assert (stored["ServerSideEncryption"], stored["SSEKMSKeyId"]) == ("aws:kms", key)


def test_an_unlimited_payload_is_sent_in_chunks(stage: Stage, server: type[ScriptedServer]) -> None:
    assert run(stage, MaxPayloadInMB=0)["TransformJobStatus"] == "Completed"
    assert {chunked for *_, chunked in server.requests} == {True}


def test_the_container_says_how_it_is_asked_best(stage: Stage, server: type[ScriptedServer]) -> None:
    server.parameters = (
        b'{"MaxConcurrentTransforms": 3, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 33}'
    )
    run(stage, MaxPayloadInMB=10)
    assert log_lines(stage, "one", "/data-log")[0] == (
        "MaxConcurrentTransforms=3, MaxPayloadInMB=10, BatchStrategy=SINGLE_RECORD"
    )


def test_a_container_that_does_not_start_fails_the_job(stage: Stage, server: type[ScriptedServer]) -> None:
    server.broken = "Model container failed to respond to ping. Please ensure ...: the program ended"
    done = run(stage)
    assert done["TransformJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("AlgorithmError: Model container failed to respond to ping. ")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"ModelName": "another"}, 'Could not find model "arn:aws:sagemaker:us-east-1:000000000000:model/another"'),
        (
            {"TransformInput": with_source("empty/")},
            f'No S3 objects found under S3 URL "s3://{BUCKET}/empty/" given in input data source.',
        ),
        ({"TransformInput": with_source("data", "AugmentedManifestFile")}, "S3Prefix or ManifestFile"),
        ({"TransformInput": with_source("data") | {"SplitType": "RecordIO"}}, "by Line or not at all"),
        ({"MaxPayloadInMB": 101}, "at most 100"),
        ({"MaxPayloadInMB": 20, "MaxConcurrentTransforms": 6}, "at most 100, not 6 \\* 20"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://b/c"}}, "captures no data"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "an image has no fields"),
        ({"TransformOutput": {"S3OutputPath": "https://bucket/judged"}}, "s3://"),
        ({"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 101}}, "at most 100"),
        ({"TransformResources": {"InstanceType": "ml.none", "InstanceCount": 1}}, "enum value set"),
        ({"BatchStrategy": "Every"}, "enum value set"),
    ],
)  # fmt: skip
def test_a_bad_request_is_refused(
    stage: Stage, server: type[ScriptedServer], members: dict[str, Any], message: str
) -> None:
    make_model(stage)
    with pytest.raises(AwsError, match=message) as refused:
        stage.call("CreateTransformJob", **request("bad") | members)
    assert refused.value.code == "ValidationException"
    with pytest.raises(AwsError, match="Could not find requested job with name: bad"):
        stage.call("DescribeTransformJob", TransformJobName="bad")


def test_a_path_of_a_filter_must_be_one_that_sagemaker_knows(
    stage: Stage, server: type[ScriptedServer]
) -> None:
    make_model(stage)
    source = {"ContentType": "application/json"}
    output = {"S3OutputPath": f"s3://{BUCKET}/judged", "Accept": "application/json"}
    with pytest.raises(AwsError, match=r"OutputFilter: .* is not a JSONPath"):
        stage.call(
            "CreateTransformJob",
            **request("bad", source, TransformOutput=output, DataProcessing={"OutputFilter": "$..id"}),
        )


def test_the_quota_of_an_instance_type_limits_the_jobs_that_run(
    stage: Stage, server: type[ScriptedServer]
) -> None:
    (stage.folder / "quotas.json").write_text('{"ml.m5.large for transform job usage": 1}')
    stage.put("data/z.jpg", "wait")
    make_model(stage)
    stage.call("CreateTransformJob", **request("one"))
    with pytest.raises(
        AwsError, match=r"limit 'ml\.m5\.large for transform job usage' is 1 Instances"
    ) as refused:
        stage.call("CreateTransformJob", **request("two"))
    assert refused.value.code == "ResourceLimitExceeded"
    server.go.set()
    stage.ended("TransformJob", "one")
    stage.call("CreateTransformJob", **request("two"))
    assert stage.ended("TransformJob", "two")["TransformJobStatus"] == "Completed"
