"""What the doctor says about a stack in which something is really broken."""

import copy
import dataclasses
import functools
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud import deploy
from localcloud.home import connections
from localcloud.sources import REPOSITORY
from loupe.account.account import Account
from loupe.doctor import aws, laptop, local_cloud, stack
from loupe.doctor.examination import Check, Finding, Result, examine
from loupe.doctor.laptop import Laptop
from loupe.doctor.patient import Patient
from loupe.stack import dashboard, deployment, endpoint, hours, scaling, users
from loupe.stack.target import Target
from tests.system.cloud_process import CloudProcess, eventually, host
from tests.system.test_chain import loupe

pytestmark = [pytest.mark.system, pytest.mark.slow]

_OCI: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "size": 2,
        "digest": f"sha256:{'a' * 64}",
    },
    "layers": [],
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    process = CloudProcess(tmp_path_factory.mktemp("doctor"), REPOSITORY)
    yield process
    process.stop()


@functools.cache
def account(cloud: CloudProcess, name: str = "loupe") -> Account:
    return Account.open(name, cloud.home)


@functools.cache
def target(cloud: CloudProcess, name: str = "loupe") -> Target:
    return account(cloud, name).target()


def patient(cloud: CloudProcess, name: str = "loupe") -> Patient:
    return Patient.read(account(cloud, name), target(cloud, name), f" --stack {name}")


def look(cloud: CloudProcess, check: Check[Patient], name: str = "loupe") -> list[Finding]:
    return examine([check], patient(cloud, name))


def worst(findings: list[Finding]) -> Finding:
    order = [Result.PROBLEM, Result.WARNING, Result.NOT_RUN, Result.OK]
    return min(findings, key=lambda finding: order.index(finding.result))


def unconfirm(parsed: dict[str, Any], **_: Any) -> None:
    for subscription in parsed["Subscriptions"]:
        subscription["SubscriptionArn"] = "PendingConfirmation"


@pytest.fixture(scope="module")
def plant(cloud: CloudProcess) -> str:
    """A stack whose parameters do not fit what there is."""
    client = cloud.connection.client
    name = "plant"
    client("ecr").create_repository(repositoryName=f"{name}/serve")
    client("ecr").put_image(
        repositoryName=f"{name}/serve",
        imageTag="oci",
        imageManifest=json.dumps(_OCI),
        imageManifestMediaType=_OCI["mediaType"],
    )
    image = f"{cloud.connection.account_id}.dkr.ecr.{cloud.connection.region}.amazonaws.com/{name}/serve:oci"
    connection = copy.copy(cloud.connection)
    connection.stack_name = name
    parameters = {
        "RetrainSchedule": "rate(7 days)",
        "TrainingImageUri": "",
        "ServingImageUri": image,
        "HostingInstanceType": "ml.g5.xlarge",
        "InspectConcurrency": "1000",
        "OperationsEmail": "operations@example.com",
    }
    deploy.deploy(connection, REPOSITORY, parameters)
    return name


def test_an_endpoint_that_is_missing_or_failed_is_named_with_its_reason(cloud: CloudProcess) -> None:
    (missing,) = look(cloud, stack.endpoint)
    assert (missing.result, missing.command) == (Result.PROBLEM, "loupe deploy MODEL --stack loupe")
    outputs = target(cloud).outputs
    host(
        cloud.connection,
        outputs["EndpointName"],
        bucket=outputs["ArtefactsBucketName"],
        role=outputs["SageMakerRoleArn"],
    )
    (failed,) = look(cloud, stack.endpoint)
    assert failed.result is Result.PROBLEM
    reason = cloud.connection.client("sagemaker").describe_endpoint(EndpointName=outputs["EndpointName"])
    assert reason["FailureReason"][:40] in failed.text


def test_an_endpoint_that_serves_is_well_until_its_scaling_is_gone(cloud: CloudProcess) -> None:
    deployment.deploy(target(cloud), deployment.STARTER, deployment.Hosting(), lambda status: None)
    assert look(cloud, stack.endpoint)[0].result is Result.OK
    assert look(cloud, aws.autoscaling)[0].result is Result.OK
    scaling.deregister(target(cloud), "AllTraffic")
    assert "nothing is registered" in worst(look(cloud, aws.autoscaling)).text
    scaling.register(target(cloud), "AllTraffic")
    hours.stop(target(cloud))
    eventually(lambda: not endpoint.exists(target(cloud)))
    (resting,) = look(cloud, stack.endpoint)
    assert (resting.result, resting.text) == (Result.OK, "rests until it is started, stopped by hand")


