"""What a template and boto3 set on a bucket is what boto3 reads, as the local cloud's S3 answers it."""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from ministack.core.responses import request_scope
from ministack.services import kms, s3
from ministack.services.cloudformation import provisioners

from localcloud.ministack import bucket_configurations, managed_key

STORES = (
    *(s3._buckets, s3._bucket_lifecycle, s3._bucket_encryption, s3._bucket_versioning),
    *(kms._keys, kms._aliases),
)


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MiniStack's S3 and KMS without anything in the account, changed as in the local cloud."""
    names = ("_put_bucket_lifecycle", "_resolve_sse_write_headers", "_bucket_default_sse_headers")
    for module, name in (
        *((s3, name) for name in names),
        (kms, "_key_metadata"),
        (provisioners, "_S3_BUCKET_CONFIGURATIONS"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    for store in STORES:
        monkeypatch.setattr(store, "_data", type(store._data)())
    bucket_configurations.apply()
    managed_key.apply()
    with request_scope("000000000000", "us-east-1"):
        yield


class _Raw:
    """The body of an answer, as urllib3 gives it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._body


@pytest.fixture
def client() -> Any:
    """boto3's client; MiniStack's S3 answers its requests in this process."""
    client = boto3.client("s3", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")

    def answer(request: Any, **_: Any) -> AWSResponse:
        url = urlsplit(request.url)
        host = str(url.netloc).removesuffix("s3.amazonaws.com").rstrip(".")
        path = f"/{host}{url.path}" if host else url.path
        headers = {
            name.lower(): value if isinstance(value, str) else value.decode()
            for name, value in request.headers.items()
        }
        body = request.body.read() if hasattr(request.body, "read") else request.body or b""
        status, answered, content = asyncio.run(
            s3.handle_request(
                request.method, path, headers, body, parse_qs(url.query, keep_blank_values=True)
            )
        )[:3]
        content = content.encode() if isinstance(content, str) else content
        return AWSResponse(request.url, status, answered, _Raw(content or b""))

    client.meta.events.register("before-send.s3", answer)
    return client


def deployed(**properties: Any) -> str:
    """Deploy a bucket of a template."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    name, _ = handler["create"]("Bucket", {"BucketName": "deployed", **properties}, "stack")
    return str(name)


def rules(client: Any, bucket: str) -> dict[str, Any]:
    answer = client.get_bucket_lifecycle_configuration(Bucket=bucket)
    return {rule.pop("ID"): rule for rule in answer["Rules"]}


OF_A_TEMPLATE = [
    {"Id": "pictures", "Status": "Enabled", "Prefix": "annotated/", "ExpirationInDays": "400"},
    {
        "Id": "lost",
        "Status": "Enabled",
        "Prefix": "models/",
        "TagFilters": [{"Key": "loupe:lost", "Value": "true"}],
        "ExpirationInDays": 90,
    },
    {"Id": "old", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 90}},
    {
        "Id": "unfinished",
        "Status": "Disabled",
        "ObjectSizeGreaterThan": "1024",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    },
    {
        "Id": "cold",
        "Status": "Enabled",
        "TagFilters": [{"Key": "a", "Value": "b"}],
        "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 30}],
        "ExpiredObjectDeleteMarker": True,
    },
]
AS_S3_HAS_THEM = {
    "pictures": {"Status": "Enabled", "Filter": {"Prefix": "annotated/"}, "Expiration": {"Days": 400}},
    "lost": {
        "Status": "Enabled",
        "Filter": {
            "And": {
                "Prefix": "models/",
                "Tags": [{"Key": "loupe:lost", "Value": "true"}],
                "ObjectSizeGreaterThan": 0,
            }
        },
        "Expiration": {"Days": 90},
    },
    "old": {
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
    },
    "unfinished": {
        "Status": "Disabled",
        "Filter": {"ObjectSizeGreaterThan": 1024},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    },
    "cold": {
        "Status": "Enabled",
        "Filter": {"Tag": {"Key": "a", "Value": "b"}},
        "Transitions": [{"StorageClass": "GLACIER", "Days": 30}],
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    },
}


def test_a_deployed_bucket_has_the_lifecycle_rules_of_its_template(client: Any):
    bucket = deployed(LifecycleConfiguration={"Rules": OF_A_TEMPLATE})
    assert rules(client, bucket) == AS_S3_HAS_THEM


def test_an_update_of_the_stack_changes_and_removes_the_rules(client: Any):
    before = {"BucketName": "deployed", "LifecycleConfiguration": {"Rules": OF_A_TEMPLATE}}
    after = {"BucketName": "deployed", "LifecycleConfiguration": {"Rules": OF_A_TEMPLATE[:1]}}
    bucket = deployed(**before)
    update = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]["update"]
    update(bucket, before, after, "stack")
    assert list(rules(client, bucket)) == ["pictures"]
    update(bucket, after, {"BucketName": "deployed"}, "stack")
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        rules(client, bucket)


