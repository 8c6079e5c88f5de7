"""What the inspect function itself costs: its import, and its CPU time for an image without the AWS calls.

AWS is replaced below botocore, so everything above the socket is real. The CPU time of the same AWS calls on their own
is measured, too, and subtracted. Needs functions/ on the path; prints one JSON document.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session
from PIL import Image
from urllib3 import HTTPResponse

_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "POWERTOOLS_SERVICE_NAME": "bench",
    "POWERTOOLS_METRICS_NAMESPACE": "Loupe",
    "TABLE_NAME": "inspections",
    "ENDPOINT_NAME": "detector",
    "QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/queue",
    "RULES_PARAMETER": "/loupe/rules",
    "RULES_CACHE_SECONDS": "30",
    "INDEX_SHARDS": "8",
    "MAX_IMAGE_BYTES": "6291456",
    "MAX_IMAGE_PIXELS": "100000000",
    "MAX_RECEIVE_COUNT": "5",
    "RECORD_RETENTION_DAYS": "400",
}
_BATCH = 10


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((200, 200), 60).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


_IMAGE = _picture()
_RESPONSE = json.dumps(
    {
        "model": {"name": "bench", "version": "1"},
        "image": {"width": 200, "height": 200},
        "detections": [
            {"label": "scratches", "score": 0.9 - n / 20, "box": [n, n, n + 40.5, n + 80.25]}
            for n in range(8)
        ],
        "quality": {"sharpness": 100.0, "exposure": 0.5, "clipped": 0.0},
        "timings_ms": {"total": 5.0},
    }
).encode()
_RULES = json.dumps(
    {"Parameter": {"Name": "r", "Type": "String", "Value": '{"version": "1"}', "Version": 1}}
).encode()


def _send(_: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
    body, url = b"{}", request.url
    if ".s3." in url:
        body = _IMAGE
    elif "runtime.sagemaker" in url:
        body = _RESPONSE
    elif "ssm." in url:
        body = _RULES
    headers = {"content-length": str(len(body)), "content-type": "application/json"}
    raw = HTTPResponse(io.BytesIO(body), headers, preload_content=False)
    return AWSResponse(url, 200, HTTPHeaders.from_dict(headers), raw)


class _Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "bench"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def _message(number: int) -> dict[str, Any]:
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "s3": {
            "bucket": {"name": "images"},
            "object": {"key": f"incoming/line-1/top/{number}.jpg", "versionId": "v", "sequencer": "0A"},
        },
    }
    return {
        "messageId": str(number),
        "receiptHandle": "r",
        "body": json.dumps({"Records": [record]}),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
    }


def _cpu_ms(inspect_batch: Callable[[], object], batches: int) -> float:
    """Return the milliseconds of this process's CPU time, all threads, for an image."""
    for _ in range(5):
        inspect_batch()
    began = time.process_time()
    for _ in range(batches):
        inspect_batch()
    return (time.process_time() - began) * 1000 / (batches * _BATCH)


def measure_cpu(batches: int = 60) -> dict[str, float]:
    """Return the CPU time for an image: the whole handler, the AWS calls on their own, and the difference."""
    os.environ.update(_ENVIRONMENT)
    from handlers.inspect import handler

    event = {"Records": [_message(number) for number in range(_BATCH)]}
    s3, runtime, table = boto3.client("s3"), boto3.client("sagemaker-runtime"), boto3.client("dynamodb")
    item: Any = {name: {"S": "x" * 20} for name in "abcdefghijklmnopqrst"}

    def call_aws(_: int) -> None:
        s3.get_object(Bucket="images", Key="incoming/k", VersionId="v")["Body"].read()
        runtime.invoke_endpoint(EndpointName="detector", Body=_IMAGE)["Body"].read()
        table.put_item(TableName="inspections", Item=item)

    def only_aws() -> None:
        with ThreadPoolExecutor(_BATCH) as pool:
            list(pool.map(call_aws, range(_BATCH)))

    with patch.object(URLLib3Session, "send", _send), open(os.devnull, "w") as silence:
        stdout, sys.stdout = sys.stdout, silence
        try:
            whole = _cpu_ms(lambda: handler(event, _Context()), batches)  # type: ignore[arg-type]
            aws = _cpu_ms(only_aws, batches)
        finally:
            sys.stdout = stdout
    return {"handler": round(whole, 2), "aws_calls": round(aws, 2), "own": round(whole - aws, 2)}


def measure_import(times: int = 7) -> dict[str, float]:
    """Return the milliseconds to import the handler, boto3 included, and boto3 alone.

    They are medians over new interpreters that find compiled bytecode.
    """
    code = "import time; t=time.perf_counter(); import {0}; print((time.perf_counter()-t)*1000)"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | _ENVIRONMENT

    def import_ms(module: str) -> float:
        command = [sys.executable, "-c", code.format(module)]
        output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout  # noqa: S603
        return float(output)

    medians = {}
    for module in ("handlers.inspect", "boto3"):
        # The first import compiles the bytecode.
        import_ms(module)
        medians[module] = round(statistics.median(import_ms(module) for _ in range(times)), 1)
    return medians


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"import_ms": measure_import(), "cpu_ms_per_image": measure_cpu()}) + "\n")
