"""A key of one's own, retention and protection from deletion, each by a parameter of template.yaml."""

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from contract.instances import LOCAL_DISKS, suitable_families, takes_volume_key
from localcloud.sources import REPOSITORY
from tests.unit.test_template import TEMPLATE, P, Template, as_list, at, logical_id, resolved, resources

BY_DEFAULT = (
    "BucketEncryption",
    "ServerSideEncryptionConfiguration",
    0,
    "Fn::If",
    1,
    "ServerSideEncryptionByDefault",
)
WITH_OWN = ("HasDataKey", "MakesDataKey")
OWN = {"Fn::GetAtt": ["DataKey", "Arn"]}
GIVEN = {"Ref": "EncryptionKey"}
# What only KMS, and not a role, may be asked by: S3, CloudWatch and its logs.
SERVICES = {"s3.amazonaws.com", "cloudwatch.amazonaws.com", "logs"}
pytestmark = pytest.mark.promise(24)


def unprotected(template: Template, key: Any) -> Iterator[str]:
    """Yield what a template leaves without the key that encrypts all data."""
    for name, bucket in resources(template, "AWS::S3::Bucket").items():
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        wanted = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        # The page is public code.
        if name != "DashboardBucket" and rule["ServerSideEncryptionByDefault"] != wanted:
            yield name
    for kind, member in (
        ("AWS::SQS::Queue", "KmsMasterKeyId"),
        ("AWS::SNS::Topic", "KmsMasterKeyId"),
        ("AWS::Logs::LogGroup", "KmsKeyId"),
    ):
        yield from (name for name, one in resources(template, kind).items() if one.get(member) != key)
    for name, table in resources(template, "AWS::DynamoDB::Table").items():
        if table["SSESpecification"] != {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}:
            yield name
    for name, value in (
        ("jobs", template["Resources"]["PlanFunction"][P]["Environment"]["Variables"].get("ENCRYPTION_KEY")),
        (
            "endpoint",
            template["Resources"]["RetrainStateMachine"][P]["DefinitionSubstitutions"].get("EncryptionKey"),
        ),
    ):
        if value != key:
            yield name
    roles = {name for name, role in resources(template, "AWS::IAM::Role").items()}
    users = {
        logical_id(role)
        for policy in resources(template, "AWS::IAM::Policy").values()
        for role in policy["Roles"]
        if any("kms:Decrypt" in as_list(one["Action"]) for one in policy["PolicyDocument"]["Statement"])
    }
    # It reads no data.
    yield from roles - users - {"HoursRole"}
    for policy in resources(template, "AWS::IAM::Policy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Resource"] != key:
                yield f"{statement['Sid']}: another key"
            if "kms:CreateGrant" in as_list(statement["Action"]) and "Condition" not in statement:
                yield f"{statement['Sid']}: a grant for anybody"


def admitted(template: Template) -> Iterator[str]:
    """Yield which services the key of the stack lets in without naming the account that they act for."""
    found = set()
    for statement in template["Resources"]["DataKey"][P]["KeyPolicy"]["Statement"]:
        service = statement["Principal"].get("Service")
        if service is None:
            continue
        name = service if isinstance(service, str) else "logs"
        found.add(name)
        conditions = str(statement.get("Condition", {}))
        if "AWS::AccountId" not in conditions:
            yield f"{name}: of any account"
    yield from SERVICES ^ found


def test_with_a_key_of_ones_own_all_data_is_encrypted_by_it_and_every_role_may_use_it() -> None:
    assert list(unprotected(resolved(TEMPLATE, *WITH_OWN), OWN)) == []
    assert list(unprotected(resolved(TEMPLATE, "HasDataKey"), GIVEN)) == []
    assert list(admitted(TEMPLATE)) == []


@pytest.mark.parametrize(
    "worsen",
    [
        at("ImagesBucket", P, *BY_DEFAULT, "KMSMasterKeyID"),
        at("Queue", P, "KmsMasterKeyId"),
        at("TrackFailureQueue", P, "KmsMasterKeyId"),
        at("OperationsTopic", P, "KmsMasterKeyId", to={"Ref": "TopicsKey"}),
        at("HistoryTable", P, "SSESpecification", to={"SSEEnabled": True}),
        at("EndpointLogs", P, "KmsKeyId"),
        at("PlanFunction", P, "Environment", "Variables", "ENCRYPTION_KEY"),
        at("RetrainStateMachine", P, "DefinitionSubstitutions", "EncryptionKey", to=""),
        at("DataKeyUse"),
        at("DataKeyUse", P, "Roles", 0),
        at("DataKeyUse", P, "PolicyDocument", "Statement", 0, "Resource", to="arn:aws:kms:*:*:key/*"),
        at("DataKeyGrants", P, "PolicyDocument", "Statement", 0, "Condition"),
        at("DataKey", P, "KeyPolicy", "Statement", 1),
        at("DataKey", P, "KeyPolicy", "Statement", 3, "Condition", to={}),
    ],
)  # fmt: skip
def test_what_misses_the_key_is_found(worsen: Callable[[Template], None], tried: Any) -> None:
    worse = copy.deepcopy(TEMPLATE)
    worsen(worse)
    tried(faults=1)
    assert [*unprotected(resolved(worse, *WITH_OWN), OWN), *admitted(worse)] != []