@pytest.mark.parametrize(
    ("queue", "what"),
    [
        ("DeadLetterQueueUrl", "images could not be processed"),
        ("AlertFailureQueueUrl", "alerts or pictures could not be made"),
        ("TrackFailureQueueUrl", "inspections could not be counted"),
    ],
)
def test_a_message_that_was_given_up_is_named_with_the_command_that_says_why(
    cloud: CloudProcess, queue: str, what: str
) -> None:
    assert look(cloud, stack.failed_messages)[0].result is Result.OK
    url = target(cloud).outputs[queue]
    target(cloud).sqs.send_message(QueueUrl=url, MessageBody="{}")
    (finding,) = look(cloud, stack.failed_messages)
    target(cloud).sqs.purge_queue(QueueUrl=url)
    assert (finding.result, what in finding.text) == (Result.PROBLEM, True)
    assert finding.command == "loupe dlq --stack loupe"


def test_images_that_are_deferred_are_named(cloud: CloudProcess) -> None:
    assert look(cloud, stack.waiting_images)[0].result is Result.OK
    target(cloud).sqs.send_message(
        QueueUrl=target(cloud).outputs["QueueUrl"], MessageBody="{}", DelaySeconds=900
    )
    (finding,) = look(cloud, stack.waiting_images)
    assert (finding.result, "1 images wait" in finding.text) == (Result.WARNING, True)
    target(cloud).sqs.purge_queue(QueueUrl=target(cloud).outputs["QueueUrl"])


def test_an_alarm_is_named_with_its_reason_and_one_of_another_stack_is_not(cloud: CloudProcess) -> None:
    for name in ("loupe-PressAlarm-1WKS4P0LKXIIG", "loupe-2-PressAlarm-1WKS4P0LKXIIG"):
        target(cloud).cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Press",
            MetricName="Strokes",
            Statistic="Sum",
            Period=10,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="LessThanThreshold",
            TreatMissingData="breaching",
        )
        target(cloud).cloudwatch.set_alarm_state(
            AlarmName=name, StateValue="ALARM", StateReason="it stands still"
        )
    found = [finding for finding in look(cloud, stack.alarms) if "PressAlarm" in finding.text]
    assert [finding.result for finding in found] == [Result.PROBLEM]
    assert found[0].text.startswith("PressAlarm since ")
    assert found[0].text.partition(": ")[2]
    target(cloud).cloudwatch.delete_alarms(AlarmNames=["loupe-PressAlarm-1WKS4P0LKXIIG"])


def test_rules_that_are_not_valid_are_named(cloud: CloudProcess) -> None:
    (good,) = look(cloud, stack.verdict_rules)
    assert good.result is Result.OK
    name = target(cloud).outputs["RulesParameterName"]
    before = target(cloud).ssm.get_parameter(Name=name)["Parameter"]["Value"]
    target(cloud).ssm.put_parameter(Name=name, Value='{"version": 1}', Type="String", Overwrite=True)
    (bad,) = look(cloud, stack.verdict_rules)
    assert (bad.result, bad.command) == (Result.PROBLEM, "loupe rules history --stack loupe")
    target(cloud).ssm.put_parameter(Name=name, Value=before, Type="String", Overwrite=True)


def test_a_call_that_a_function_was_denied_is_named(cloud: CloudProcess) -> None:
    assert look(cloud, stack.denied_calls)[0].result is Result.OK
    iam = cloud.connection.client("iam")
    role = next(
        role["RoleName"]
        for page in iam.get_paginator("list_roles").paginate()
        for role in page["Roles"]
        if role["RoleName"].startswith("loupe-ApiRole-")
    )
    policy = iam.get_role_policy(RoleName=role, PolicyName="api")["PolicyDocument"]
    iam.delete_role_policy(RoleName=role, PolicyName="api")
    logs = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName="logs", PolicyDocument=json.dumps(logs))
    assert loupe("stats", home=cloud.home).returncode == 1
    finding = eventually(
        lambda: next((f for f in look(cloud, stack.denied_calls) if f.result is Result.PROBLEM), None)
    )
    assert "dynamodb:" in finding.text
    iam.put_role_policy(RoleName=role, PolicyName="api", PolicyDocument=json.dumps(policy))


