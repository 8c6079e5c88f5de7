"""Who is let into the local cloud."""

import pytest

from localcloud.guard import is_public, refusal

PORT = 21000
SDK = {"host": f"127.0.0.1:{PORT}", "authorization": "AWS4-HMAC-SHA256 ..."}


def refused(
    path: str = "/bucket/key", method: str = "GET", signed: bool = True, **headers: str
) -> str | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(method, path, SDK | named, {}, PORT, signed)


def test_lets_a_signed_request_of_an_sdk_in() -> None:
    assert refused() is None
    assert refused(host=f"localhost:{PORT}") is None


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", ""])
def test_refuses_a_name_that_somebodys_dns_points_here(host: str) -> None:
    assert "Host" in (refused(host=host) or "")


@pytest.mark.promise(32)
@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin"])
def test_refuses_a_pages_request(site: str) -> None:
    assert refused(sec_fetch_site=site)
    assert refused(origin="null")
    assert refused(origin=f"http://127.0.0.1:{PORT}")


@pytest.mark.parametrize("names", [("X-Amz-Signature",), ("AWSAccessKeyId", "Signature", "Expires")])
def test_lets_the_user_open_a_presigned_link_but_no_page_fetch_it(names: tuple[str, ...]) -> None:
    presigned = {name: ["..."] for name in names}
    clicked = SDK | {"sec-fetch-site": "cross-site"}
    assert refusal("GET", "/bucket/key", clicked, presigned, PORT, True) is None
    assert refusal("PUT", "/bucket/key", clicked, presigned, PORT, True)
    assert refusal("GET", "/bucket/key", clicked | {"origin": "null"}, presigned, PORT, True)


@pytest.mark.parametrize("path", ["/_ministack/reset", "/_localstack/health", "/_aws/ses"])
def test_refuses_the_emulators_own_administration(path: str) -> None:
    assert refused(path)


@pytest.mark.promise(32)
def test_refuses_the_unsigned() -> None:
    assert "Sign" in (refused(signed=False) or "")


SIGN_IN = {"x-amz-target": "AWSCognitoIdentityProviderService.InitiateAuth"}


def test_who_signs_in_has_no_credentials_yet() -> None:
    for operation in ("InitiateAuth", "RespondToAuthChallenge", "RevokeToken"):
        assert is_public("POST", "/", {"x-amz-target": f"AWSCognitoIdentityProviderService.{operation}"}, {})


@pytest.mark.parametrize(
    ("method", "path", "headers", "query"),
    [
        ("POST", "/", {}, {}),
        ("POST", "/", {"x-amz-target": "AWSCognitoIdentityProviderService.AdminDeleteUser"}, {}),
        ("POST", "/", {"x-amz-target": "AWSCognitoIdentityProviderService.SignUp"}, {}),
        ("POST", "/", {"x-amz-target": "DynamoDB_20120810.Scan"}, {}),
        ("POST", "/", SIGN_IN, {"Action": ["CreateUser"]}),
        ("POST", "/", SIGN_IN | {"authorization": "AWS4-HMAC-SHA256 Credential=test/x/y/iam/z"}, {}),
        ("POST", "/2015-03-31/functions", SIGN_IN, {}),
        ("POST", "/bucket", SIGN_IN, {"delete": [""]}),
        ("PUT", "/bucket/key", SIGN_IN, {}),
        ("GET", "/", SIGN_IN, {}),
    ],
)
def test_nobody_does_anything_else_without_a_signature(
    method: str, path: str, headers: dict[str, str], query: dict[str, list[str]]
) -> None:
    assert not is_public(method, path, headers, query)
