"""Who may do what, and how an error looks."""

import pytest

from tests.api_support import IAM, call, event, jwt, send


def test_a_session_shows_the_name_and_the_groups_with_those_that_they_include() -> None:
    answer = call("GET", "/session", "reviewer")
    assert (answer.status, answer.body) == (
        200,
        {"user": {"name": "maria", "groups": ["viewer", "operator", "reviewer"]}},
    )


@pytest.mark.parametrize("groups", ["[admin reviewer]", "[admin, reviewer]", "admin", ["reviewer", "admin"]])
def test_groups_arrive_as_text_or_list(groups: object) -> None:
    authorizer = jwt()
    authorizer["jwt"]["claims"]["cognito:groups"] = groups
    answer = send(event("GET", "/session", authorizer=authorizer))
    assert answer.body["user"]["groups"] == ["viewer", "operator", "reviewer", "admin"]


@pytest.mark.promise(32)
def test_an_unknown_group_gives_no_right() -> None:
    assert call("GET", "/session", "administrators", "root").body["user"]["groups"] == []


def test_who_invokes_the_function_directly_is_an_administrator() -> None:
    answer = send(event("GET", "/session", authorizer=IAM))
    assert answer.body["user"] == {"name": "maria", "groups": ["viewer", "operator", "reviewer", "admin"]}


@pytest.mark.promise(32)
@pytest.mark.parametrize(
    "authorizer",
    [
        None,
        {},
        {"jwt": {"claims": {}}},
        {"iam": {}},
        {"iam": None, "jwt": None},
        jwt(token_use="id"),
        jwt(name=""),
    ],
)
def test_a_request_that_names_nobody_is_unauthorized(authorizer: dict[str, object] | None) -> None:
    answer = send(event("GET", "/session", authorizer=authorizer))
    assert (answer.status, answer.code) == (401, "unauthorized")


def test_an_unknown_address_is_json_too() -> None:
    answer = call("GET", "/no-such-thing", "viewer")
    assert (answer.status, answer.code) == (404, "not_found")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_address_names_the_methods_that_it_takes() -> None:
    answer = call("PATCH", "/session", "viewer")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]