def test_a_retraining_that_failed_is_named_with_its_reason(cloud: CloudProcess) -> None:
    assert look(cloud, stack.retraining)[0].result is Result.OK
    machine = target(cloud).outputs["RetrainStateMachineArn"]
    target(cloud).stepfunctions.start_execution(stateMachineArn=machine, input='{"trigger":"hand"}')
    finding = eventually(
        lambda: next((f for f in look(cloud, stack.retraining) if f.result is Result.PROBLEM), None)
    )
    assert "failed: " in finding.text
    assert not finding.text.endswith("no reason given")


def test_a_log_that_never_expires_gets_the_command_that_limits_it(cloud: CloudProcess) -> None:
    target(cloud).logs.delete_retention_policy(logGroupName="/aws/lambda/loupe-inspect")
    found = worst(look(cloud, stack.log_retention))
    assert (found.result, "/aws/lambda/loupe-inspect" in found.command) == (Result.WARNING, True)
    target(cloud).logs.put_retention_policy(logGroupName="/aws/lambda/loupe-inspect", retentionInDays=30)


def test_a_page_that_is_not_published_or_of_another_version_is_named(cloud: CloudProcess) -> None:
    assert look(cloud, aws.page)[0].result is Result.PROBLEM
    dashboard.publish(target(cloud), lambda name: None)
    assert look(cloud, aws.page)[0].result is Result.OK
    target(cloud).s3.put_object(
        Bucket=target(cloud).outputs["DashboardBucketName"], Key="index.html", Body=b"<!doctype html>"
    )
    assert "another version" in look(cloud, aws.page)[0].text


def test_parameters_that_do_not_fit_what_there_is_are_named(cloud: CloudProcess, plant: str) -> None:
    assert "TrainingImageUri is empty" in worst(look(cloud, stack.scheduled_retraining, plant)).text
    assert "oci.image.manifest" in worst(look(cloud, aws.images, plant)).text
    assert "needs the image serve-gpu" in worst(look(cloud, aws.instances, plant)).text
    concurrency = worst(look(cloud, aws.quotas, plant))
    assert (concurrency.result, "L-B99A9384" in concurrency.command) == (Result.WARNING, True)


def test_whoever_has_not_confirmed_is_named_and_so_is_a_dashboard_without_people(
    cloud: CloudProcess, plant: str
) -> None:
    read = patient(cloud, plant)
    # The local cloud confirms every address itself. What AWS lists until somebody has followed the link:
    # https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html
    sns = Target.of(account(cloud).session, account(cloud).endpoint_url, plant)
    sns.sns.meta.events.register("after-call.sns.ListSubscriptionsByTopic", unconfirm)
    pending = worst(examine([aws.subscriptions], dataclasses.replace(read, target=sns)))
    assert "operations@example.com has not confirmed" in pending.text
    assert "nobody receives the alarms" in worst(look(cloud, aws.subscriptions)).text
    assert look(cloud, aws.people, plant)[0].result is Result.WARNING
    users.add(target(cloud, plant), "anna", users.Group("viewer"))
    assert look(cloud, aws.people, plant)[0].result is Result.OK


def test_a_quota_that_is_too_small_for_a_swap_is_named(cloud: CloudProcess) -> None:
    assert look(cloud, aws.quotas)[0].result is Result.OK
    (cloud.home / "quotas.json").write_text(json.dumps({"ml.g5.xlarge for endpoint usage": 1}))
    (finding,) = look(cloud, aws.quotas)
    (cloud.home / "quotas.json").unlink()
    assert finding.result is Result.PROBLEM
    assert "request-service-quota-increase" in finding.command


