"""What the template promises, and that each check of it can fail."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
Template = dict[str, Any]


@pytest.fixture(scope="module")
def template() -> Template:
    parsed: Template = yaml_parse((ROOT / "template.yaml").read_text())
    return parsed


def properties(template: Template, name: str) -> Any:
    return template["Resources"][name]["Properties"]


def visibility_covers_six_timeouts(t: Template) -> bool:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
    return bool(
        properties(t, "Queue")["VisibilityTimeout"] >= 6 * properties(t, "InspectFunction")["Timeout"]
    )


def a_message_is_received_at_least_five_times(t: Template) -> bool:
    return bool(properties(t, "Queue")["RedrivePolicy"]["maxReceiveCount"] >= 5)


def the_function_knows_the_last_receive(t: Template) -> bool:
    told = properties(t, "InspectFunction")["Environment"]["Variables"]["MAX_RECEIVE_COUNT"]
    return int(told) == properties(t, "Queue")["RedrivePolicy"]["maxReceiveCount"]


def the_dead_letter_queue_keeps_longer(t: Template) -> bool:
    dead, live = (properties(t, q)["MessageRetentionPeriod"] for q in ("DeadLetterQueue", "Queue"))
    return bool(dead > live)


def reserved_concurrency_covers_the_event_source(t: Template) -> bool:
    function = properties(t, "InspectFunction")
    source = function["Events"]["Images"]["Properties"]["ScalingConfig"]["MaximumConcurrency"]
    return bool(function["ReservedConcurrentExecutions"]["Fn::If"][1] == source)


def only_failed_messages_come_back(t: Template) -> bool:
    source = properties(t, "InspectFunction")["Events"]["Images"]["Properties"]
    return "ReportBatchItemFailures" in source.get("FunctionResponseTypes", [])


def no_bucket_is_public(t: Template) -> bool:
    buckets = [r["Properties"] for r in t["Resources"].values() if r["Type"] == "AWS::S3::Bucket"]
    return all(
        bucket.get("PublicAccessBlockConfiguration")
        == dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
        )
        and bucket["VersioningConfiguration"]["Status"] == "Enabled"
        and bucket["BucketEncryption"]
        for bucket in buckets
    )


def the_table_can_be_recovered(t: Template) -> bool:
    table = properties(t, "InspectionsTable")
    return bool(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"])


def no_function_writes_into_the_bucket_that_triggers_it(t: Template) -> bool:
    for role in ("InspectRole", "AlertRole"):
        for policy in properties(t, role)["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                writes = "s3:PutObject" in ([actions] if isinstance(actions, str) else actions)
                if writes and "ImagesBucket" in str(statement["Resource"]):
                    return False
    return True


def _set(*path: Any) -> Callable[[Template], None]:
    *way, last, value = path

    def mutate(template: Template) -> None:
        node = template["Resources"]
        for step in way:
            node = node[step]
        node[last] = value

    return mutate


def _let_alert_write_images(template: Template) -> None:
    statements = properties(template, "AlertRole")["Policies"][0]["PolicyDocument"]["Statement"]
    statements.append(
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": {"Fn::Sub": "${ImagesBucket.Arn}/*"}}
    )


_SOURCE = ("InspectFunction", "Properties", "Events", "Images", "Properties")
CASES = [
    (visibility_covers_six_timeouts, _set("Queue", "Properties", "VisibilityTimeout", 359)),
    (visibility_covers_six_timeouts, _set("InspectFunction", "Properties", "Timeout", 61)),
    (
        a_message_is_received_at_least_five_times,
        _set("Queue", "Properties", "RedrivePolicy", "maxReceiveCount", 4),
    ),
    (the_function_knows_the_last_receive, _set("Queue", "Properties", "RedrivePolicy", "maxReceiveCount", 6)),
    (the_dead_letter_queue_keeps_longer, _set("Queue", "Properties", "MessageRetentionPeriod", 1209600)),
    (
        reserved_concurrency_covers_the_event_source,
        _set(*_SOURCE, "ScalingConfig", "MaximumConcurrency", 999),
    ),
    (only_failed_messages_come_back, _set(*_SOURCE, "FunctionResponseTypes", [])),
    (
        no_bucket_is_public,
        _set("ArtefactsBucket", "Properties", "PublicAccessBlockConfiguration", "BlockPublicAcls", False),
    ),
    (
        no_bucket_is_public,
        _set("ImagesBucket", "Properties", "VersioningConfiguration", "Status", "Suspended"),
    ),
    (
        the_table_can_be_recovered,
        _set(
            "InspectionsTable",
            "Properties",
            "PointInTimeRecoverySpecification",
            "PointInTimeRecoveryEnabled",
            False,
        ),
    ),
    (no_function_writes_into_the_bucket_that_triggers_it, _let_alert_write_images),
]


@pytest.mark.parametrize(("promise", "broken"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_the_template_keeps_its_promise_and_a_changed_one_is_caught(
    template: Template, promise: Callable[[Template], bool], broken: Callable[[Template], None]
):
    assert promise(template)
    changed = copy.deepcopy(template)
    broken(changed)
    assert not promise(changed)
