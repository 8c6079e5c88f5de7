"""The HTTP API: for any request it answers in JSON or CSV, as it promises, and never with a fault."""

from __future__ import annotations

import base64
import json
import os
import random
from functools import cache
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl

from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError

from tests.api_support import forget, jwt
from tests.fuzz.mutation import mutate_bytes
from tests.fuzz.target import Target
from tests.inspection_support import Context

_HOSTILE = (
    *(
        b"%00",
        b"%ff",
        b"%2e%2e%2f",
        b"<script>",
        b"=1+1",
        b"\x1b[31m",
        b"%0d%0aX: y",
        b"null",
        b"-1",
        b"1e999",
    ),
    *(b"[[[[[[", b'{"a":' * 200, b"9" * 40, "\U0001f525".encode(), b"\xed\xa0\x80", b"true", b'""'),
)


@cache
def seeds() -> list[bytes]:
    """Return requests as text: the line, and the body."""
    lines = [
        *(
            "GET /session",
            "GET /places",
            "GET /health",
            "GET /rules",
            "GET /rules/history",
            "GET /changes?limit=5",
        ),
        *("GET /inspections?line=line-1&verdict=fail&limit=3", "GET /inspections.csv?since=2026-01-01"),
        *(
            "GET /inspections/3f1e0a5b9c8d7e6f5a4b3c2d1e0f9a8b",
            "GET /statistics?since=2026-01-01&until=2026-01-02",
        ),
        *("GET /parts/SN1", "GET /reviews?limit=2", "GET /labels", "GET /rates", "GET /runs", "GET /models"),
        'POST /reviews/claim\n{"line": "line-1"}',
        'POST /reviews/x/decision\n{"verdict": "fail", "objects": [{"label": "pits", "box": [1, 2, 3, 4]}]}',
        'PUT /rules\n{"document": {"version": "2", "classes": {"pits": {"fail_score": 0.5}}}, "base": "1"}',
        'POST /rules/preview\n{"document": {"version": "2"}, "cases": 10}',
        'POST /runs\n{"settings": {"epochs": "1"}}',
        'POST /session\n{"username": "maria", "password": "secret"}',
    ]
    return [line.encode() for line in lines]


def _mutated(data: bytes, rng: random.Random, seeds: list[bytes]) -> bytes:
    for _ in range(rng.randint(0, 3)):
        place = rng.randint(0, len(data))
        data = data[:place] + rng.choice(_HOSTILE) + data[place:]
    return mutate_bytes(data, rng, seeds) if rng.random() < 0.4 else data


# Whatever the API needs is named, and nothing of it can be reached: the request itself is what is tried.
_ENVIRONMENT = {
    **dict.fromkeys(("TABLE_NAME", "STATISTICS_TABLE", "REVIEWS_TABLE", "HISTORY_TABLE"), "table"),
    **dict.fromkeys(
        ("IMAGES_BUCKET", "ARTEFACTS_BUCKET", "DATA_BUCKET", "STACK_NAME", "ENDPOINT_NAME"), "press"
    ),
    **dict.fromkeys(("MODEL_PACKAGE_GROUP", "DATASET_NAME", "USER_POOL_ID", "USER_POOL_CLIENT_ID"), "press"),
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing"),
    "RULES_PARAMETER": "/press/rules",
    "RULES_CACHE_SECONDS": "1",
    "STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:stateMachine:retrain",
    **dict.fromkeys(("MAX_IMAGE_BYTES", "MAX_IMAGE_PIXELS"), "100000"),
    **dict.fromkeys(("INDEX_SHARDS", "RECORD_RETENTION_DAYS"), "8"),
    "PICTURE_LINK_HOURS": "1",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


def _unreachable(*_: object, **__: object) -> None:
    raise EndpointConnectionError(endpoint_url="https://aws.invalid")


def broken(data: bytes) -> str | None:
    """Send a request as an administrator."""
    from handlers import api

    line, _, body = data.partition(b"\n")
    method, _, target = line.decode("utf-8", "replace").partition(" ")
    path, _, query = target.partition("?")
    request: dict[str, Any] = {
        "version": "2.0",
        "rawPath": f"/api{path}",
        "rawQueryString": query,
        "queryStringParameters": dict(parse_qsl(query, keep_blank_values=True)),
        "headers": {"content-type": "application/json", "host": "loupe.test"},
        "requestContext": {
            "stage": "$default",
            "http": {"method": method, "path": f"/api{path}"},
            "authorizer": jwt("admin"),
        },
        "isBase64Encoded": bool(body),
        "body": base64.b64encode(body).decode() if body else None,
    }
    forget()
    try:
        with patch.dict(os.environ, _ENVIRONMENT), patch.object(BaseClient, "_make_api_call", _unreachable):
            answer = api.handler(request, Context())  # type: ignore[arg-type]
    finally:
        forget()
    if answer["statusCode"] >= 500 and answer["statusCode"] != 503:
        return f"status {answer['statusCode']}: {answer['body'][:200]}"
    if answer["headers"].get("Cache-Control") != "no-store":
        return "the answer may be stored by others"
    kind = str(
        next((value for name, value in answer["headers"].items() if name.lower() == "content-type"), "")
    )
    if kind.startswith("application/json") and answer["body"] and not answer.get("isBase64Encoded"):
        json.loads(answer["body"])
    return None


TARGET = Target("api_requests", (31, 32), seeds, broken, _mutated, examples=25)