def test_a_clock_that_is_wrong_is_named(cloud: CloudProcess) -> None:
    wrong = Account(account(cloud).session, account(cloud).endpoint_url, "loupe", cloud.home)

    def shift(parsed: dict[str, Any], **_: Any) -> None:
        late = datetime.now(UTC) - timedelta(minutes=20)
        parsed["ResponseMetadata"]["HTTPHeaders"]["date"] = format_datetime(late, usegmt=True)

    wrong.client("sts").meta.events.register("after-call.sts.GetCallerIdentity", shift)
    assert aws.clock_finding(wrong).result is Result.PROBLEM
    assert aws.clock_finding(account(cloud)).result is Result.OK


def test_buckets_in_another_region_than_the_links_are_named(cloud: CloudProcess) -> None:
    assert look(cloud, aws.picture_links)[0].result is Result.OK
    there = boto3.Session(
        aws_access_key_id=cloud.connection.access_key_id,
        aws_secret_access_key=cloud.connection.secret_access_key,
        region_name="eu-central-1",
    )
    away = dataclasses.replace(patient(cloud), account=Account(there, cloud.connection.endpoint_url, "loupe"))
    assert worst(examine([aws.picture_links], away)).result is Result.PROBLEM


def test_an_update_that_was_rolled_back_is_named(cloud: CloudProcess) -> None:
    read = patient(cloud)
    assert worst(examine([stack.stack], read)).result is Result.OK
    rolled_back = read.description | {
        "StackStatus": "UPDATE_ROLLBACK_COMPLETE",
        "StackStatusReason": "no quota",
    }
    found = worst(examine([stack.stack], dataclasses.replace(read, description=rolled_back)))
    assert (found.result, "no quota" in found.text) == (Result.WARNING, True)


def test_what_the_user_may_not_call_is_named_and_hides_nothing_else(cloud: CloudProcess) -> None:
    iam = cloud.connection.client("iam")
    iam.create_user(UserName="auditor")
    statement = {
        "Effect": "Allow",
        "Action": ["cloudformation:*", "sts:*", "sqs:*", "cloudwatch:*"],
        "Resource": "*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="auditor", PolicyName="look", PolicyDocument=document)
    key = iam.create_access_key(UserName="auditor")["AccessKey"]
    session = boto3.Session(
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        region_name=cloud.connection.region,
    )
    auditor = Account(session, cloud.connection.endpoint_url, "loupe")
    findings = examine([*aws.CHECKS, *stack.CHECKS], Patient.read(auditor, auditor.target(), ""))
    by_check = {finding.check: finding for finding in findings}
    assert by_check["endpoint"].result is Result.NOT_RUN
    assert "you may not call sagemaker:DescribeEndpoint" in by_check["endpoint"].text
    assert "you may not call ssm:GetParameterHistory" in by_check["verdict rules"].text
    assert by_check["failed messages"].result is Result.OK


def test_a_local_cloud_that_runs_something_else_than_the_checkout_is_named(cloud: CloudProcess) -> None:
    (current,) = look(cloud, local_cloud.deployment)
    assert current.result is Result.OK
    deploy.deploy(cloud.connection, REPOSITORY, {"LogLevel": "DEBUG"})
    (other,) = look(cloud, local_cloud.deployment)
    assert (other.result, "loupe up" in other.command) == (Result.WARNING, True)
    deploy.deploy(cloud.connection, REPOSITORY, {})


def test_a_taken_port_is_named(cloud: CloudProcess, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        dead = copy.copy(cloud.connection)
        dead.pid, dead.port = 2**22 + 1, port
        dead.write(tmp_path)
        assert connections.read(tmp_path) is not None
        (finding,) = examine([laptop.ports], Laptop(tmp_path))
    assert (finding.result, f"port {port}" in finding.text) == (Result.WARNING, True)


def test_the_command_ends_with_1_if_there_is_a_problem_and_0_if_there_is_none(cloud: CloudProcess) -> None:
    sick = loupe("doctor", "--json", home=cloud.home)
    document = json.loads(sick.stdout)
    problems = [check for check in document["checks"] if check["result"] == "problem"]
    assert (sick.returncode, document["healthy"]) == (1 if problems else 0, not problems)
    nothing = loupe("doctor", "--stack", "nothing", "--json", home=cloud.home)
    assert nothing.returncode == 1
    assert json.loads(nothing.stdout)["checks"][0]["check"] == "stack"
