"""Jobs of the local SageMaker through boto3, with IAM enforced, and as tasks of state machines."""

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from localcloud import Connection
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.sagemaker_stage import (
    BUCKET,
    RUNS_JOBS,
    ended,
    make_data,
    make_role,
    processing,
    training,
)

pytestmark = pytest.mark.system
REPO = Path(__file__).parent / "cloud"
SLOW = {"epochs": "600", "seconds": "0.1"}
# A job that waits after its fourth epoch until it is ended, and has two to train when it continues.
PAUSED = {"epochs": "6", "pause_after": "4"}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    cloud = CloudProcess(tmp_path_factory.mktemp("home"), REPO, LOUPE_LOCAL_JOBS="4")
    make_data(cloud.connection)
    yield cloud
    children = cloud.children()
    assert cloud.stop() == 0
    assert psutil.wait_procs(children, timeout=60)[1] == []


@pytest.fixture(scope="module")
def cloud(process: CloudProcess) -> Connection:
    return process.connection


@pytest.fixture(scope="module")
def role(cloud: Connection) -> str:
    return make_role(cloud, "trainer", "s3:*", "logs:*", *RUNS_JOBS)


def log(process: CloudProcess, name: str) -> str:
    file = process.home / "logs" / f"training-job-{name}.log"
    return file.read_text() if file.exists() else ""


class TestJobs:
    def test_a_job_trains_and_its_metrics_and_logs_can_be_read(self, cloud: Connection, role: str) -> None:
        sagemaker = cloud.client("sagemaker")
        sagemaker.create_training_job(**training("one", role, {"epochs": "3"}))
        done = ended(cloud, "TrainingJob", "one")
        assert done["TrainingJobStatus"] == "Completed", done
        points = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="/aws/sagemaker/TrainingJobs",
            MetricName="val:map",
            Dimensions=[{"Name": "TrainingJobName", "Value": "one"}],
            StartTime=time.time() - 600,
            EndTime=time.time() + 60,
            Period=3600,
            Statistics=["SampleCount"],
        )["Datapoints"]
        assert sum(point["SampleCount"] for point in points) == 3
        logs, group = cloud.client("logs"), "/aws/sagemaker/TrainingJobs"
        (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="one/algo-1")[
            "logStreams"
        ]
        events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
        assert events[-1]["message"].startswith("epoch=3 ")
        sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName="one")

    def test_errors_are_as_on_aws(self, cloud: Connection, role: str) -> None:
        sagemaker = cloud.client("sagemaker")
        sagemaker.create_training_job(**training("twice", role))
        with pytest.raises(
            sagemaker.exceptions.ResourceInUse, match="training job with this name already exists"
        ):
            sagemaker.create_training_job(**training("twice", role))
        with pytest.raises(ClientError, match=r"\(ValidationException\).*Requested resource not found"):
            sagemaker.describe_training_job(TrainingJobName="nobody")
        with pytest.raises(ClientError, match="No S3 objects found"):
            sagemaker.create_training_job(**training("blind", make_role(cloud, "blind", "logs:*")))
        ended(cloud, "TrainingJob", "twice")

    def test_a_job_has_the_permissions_of_its_role(self, cloud: Connection) -> None:
        reader = make_role(cloud, "reader", "s3:GetObject", "s3:ListBucket")
        cloud.client("sagemaker").create_training_job(**training("reader", reader))
        failed = ended(cloud, "TrainingJob", "reader")
        assert failed["TrainingJobStatus"] == "Failed"
        assert "s3:PutObject" in failed["FailureReason"]


