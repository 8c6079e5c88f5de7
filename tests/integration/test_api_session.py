"""Signing in and out by the user pool, on moto."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from api import aws
from api.routes import session
from tests.api_support import Answer, call, event, forget, send

PASSWORD = "Right-Horse-42-staple"
PAGE = {"X-Requested-With": "loupe"}


@pytest.fixture(scope="module")
def _pool() -> Iterator[Callable[[bool], None]]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        forget()
        client = boto3.client("cognito-idp")
        pool_id = client.create_user_pool(PoolName="loupe")["UserPool"]["Id"]
        app = client.create_user_pool_client(
            UserPoolId=pool_id,
            ClientName="dashboard",
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )["UserPoolClient"]
        patch.setenv("USER_POOL_ID", pool_id)
        patch.setenv("USER_POOL_CLIENT_ID", app["ClientId"])
        client.create_group(UserPoolId=pool_id, GroupName="reviewer")
        client.admin_create_user(UserPoolId=pool_id, Username="maria", TemporaryPassword=PASSWORD)
        client.admin_add_user_to_group(UserPoolId=pool_id, Username="maria", GroupName="reviewer")
        yield lambda permanent: client.admin_set_user_password(
            UserPoolId=pool_id, Username="maria", Password=PASSWORD, Permanent=permanent
        )
    forget()


@pytest.fixture
def new_user(_pool: Callable[[bool], None]) -> None:
    """Maria, whose password an administrator has chosen."""
    _pool(False)


@pytest.fixture
def user(_pool: Callable[[bool], None]) -> None:
    """Maria, with her own password."""
    _pool(True)


def sign_in(username: str = "maria", password: str = PASSWORD, **parts: Any) -> Answer:
    return send(event("POST", "/session", body={"username": username, "password": password}, **parts))


def cookie_of(answer: Answer) -> tuple[str, set[str]]:
    (cookie,) = answer.cookies
    pair, *attributes = cookie.split("; ")
    return pair, set(attributes)


def test_a_session_has_a_token_and_a_cookie_that_no_script_reads(user: None) -> None:
    answer = sign_in()
    assert answer.status == 200
    assert answer.body["user"] == {"name": "maria", "groups": ["viewer", "operator", "reviewer"]}
    assert answer.body["expires_in"] > 0
    assert answer.body["token"].count(".") == 2
    pair, attributes = cookie_of(answer)
    assert pair.startswith("loupe_refresh=")
    assert attributes == {"Path=/api/session", "Max-Age=2592000", "HttpOnly", "Secure", "SameSite=Strict"}
    assert pair.partition("=")[2] not in json.dumps(answer.body)


def test_the_cookie_works_without_tls_where_there_is_none(user: None) -> None:
    assert "Secure" not in cookie_of(sign_in(headers={"X-Forwarded-Proto": "http"}))[1]


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("maria", "wrong"),
        ("nobody", PASSWORD),
        ("maria\u202e", PASSWORD),
        ("<script>", "x"),
    ],
)
def test_wrong_credentials_never_tell_what_is_wrong(user: None, username: str, password: str) -> None:
    answer = sign_in(username, password)
    assert (answer.status, answer.code) == (401, "bad_credentials")
    assert answer.body == sign_in("maria", "also wrong").body
    assert answer.cookies == []


def test_the_first_password_must_be_replaced(new_user: None) -> None:
    first = sign_in()
    assert first.status == 200
    assert first.body["challenge"] == "new_password"
    assert first.cookies == []
    body = {"username": "maria", "session": first.body["session"], "new_password": "My-Own-Password-1"}
    answer = send(event("POST", "/session/password", body=body))
    assert answer.body["user"]["name"] == "maria"
    assert sign_in(password="My-Own-Password-1").status == 200


def test_a_session_goes_on_by_its_cookie(user: None) -> None:
    cookie, _ = cookie_of(sign_in())
    answer = send(event("POST", "/session/refresh", headers=PAGE, cookies=[cookie]))
    assert answer.status == 200
    assert answer.body["user"]["groups"] == ["viewer", "operator", "reviewer"]


@pytest.mark.promise(32)
@pytest.mark.parametrize("cookies", [[], ["loupe_refresh="], ["loupe_refresh=forged"], ["other=1"]])
def test_without_a_valid_cookie_no_session_goes_on(user: None, cookies: list[str]) -> None:
    answer = send(event("POST", "/session/refresh", headers=PAGE, cookies=cookies))
    assert (answer.status, answer.code) == (401, "bad_credentials")


@pytest.mark.promise(32)
@pytest.mark.parametrize(("method", "path"), [("POST", "/session/refresh"), ("DELETE", "/session")])
def test_a_page_of_another_origin_cannot_use_the_cookie(user: None, method: str, path: str) -> None:
    cookie, _ = cookie_of(sign_in())
    answer = send(event(method, path, cookies=[cookie]))
    assert (answer.status, answer.code) == (403, "forbidden")


def test_signing_out_revokes_the_token_and_clears_the_cookie(user: None) -> None:
    cookie, _ = cookie_of(sign_in())
    with Stubber(aws.cognito()) as stub:
        token = cookie.partition("=")[2]
        stub.add_response("revoke_token", {}, {"Token": token, "ClientId": session._sign_in().client_id})
        answer = send(event("DELETE", "/session", headers=PAGE, cookies=[cookie]))
        stub.assert_no_pending_responses()
    assert answer.status == 204
    pair, attributes = cookie_of(answer)
    assert pair == "loupe_refresh="
    assert "Max-Age=0" in attributes


def _stubbed(code: str, message: str = "internals of the pool") -> Answer:
    with Stubber(aws.cognito()) as stub:
        stub.add_client_error("initiate_auth", code, message)
        return sign_in()


@pytest.mark.parametrize(
    ("code", "status", "answer_code"),
    [
        ("UserNotFoundException", 401, "bad_credentials"),
        ("UserNotConfirmedException", 401, "bad_credentials"),
        ("PasswordResetRequiredException", 401, "bad_credentials"),
        ("TooManyRequestsException", 429, "too_many_requests"),
        ("ThrottlingException", 503, "unavailable"),
        ("ResourceNotFoundException", 500, "internal"),
    ],
)
def test_errors_of_the_pool_become_the_apis_own(user: None, code: str, status: int, answer_code: str) -> None:
    answer = _stubbed(code)
    assert (answer.status, answer.code) == (status, answer_code)
    assert "internals" not in json.dumps(answer.body)


def test_a_challenge_that_the_page_cannot_answer_is_named(user: None) -> None:
    with Stubber(aws.cognito()) as stub:
        stub.add_response("initiate_auth", {"ChallengeName": "SOFTWARE_TOKEN_MFA", "Session": "s" * 20})
        answer = sign_in()
    assert (answer.status, answer.code) == (403, "unsupported_challenge")
    assert "SOFTWARE_TOKEN_MFA" in answer.body["error"]["message"]


def test_a_simple_new_password_is_refused_with_the_pools_reason(user: None) -> None:
    with Stubber(aws.cognito()) as stub:
        stub.add_client_error("respond_to_auth_challenge", "InvalidPasswordException", "not long enough")
        body = {"username": "maria", "session": "s" * 30, "new_password": "short"}
        answer = send(event("POST", "/session/password", body=body))
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.body["error"]["details"] == ["not long enough"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"username": "maria"}, "password: is missing"),
        ({"username": "", "password": "x"}, "username: must not be empty"),
        ({"username": "m" * 129, "password": "x"}, "username: must have at most 128 characters"),
        ({"username": ["maria"], "password": "x"}, "username: must be a text"),
    ],
)
def test_a_request_that_is_not_valid_says_what_is_wrong(body: dict[str, Any], problem: str) -> None:
    answer = send(event("POST", "/session", body=body))
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.body["error"]["details"] == [problem]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[" * 100_000,
        "[1]",
        '"text"',
        "null",
        '{"username": NaN}',
        '{"username": "\\ud800", "password": "x"}',
        "\x00",
    ],
)
def test_a_body_that_is_not_an_object_is_refused(body: str) -> None:
    answer = send(event("POST", "/session", body=body))
    assert (answer.status, answer.code) == (400, "invalid_request")


@pytest.mark.parametrize("content_type", ["text/html", "multipart/form-data", "application/xml"])
def test_only_json_is_taken(content_type: str) -> None:
    answer = send(event("POST", "/session", body="x", headers={"Content-Type": content_type}))
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def test_a_large_body_is_refused_before_it_is_read() -> None:
    answer = send(event("POST", "/session", body=" " * 600_000))
    assert (answer.status, answer.code) == (413, "too_large")


def test_a_damaged_base64_body_is_refused() -> None:
    request = event("POST", "/session", body="{}")
    request |= {"isBase64Encoded": True, "body": "%%%"}
    assert send(request).status == 400
    request["body"] = base64.b64encode(b"\xff\xfe").decode()
    assert send(request).status == 400


def test_a_token_of_another_kind_of_user_is_shown_as_it_is() -> None:
    assert call("GET", "/session").body["user"] == {"name": "maria", "groups": []}