def test_a_template_whose_rules_s3_refuses_fails():
    with pytest.raises(ValueError, match="positive integer"):
        deployed(LifecycleConfiguration={"Rules": [OF_A_TEMPLATE[0] | {"ExpirationInDays": 0}]})


def test_a_client_reads_the_rules_that_it_has_set(client: Any):
    client.create_bucket(Bucket="mine")
    wanted = [{"ID": name, **rule} for name, rule in AS_S3_HAS_THEM.items()]
    client.put_bucket_lifecycle_configuration(Bucket="mine", LifecycleConfiguration={"Rules": wanted})
    assert rules(client, "mine") == AS_S3_HAS_THEM


def test_a_rule_of_the_older_form_is_not_read_as_one_for_the_whole_bucket(client: Any):
    client.create_bucket(Bucket="mine")
    rule = {"Prefix": "logs/", "Status": "Enabled", "Expiration": {"Days": 3}}
    client.put_bucket_lifecycle_configuration(Bucket="mine", LifecycleConfiguration={"Rules": [rule]})
    ((name, found),) = rules(client, "mine").items()
    assert found == {"Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 3}}
    assert name


def test_rules_that_are_not_xml_are_refused():
    status, _, body = s3._put_bucket_lifecycle("deployed", b"<Lifecycle")
    assert (status, b"MalformedXML" in body) == (400, True)


def test_a_deployed_bucket_has_the_encryption_of_its_template(client: Any):
    default = {"SSEAlgorithm": "AES256"}
    rule = {"ServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    bucket = deployed(BucketEncryption={"ServerSideEncryptionConfiguration": [rule]})
    answer = client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert answer == [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
    assert client.put_object(Bucket=bucket, Key="a", Body=b"a")["ServerSideEncryption"] == "AES256"


@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse"])
def test_an_upload_that_names_no_key_takes_awss_managed_one(client: Any, algorithm: str):
    client.create_bucket(Bucket="mine")
    put = client.put_object(Bucket="mine", Key="a", Body=b"a", ServerSideEncryption=algorithm)
    parts = client.create_multipart_upload(Bucket="mine", Key="b", ServerSideEncryption=algorithm)
    client.copy_object(Bucket="mine", Key="c", CopySource="mine/a", ServerSideEncryption=algorithm)
    answers = [put, parts, *(client.head_object(Bucket="mine", Key=key) for key in "ac")]
    assert {answer["ServerSideEncryption"] for answer in answers} == {algorithm}
    (key,) = {answer["SSEKMSKeyId"] for answer in answers}
    record = kms._resolve_key("alias/aws/s3")
    assert record["Arn"] == key
    assert kms._key_metadata(record)["KeyManager"] == "AWS"


def test_an_upload_with_a_key_keeps_it_and_other_algorithms_are_refused(client: Any):
    client.create_bucket(Bucket="mine")
    key = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:us-east-1:000000000000:key/x"}
    assert client.put_object(Bucket="mine", Key="a", **key)["SSEKMSKeyId"] == key["SSEKMSKeyId"]
    with pytest.raises(ClientError, match="InvalidArgument"):
        client.put_object(Bucket="mine", Key="a", ServerSideEncryption="aws:none")
    assert not kms._aliases


def test_a_bucket_whose_default_names_no_key_takes_awss_managed_one(client: Any):
    client.create_bucket(Bucket="mine")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    client.put_bucket_encryption(Bucket="mine", ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert client.put_object(Bucket="mine", Key="a")["SSEKMSKeyId"] == kms._resolve_key("alias/aws/s3")["Arn"]