def test_a_policy_can_allow_only_jobs_with_a_name(cloud: Connection, role: str) -> None:
    iam = cloud.client("iam")
    iam.create_user(UserName="operator")
    allowed = "arn:aws:sagemaker:us-east-1:000000000000:training-job/loupe-*"
    jobs = {"Effect": "Allow", "Action": "sagemaker:*", "Resource": allowed}
    passing = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": role,
        "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
    }

    def allow(*statements: dict[str, Any]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName="operator", PolicyName="own", PolicyDocument=document)

    allow(jobs)
    key = iam.create_access_key(UserName="operator")["AccessKey"]
    operator = dataclasses.replace(
        cloud, access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"]
    ).client("sagemaker")
    with pytest.raises(ClientError, match="not authorized to perform: iam:PassRole on resource"):
        operator.create_training_job(**training("loupe-one", role))
    allow(jobs, passing)
    operator.create_training_job(**training("loupe-one", role))
    assert operator.describe_training_job(TrainingJobName="loupe-one")["TrainingJobArn"].endswith(
        "/loupe-one"
    )
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:CreateTrainingJob"):
        operator.create_training_job(**training("other", role))
    with pytest.raises(ClientError, match="not authorized"):
        operator.list_training_jobs()
    ended(cloud, "TrainingJob", "loupe-one")


