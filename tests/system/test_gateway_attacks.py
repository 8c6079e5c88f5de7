"""The local cloud against strangers on the machine who send much: refused by the head, before the body is kept."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.system.cloud_process import CloudProcess

pytestmark = [pytest.mark.system, pytest.mark.promise(32)]
REPO = Path(__file__).parent / "cloud"
MIB = 1 << 20
LARGE = 200 * MIB


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    cloud = CloudProcess(tmp_path_factory.mktemp("home"), REPO)
    yield cloud
    assert cloud.stop() == 0


@pytest.fixture
def cloud(process: CloudProcess) -> Any:
    return process.connection


@pytest.fixture
def bucket(cloud: Any) -> str:
    return str(cloud.outputs["BucketName"])


def peak_mib(process: CloudProcess) -> int:
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1024


def signed(cloud: Any, service: str, key: str, secret: str, url: str, **headers: str) -> dict[str, str]:
    """The headers of a request with a large body, signed by a key."""
    request = AWSRequest("PUT" if service == "s3" else "POST", url, headers=headers)
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    kind(Credentials(key, secret), service, cloud.region).add_auth(request)
    return dict(request.headers.items())


def send_much(cloud: Any, path: str, headers: dict[str, str], method: str = "PUT", size: int = LARGE) -> int:
    """Send a body of zeros as far as the other end takes it, and return the status of the answer."""
    client = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)
    client.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        client.putheader(name, value)
    client.putheader("Content-Length", str(size))
    client.endheaders()
    try:
        for _ in range(size // MIB):
            client.send(bytes(MIB))
    except ConnectionError:
        pass
    try:
        return client.getresponse().status
    except (ConnectionError, http.client.BadStatusLine):
        return 0


STRANGERS = {
    "a key that there is not": ("AKIAQQQQQQQQQQQQQQQQ", "0" * 40),
    "a wrong secret": (None, "0" * 40),
}


@pytest.mark.parametrize("service", ["s3", "lambda", "dynamodb"])
@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_large_body_of_a_stranger_is_refused_and_not_kept(
    process: CloudProcess, cloud: Any, bucket: str, stranger: str, service: str, tried: Any
) -> None:
    key, secret = STRANGERS[stranger]
    path = f"/{bucket}/large" if service == "s3" else "/2015-03-31/functions/x/invocations"
    path = "/" if service == "dynamodb" else path
    headers = {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"} if service == "s3" else {}
    if service == "dynamodb":
        headers["X-Amz-Target"] = "DynamoDB_20120810.PutItem"
    signature = signed(
        cloud, service, key or cloud.access_key_id, secret, f"{cloud.endpoint_url}{path}", **headers
    )
    before = peak_mib(process)
    status = send_much(cloud, path, signature, "PUT" if service == "s3" else "POST")
    tried(inputs=1)
    # The connection may break before the answer is read, of a client that does not stop sending.
    assert status in ((0, 403) if key or service == "s3" else (0, 403, 413))
    assert peak_mib(process) - before < (100 if service == "s3" or key else 160)
    assert not cloud.client("s3").list_objects_v2(Bucket=bucket, Prefix="large")["KeyCount"]


def test_a_refused_upload_is_told_why(cloud: Any, bucket: str) -> None:
    stranger = replace(cloud, secret_access_key="0" * 40)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.client("s3").put_object(Bucket=bucket, Key="large", Body=bytes(3 * MIB))


def test_a_body_larger_than_any_service_takes_is_refused(process: CloudProcess, cloud: Any) -> None:
    path = "/2015-03-31/functions/x/invocations"
    url = f"{cloud.endpoint_url}{path}"
    signature = signed(cloud, "lambda", cloud.access_key_id, cloud.secret_access_key, url)
    before = peak_mib(process)
    assert send_much(cloud, path, signature, "POST") in (0, 413)
    assert peak_mib(process) - before < 160


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_whoever_may_uploads_large_images_in_every_way(cloud: Any, bucket: str, version: str) -> None:
    body = bytes(range(256)) * 4 * 3072  # 3 MiB
    s3 = cloud.client("s3", Config(signature_version=version))
    s3.put_object(Bucket=bucket, Key="whole", Body=body)
    link = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "link"})
    assert requests.put(link, data=body, timeout=60).status_code == 200
    pieces = (body[start : start + MIB] for start in range(0, len(body), MIB))
    assert requests.put(link.replace("link", "other", 1), data=pieces, timeout=60).status_code == 403
    for name in ("whole", "link"):
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == body


def test_a_large_request_to_another_service_is_taken(cloud: Any) -> None:
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName="/large")
    logs.create_log_stream(logGroupName="/large", logStreamName="one")
    events = [{"timestamp": 1_700_000_000_000, "message": "x" * 200_000} for _ in range(6)]
    logs.put_log_events(logGroupName="/large", logStreamName="one", logEvents=events)


def test_the_key_of_a_role_as_functions_and_jobs_have_it_takes_large_requests_too(
    cloud: Any, bucket: str
) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    allow = {"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}
    role, policy = (json.dumps({"Version": "2012-10-17", "Statement": [part]}) for part in (trust, allow))
    iam = cloud.client("iam")
    arn = iam.create_role(RoleName="large", AssumeRolePolicyDocument=role)["Role"]["Arn"]
    iam.put_role_policy(RoleName="large", PolicyName="all", PolicyDocument=policy)
    given = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="one")["Credentials"]
    session = boto3.Session(
        given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=cloud.region
    )
    s3 = session.client("s3", endpoint_url=cloud.endpoint_url)
    s3.put_object(Bucket=bucket, Key="of-a-role", Body=bytes(3 * MIB))
    logs = session.client("logs", endpoint_url=cloud.endpoint_url)
    logs.create_log_group(logGroupName="/of-a-role")
    logs.create_log_stream(logGroupName="/of-a-role", logStreamName="one")
    events = [{"timestamp": 1_700_000_000_000, "message": "x" * 200_000} for _ in range(6)]
    logs.put_log_events(logGroupName="/of-a-role", logStreamName="one", logEvents=events)


@pytest.mark.parametrize("more", [b"X-Long: " + b"x" * 60_000, b"X-Many: y\r\n" * 6000], ids=["long", "many"])
def test_a_head_without_end_is_refused(cloud: Any, more: bytes, tried: Any) -> None:
    with socket.create_connection(("127.0.0.1", cloud.port), timeout=60) as connection:
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + more)
            status = connection.recv(65536).split(b" ")[1]
        except ConnectionError:
            status = b"431"
    tried(inputs=1)
    assert status in (b"400", b"431")
    assert cloud.client("s3").list_buckets()["Buckets"]


def test_the_dashboard_keeps_no_large_body(process: CloudProcess, cloud: Any) -> None:
    before = peak_mib(process)
    client = http.client.HTTPConnection("127.0.0.1", cloud.site_port, timeout=60)
    client.putrequest("POST", "/api/session")
    client.putheader("Content-Length", str(LARGE))
    client.endheaders()
    try:
        for _ in range(200):
            client.send(bytes(MIB))
    except ConnectionError:
        pass
    assert peak_mib(process) - before < 100