def test_the_key_outlives_the_stack_as_the_data_do_and_changes_its_material_every_year() -> None:
    key = TEMPLATE["Resources"]["DataKey"]
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert (key[P]["EnableKeyRotation"], key[P]["PendingWindowInDays"]) == (True, 30)


def test_without_a_key_of_ones_own_there_is_neither_a_key_nor_a_permission_for_one() -> None:
    conditions = {
        name: one.get("Condition")
        for name, one in TEMPLATE["Resources"].items()
        if name.startswith("DataKey")
    }
    assert conditions == {
        "DataKey": "MakesDataKey",
        "DataKeyUse": "HasDataKey",
        "DataKeyUseOfSageMaker": "HasDataKey",
        "DataKeyGrants": "HasDataKey",
    }
    assert "DataKey" in str(TEMPLATE["Resources"]["Queue"])
    text = str(resolved([one for name, one in TEMPLATE["Resources"].items() if name not in conditions]))
    assert "'DataKey'" not in text
    assert "'EncryptionKey'}" not in text


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        ("", True),
        ("own", True),
        ("arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", True),
        ("arn:aws:kms:eu-central-1:123456789012:alias/mine", False),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", False),
    ],
)
def test_the_key_is_given_by_its_arn(value: str, is_valid: bool) -> None:
    assert bool(re.fullmatch(TEMPLATE["Parameters"]["EncryptionKey"]["AllowedPattern"], value)) is is_valid


def test_a_host_with_disks_of_its_own_gets_no_key_for_them() -> None:
    local = {family for family in suitable_families() if not takes_volume_key(f"ml.{family}.xlarge")}
    assert {"c5d", "m5d", "g4dn", "g5", "g6", "g6e", "g7", "g7e", "p4d", "p5"} <= local
    assert {"c5", "c6i", "m5", "m7i", "t3"}.isdisjoint(local)
    source = (REPOSITORY / "statemachine/retrain.asl.yaml").read_text()
    assert (
        source.count(f"/{LOCAL_DISKS}/")
        == source.count("VolumeKmsKeyId") + source.count("{'KmsKeyId'") - 1
        == 2
    )


# --- deletion ---


def deletable(template: Template) -> Iterator[str]:
    """Yield what could be deleted although the stack is protected."""
    for name, table in resources(template, "AWS::DynamoDB::Table").items():
        if table.get("DeletionProtectionEnabled") is not True:
            yield name
    for name, pool in resources(template, "AWS::Cognito::UserPool").items():
        if pool.get("DeletionProtection") != "ACTIVE":
            yield name
    for name in ("ImagesBucket", "ArtefactsBucket"):
        statements = template["Resources"][f"{name}Policy"][P]["PolicyDocument"]["Statement"]
        kept = [one for one in statements if one["Effect"] == "Deny" and one["Action"] == "s3:DeleteBucket"]
        if [one["Principal"] for one in kept] != ["*"]:
            yield name


def test_a_protected_stack_keeps_its_tables_buckets_and_people_from_deletion() -> None:
    assert list(deletable(resolved(TEMPLATE, "IsProtected"))) == []
    assert len(list(deletable(resolved(TEMPLATE)))) == 7
    assert TEMPLATE["Parameters"]["DeletionProtection"]["Default"] == "false"


@pytest.mark.parametrize(
    "worsen",
    [
        at("HistoryTable", P, "DeletionProtectionEnabled"),
        at("UserPool", P, "DeletionProtection", to="INACTIVE"),
        at("ImagesBucketPolicy", P, "PolicyDocument", "Statement", 1),
    ],
)
def test_what_could_be_deleted_is_found(worsen: Callable[[Template], None], tried: Any) -> None:
    worse = copy.deepcopy(TEMPLATE)
    worsen(worse)
    tried(faults=1)
    assert list(deletable(resolved(worse, "IsProtected"))) != []


# --- retention ---


def test_what_grows_ends_by_a_parameter() -> None:
    images = TEMPLATE["Resources"]["ImagesBucket"][P]["LifecycleConfiguration"]["Rules"][0]
    kept = {"Ref": "ImageRetentionDays"}
    assert images["ExpirationInDays"] == kept
    assert images["NoncurrentVersionExpiration"] == {"NoncurrentDays": kept}
    variables = TEMPLATE["Resources"]["InspectFunction"][P]["Environment"]["Variables"]
    assert variables["RECORD_RETENTION_DAYS"] == {"Ref": "RecordRetentionDays"}
    groups = resources(TEMPLATE, "AWS::Logs::LogGroup").values()
    assert {str(group["RetentionInDays"]) for group in groups} == {str({"Ref": "LogRetentionDays"})}
