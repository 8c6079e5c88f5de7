"""Attacks on the whole API by its own description: schemathesis makes requests, valid and not, for every route.

Whatever is sent: no fault, nothing but JSON or CSV, and answers as the description promises them.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import boto3
import hypothesis
import pytest

from api.app import app
from api.openapi import describe
from contract.inspections import Verdict
from handlers import api
from inspection.rules import Reason
from tests.api_support import jwt
from tests.inspection_support import Context, jpeg
from tests.integration.api_cloud import ApiCloud, start

STEPS = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Pass", "End": True}}})
ROLE = "arn:aws:iam::123456789012:role/loupe"


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a WSGI request by the function, as the HTTP API does for an administrator."""
    body = environ["wsgi.input"].read()
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace").replace("%", "%25")
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        # A client that takes gzip unpacks it itself.
        if name.startswith("HTTP_") and name != "HTTP_ACCEPT_ENCODING"
    }
    if kind := environ.get("CONTENT_TYPE"):
        headers["content-type"] = kind
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(environ["QUERY_STRING"], keep_blank_values=True):
        query.setdefault(name, []).append(value)
    request: dict[str, Any] = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": environ["QUERY_STRING"],
        "queryStringParameters": {name: ",".join(values) for name, values in query.items()},
        "headers": headers,
        "cookies": [part.strip() for part in headers.get("cookie", "").split(";") if part.strip()],
        "requestContext": {
            "stage": "$default",
            "http": {"method": environ["REQUEST_METHOD"], "path": path},
            "authorizer": jwt("admin"),
        },
        "isBase64Encoded": bool(body),
        "body": base64.b64encode(body).decode() if body else None,
    }
    answer = api.handler(request, Context())  # type: ignore[arg-type]
    sent = [*answer["headers"].items(), *(("Set-Cookie", cookie) for cookie in answer.get("cookies") or [])]
    start_response(f"{answer['statusCode']} -", sent)
    text = answer["body"] or ""
    return [base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()]


@pytest.fixture(scope="module")
def cloud() -> Iterator[ApiCloud]:
    with pytest.MonkeyPatch.context() as patch:
        for cloud in start(patch):
            _complete(patch)
            scratch = Reason("doubtful", "possible defect: scratch 0.41", "scratch", 0.41, 0.5, "major", 0)
            cloud.add("incoming/line-1/top/A.jpg", Verdict.REVIEW, scratch, data=jpeg())
            cloud.add("incoming/line-1/top/B.jpg", data=jpeg())
            yield cloud


def _complete(patch: pytest.MonkeyPatch) -> None:
    """Make what else the routes ask for."""
    boto3.client("ssm").put_parameter(Name="/press/rules", Value='{"version": "7"}', Type="String")
    machine = boto3.client("stepfunctions").create_state_machine(
        name="retrain", definition=STEPS, roleArn=ROLE
    )
    users = boto3.client("cognito-idp")
    pool = users.create_user_pool(PoolName="press")["UserPool"]["Id"]
    client = users.create_user_pool_client(
        UserPoolId=pool, ClientName="page", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )
    for name, value in {
        "STACK_NAME": "press",
        "ENDPOINT_NAME": "press-detector",
        "RULES_PARAMETER": "/press/rules",
        "RULES_CACHE_SECONDS": "1",
        "STATE_MACHINE_ARN": machine["stateMachineArn"],
        "MODEL_PACKAGE_GROUP": "press",
        "DATASET_NAME": "default",
        "USER_POOL_ID": pool,
        "USER_POOL_CLIENT_ID": client["UserPoolClient"]["ClientId"],
        "PICTURE_LINK_HOURS": "1",
    }.items():
        patch.setenv(name, value)


# As it is published: to describe the API anew takes half a second of every process.
PUBLISHED = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
OPERATIONS = [
    f"{method.upper()} {path}" for path, methods in PUBLISHED["paths"].items() for method in methods
]
# For a session that it does not know, moto says that the user pool does not exist.
EXCUSED = {"POST /api/session/password": {"not_a_server_error"}}
# Each example takes moto some 20 ms, and there are more than forty routes.
EXAMPLES = {"POSITIVE": 2, "NEGATIVE": 3}


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    """Schemathesis' operations by their names."""
    # It takes seconds to import, also in processes that run none of these tests.
    import schemathesis

    schema = schemathesis.openapi.from_dict(describe(app))
    schema.app, schema.location = application, "/"
    found = [result.ok() for result in schema.get_all_operations()]
    return {operation.label: operation for operation in found}


@pytest.fixture(scope="module")
def checks() -> list[Callable[..., Any]]:
    """What an answer must fulfil."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    return [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
        checks.unsupported_method,
    ]


def test_every_route_is_attacked(operations: dict[str, Any]) -> None:
    assert sorted(operations) == sorted(OPERATIONS)


@pytest.mark.promise(32)
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_request_breaks_the_api_or_its_description(
    cloud: ApiCloud, operations: dict[str, Any], checks: list[Callable[..., Any]], name: str
) -> None:
    from schemathesis import GenerationMode

    required = [check for check in checks if check.__name__ not in EXCUSED.get(name, ())]
    for mode, count in EXAMPLES.items():

        @hypothesis.given(case=operations[name].as_strategy(GenerationMode[mode]))
        @hypothesis.settings(
            max_examples=count,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate],
        )
        def attack(case: Any) -> None:
            answer = case.call()
            case.validate_response(answer, checks=required)
            kind = answer.headers.get("content-type", ["application/json"])[0]
            assert kind.startswith(("application/json", "text/csv"))
            assert answer.headers["x-content-type-options"] == ["nosniff"]
            assert answer.headers["cache-control"] == ["no-store"]

        attack()