class TestStateMachines:
    def start(
        self, cloud: Connection, role: str, name: str, states: dict[str, Any], start: str = "Work"
    ) -> str:
        states_client = cloud.client("stepfunctions")
        definition = json.dumps({"StartAt": start, "States": states})
        machine = states_client.create_state_machine(name=name, definition=definition, roleArn=role)
        started = states_client.start_execution(stateMachineArn=machine["stateMachineArn"])
        return str(started["executionArn"])

    def finished(self, cloud: Connection, execution: str) -> dict[str, Any]:
        def describe_if_ended() -> dict[str, Any] | None:
            states_client = cloud.client("stepfunctions")
            description: dict[str, Any] = states_client.describe_execution(executionArn=execution)
            return description if description["status"] != "RUNNING" else None

        result: dict[str, Any] = eventually(describe_if_ended)
        return result

    def run(self, cloud: Connection, role: str, name: str, states: dict[str, Any]) -> dict[str, Any]:
        return self.finished(cloud, self.start(cloud, role, name, states))

    def task(self, resource: str, parameters: dict[str, Any], **members: Any) -> dict[str, Any]:
        arn = f"arn:aws:states:::{resource}"
        return {"Type": "Task", "Resource": arn, "Parameters": parameters, "End": True, **members}

    def test_sync_gives_the_description_of_the_finished_job(self, cloud: Connection, role: str) -> None:
        work = self.task("sagemaker:createTrainingJob.sync", training("step", role))
        done = self.run(cloud, role, "train", {"Work": work})
        assert done["status"] == "SUCCEEDED", done
        output = json.loads(done["output"])
        assert output["TrainingJobStatus"] == "Completed"
        assert output["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/step/output/model.tar.gz"
        assert abs(output["CreationTime"] / 1000 - time.time()) < 600  # milliseconds

    def test_a_failed_job_is_a_failed_task_with_its_description(self, cloud: Connection, role: str) -> None:
        catch = [{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}]
        request = training("step-fails", role, {"fail": "no labels"})
        work = self.task("sagemaker:createTrainingJob.sync", request, Catch=catch)
        done = self.run(cloud, role, "fail", {"Work": work, "Caught": {"Type": "Pass", "End": True}})
        caught = json.loads(done["output"])
        assert caught["Error"] == "States.TaskFailed"
        cause = json.loads(caught["Cause"])
        assert (cause["TrainingJobStatus"], cause["FailureReason"]) == (
            "Failed",
            "AlgorithmError: no labels, exit code: 3",
        )

    def test_errors_have_the_names_that_a_catch_expects(self, cloud: Connection, role: str) -> None:
        cloud.client("sagemaker").create_training_job(**training("taken", role))
        taken = self.task("sagemaker:createTrainingJob.sync", training("taken", role))
        assert self.run(cloud, role, "taken", {"Work": taken})["error"] == "SageMaker.ResourceInUseException"
        wrong = self.task("sagemaker:createModel", {"ModelName": "a b"})
        assert (
            self.run(cloud, role, "wrong", {"Work": wrong})["error"] == "SageMaker.AmazonSageMakerException"
        )
        sdk = self.task("aws-sdk:sagemaker:describeEndpoint", {"EndpointName": "nobody"})
        failed = self.run(cloud, role, "sdk", {"Work": sdk})
        assert failed["error"] == "SageMaker.SageMakerException"
        assert "Could not find endpoint" in failed["cause"]
        unknown = self.task("sagemaker:createLabelingJob", {})
        assert self.run(cloud, role, "unknown", {"Work": unknown})["error"] == "States.Runtime"
        ended(cloud, "TrainingJob", "taken")

    @pytest.mark.parametrize(
        ("resource", "request_members", "error", "refused"),
        [
            (
                "sagemaker:createModel",
                {"ModelName": "one", "ExecutionRoleArn": "arn:aws:iam::000000000000:role/trainer"},
                "SageMaker.AmazonSageMakerException",
                "sagemaker:CreateModel on resource: arn:aws:sagemaker:us-east-1:000000000000:model/one",
            ),
            (
                "aws-sdk:sagemaker:describeEndpoint",
                {"EndpointName": "line"},
                "SageMaker.SageMakerException",
                "sagemaker:DescribeEndpoint on resource: arn:aws:sagemaker:us-east-1:000000000000:endpoint/line",
            ),
            (
                "aws-sdk:applicationautoscaling:registerScalableTarget",
                {
                    "ServiceNamespace": "sagemaker",
                    "ResourceId": "endpoint/line/variant/AllTraffic",
                    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
                },
                "ApplicationAutoScaling.",
                "application-autoscaling:RegisterScalableTarget on resource: ",
            ),
            (
                "lambda:invoke",
                {"FunctionName": "gate"},
                "Lambda.AWSLambdaException",
                "lambda:InvokeFunction on resource: arn:aws:lambda:us-east-1:000000000000:function:gate",
            ),
            (
                "sns:publish",
                {"TopicArn": "arn:aws:sns:us-east-1:000000000000:ops", "Message": "m"},
                "SNS.AuthorizationErrorException",
                "sns:Publish on resource: arn:aws:sns:us-east-1:000000000000:ops",
            ),
        ],
    )
    def test_a_task_that_the_role_may_not_do_fails_with_the_error_of_aws(
        self, cloud: Connection, resource: str, request_members: dict[str, Any], error: str, refused: str
    ) -> None:
        name = f"idle-{resource.replace(':', '-')}"
        idle = make_role(cloud, name, "s3:GetObject")
        done = self.run(cloud, idle, name, {"Work": self.task(resource, request_members)})
        assert done["error"].startswith(error), done
        assert f"assumed-role/{name}/" in done["cause"]
        assert f"is not authorized to perform: {refused}" in done["cause"]

    def test_a_model_version_needs_what_its_container_and_its_model_need(self, cloud: Connection) -> None:
        cloud.client("sagemaker").create_model_package_group(ModelPackageGroupName="needy")
        container = {"Image": "detector:1", "ModelDataUrl": f"s3://{BUCKET}/models/one.tar.gz"}
        request = {
            "ModelPackageGroupName": "needy",
            "InferenceSpecification": {"Containers": [container]},
        }
        register = self.task("aws-sdk:sagemaker:createModelPackage", request)
        allowed: list[str] = []
        for action in (
            "sagemaker:CreateModelPackage",
            "ecr:BatchGetImage",
            "ecr:DescribeImages",
            "s3:GetObject",
        ):
            name = f"needy-{len(allowed)}"
            done = self.run(cloud, make_role(cloud, name, "sns:Publish", *allowed), name, {"Work": register})
            assert f"is not authorized to perform: {action} on resource" in done["cause"]
            allowed.append(action)
        done = self.run(cloud, make_role(cloud, "able", *allowed), "able", {"Work": register})
        assert done["status"] == "SUCCEEDED", done

    def test_a_state_machine_that_waits_for_jobs_needs_the_rule_of_the_service(
        self, cloud: Connection, role: str
    ) -> None:
        work = self.task("sagemaker:createTrainingJob.sync", training("never", role))
        ruleless = make_role(cloud, "ruleless", "sagemaker:*", "iam:PassRole")
        with pytest.raises(ClientError, match=f"'{ruleless}' is not authorized to create managed-rule"):
            self.start(cloud, ruleless, "ruleless", {"Work": work})

    def test_aborting_stops_the_job(self, cloud: Connection, process: CloudProcess, role: str) -> None:
        work = self.task("sagemaker:createTrainingJob.sync", training("aborted", role, SLOW))
        execution = self.start(cloud, role, "abort", {"Work": work})
        eventually(lambda: "epoch=1 " in log(process, "aborted"))
        cloud.client("stepfunctions").stop_execution(executionArn=execution, error="Enough", cause="by hand")
        assert ended(cloud, "TrainingJob", "aborted")["TrainingJobStatus"] == "Stopped"
        assert self.finished(cloud, execution)["status"] == "ABORTED"

    def test_a_task_that_times_out_stops_the_job(self, cloud: Connection, role: str) -> None:
        work = self.task("sagemaker:createTrainingJob.sync", training("timed", role, SLOW), TimeoutSeconds=2)
        assert self.run(cloud, role, "time", {"Work": work})["error"] == "States.Timeout"
        assert ended(cloud, "TrainingJob", "timed")["TrainingJobStatus"] == "Stopped"

    def test_process_tune_register_and_host_in_one_machine(self, cloud: Connection, role: str) -> None:
        """What a retrain does, step by step, on the data that the steps hand on."""
        definition = training("unused", role)
        del definition["TrainingJobName"], definition["HyperParameters"]
        tuning = {
            "HyperParameterTuningJobName": "tune",
            "HyperParameterTuningJobConfig": {
                "Strategy": "Bayesian",
                "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "val:map"},
                "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
                "ParameterRanges": {
                    "ContinuousParameterRanges": [
                        {"Name": "learning_rate", "MinValue": "0.1", "MaxValue": "0.5"}
                    ]
                },
            },
            "TrainingJobDefinition": definition,
        }
        model = "$.BestTrainingJob.TrainingJobName"
        container = {
            "Image": "detector:1",
            "ModelDataUrl.$": f"States.Format('s3://{BUCKET}/out/{{}}/output/model.tar.gz', {model})",
        }
        package = {
            "ModelPackageGroupName": "detectors",
            "ModelApprovalStatus": "Approved",
            "InferenceSpecification": {"Containers": [container]},
        }
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": "tuned",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        cloud.client("sagemaker").create_model_package_group(ModelPackageGroupName="detectors")
        steps = [
            ("Work", "sagemaker:createProcessingJob.sync", processing("count", role)),
            ("Tune", "sagemaker:createHyperParameterTuningJob.sync", tuning),
            ("Register", "aws-sdk:sagemaker:createModelPackage", package),
            (
                "Model",
                "sagemaker:createModel",
                {
                    "ModelName": "tuned",
                    "ExecutionRoleArn": role,
                    "PrimaryContainer": {"ModelPackageName.$": "$.ModelPackageArn"},
                },
            ),
            (
                "Config",
                "sagemaker:createEndpointConfig",
                {"EndpointConfigName": "tuned", "ProductionVariants": [variant]},
            ),
            (
                "Endpoint",
                "sagemaker:createEndpoint",
                {"EndpointName": "tuned", "EndpointConfigName": "tuned"},
            ),
            ("Look", "aws-sdk:sagemaker:describeTrainingJob", {"TrainingJobName": "one-more"}),
        ]
        cloud.client("sagemaker").create_training_job(**training("one-more", role))
        states = {}
        for (name, resource, parameters), following in zip(steps, [*steps[1:], None], strict=True):
            states[name] = self.task(resource, parameters)
            if following is not None:
                del states[name]["End"]
                states[name]["Next"] = following[0]
        done = self.run(cloud, role, "retrain", states)
        assert done["status"] == "SUCCEEDED", done
        assert json.loads(done["output"])["CreationTime"].endswith("Z")
        report = cloud.client("s3").get_object(Bucket=BUCKET, Key="report/report.txt")["Body"].read()
        assert report == b"9 bytes for red"

        def in_service() -> bool:
            description = cloud.client("sagemaker").describe_endpoint(EndpointName="tuned")
            return bool(description["EndpointStatus"] == "InService")

        eventually(in_service)
        answer = cloud.client("sagemaker-runtime").invoke_endpoint(EndpointName="tuned", Body=b"image")
        assert json.load(answer["Body"])["model"].startswith("tune-")

    def test_a_killed_cloud_loses_no_job_and_no_execution_and_runs_none_twice(self, tmp_path: Path) -> None:
        first = CloudProcess(tmp_path, REPO, LOUPE_LOCAL_JOBS="3")
        make_data(first.connection)
        role = make_role(first.connection, "trainer", "s3:*", "logs:*", *RUNS_JOBS)
        sagemaker = first.connection.client("sagemaker")
        kept = {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/kept"}}
        sagemaker.create_training_job(**training("kept", role, PAUSED, **kept))
        sagemaker.create_training_job(**training("other", role, PAUSED))
        work = self.task("sagemaker:createTrainingJob.sync", training("step", role, PAUSED), Next="Told")
        del work["End"]
        told = {"was.$": "$$.Execution.Input", "is.$": "$.TrainingJobStatus"}
        states = {"Work": work, "Told": {"Type": "Pass", "Parameters": told, "End": True}}
        execution = self.start(first.connection, role, "long", states)
        eventually(lambda: all("paused" in log(first, name) for name in ("kept", "other", "step")))
        sagemaker.create_training_job(**training("queued", role))
        state = tmp_path / "state"
        eventually(lambda: any("StateEntered" in file.read_text() for file in state.glob("s*.json")))
        eventually(lambda: "trainer" in (state / "iam.json").read_text())
        children = first.children()
        first.kill()
        assert psutil.wait_procs(children, timeout=60)[1] == []

        again = CloudProcess(tmp_path, REPO, LOUPE_LOCAL_JOBS="3")
        sagemaker = again.connection.client("sagemaker")
        for name in ("kept", "other", "queued"):
            assert ended(again.connection, "TrainingJob", name)["TrainingJobStatus"] == "Completed"
        ended_well = self.finished(again.connection, execution)
        assert ended_well["status"] == "SUCCEEDED", ended_well
        assert json.loads(ended_well["output"]) == {"was": {}, "is": "Completed"}
        # Without a place in S3 the checkpoints still outlive the cloud, on this machine.
        for name in ("kept", "other", "step"):
            lines = log(again, name).splitlines()
            assert [int(line.split()[3]) for line in lines if line.startswith("starting")] == [0, 4]
            epochs = [int(line.split()[0][6:]) for line in lines if line.startswith("epoch=")]
            assert epochs == [1, 2, 3, 4, 5, 6]
        assert len(sagemaker.list_training_jobs()["TrainingJobSummaries"]) == 4
        steps = sagemaker.describe_training_job(TrainingJobName="kept")["SecondaryStatusTransitions"]
        assert [step["Status"] for step in steps].count("Interrupted") == 1
        assert again.stop() == 0


def test_a_template_can_contain_a_model_package_group(cloud: Connection) -> None:
    resource = {
        "Type": "AWS::SageMaker::ModelPackageGroup",
        "Properties": {"ModelPackageGroupName": "Stacked"},
    }
    body = {"Resources": {"Group": resource}, "Outputs": {"Arn": {"Value": {"Ref": "Group"}}}}
    stacks = cloud.client("cloudformation")
    stacks.create_stack(StackName="registry", TemplateBody=json.dumps(body))
    stack = eventually(
        lambda: [
            stack
            for stack in stacks.describe_stacks(StackName="registry")["Stacks"]
            if stack["StackStatus"] == "CREATE_COMPLETE"
        ]
    )[0]
    (output,) = stack["Outputs"]
    assert output["OutputValue"].endswith(":model-package-group/stacked")
    groups = cloud.client("sagemaker").list_model_package_groups(NameContains="stacked")
    assert len(groups["ModelPackageGroupSummaryList"]) == 1
    stacks.delete_stack(StackName="registry")
    eventually(
        lambda: (
            not cloud.client("sagemaker").list_model_package_groups(NameContains="stacked")[
                "ModelPackageGroupSummaryList"
            ]
        )
    )
