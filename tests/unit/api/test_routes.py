"""Every route: who may use it, and how the API describes itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from api.access import Access, Group, access_of
from api.app import app
from api.openapi import describe
from docs import openapi
from tests.api_support import Answer, event, jwt, send

REPOSITORY = Path(__file__).parents[3]
# Who may use which route, as the manual says. A route that is not here fails the test below: whoever adds one decides.
ROUTES: dict[Group | Access, set[str]] = {
    Access.ANYONE: {
        "POST /session",
        "POST /session/password",
        "POST /session/refresh",
        "DELETE /session",
    },
    Access.SIGNED_IN: {"GET /session"},
    Group.VIEWER: {
        "GET /changes",
        "GET /datasets",
        "GET /datasets/{name}",
        "GET /exports/inspections.csv",
        "GET /exports/labels.coco.json",
        "GET /health",
        "GET /inspections",
        "GET /inspections/{identity}",
        "POST /inspections/thumbnails",
        "GET /labels",
        "GET /models",
        "GET /models/compare",
        "GET /openapi.json",
        "GET /places",
        "GET /reviews",
        "GET /reviews/{identity}",
        "GET /rules",
        "GET /rules/history",
        "POST /rules/preview",
        "GET /runs",
        "GET /runs/{name}",
        "GET /serials/{serial}",
        "GET /statistics",
        "GET /statistics/rates",
    },
    Group.OPERATOR: {"POST /inspections/{identity}/acknowledgement"},
    Group.REVIEWER: {
        "POST /reviews/next",
        "POST /reviews/{identity}/claim",
        "DELETE /reviews/{identity}/claim",
        "POST /reviews/{identity}/decision",
        "POST /rules/proposal",
    },
    Group.ADMIN: {
        "POST /models/rollback",
        "PUT /rules",
        "POST /rules/rollback",
        "POST /runs",
        "POST /runs/{name}/approval",
    },
}
ALL = [(access, route) for access, routes in ROUTES.items() for route in sorted(routes)]


def declared() -> dict[str, Group | Access | None]:
    routes = (*app._static_routes, *app._dynamic_routes)
    return {
        f"{route.method} {route.openapi_path.removeprefix('/api')}": access_of(route.func) for route in routes
    }


def ask(route: str, *groups: str) -> Answer:
    """Send a request that no route takes as valid, so that nothing happens behind an open door."""
    method, path = route.split(" ")
    for name in ("name", "identity", "serial"):
        path = path.replace(f"{{{name}}}", "-")
    return send(event(method, path, authorizer=jwt(*groups), query={"limit": "x"}, body="not JSON"))


@pytest.mark.promise(32)
def test_every_route_is_in_the_table_and_has_a_group() -> None:
    assert declared() == {route: access for access, route in ALL}


@pytest.mark.promise(32)
@pytest.mark.parametrize(("access", "route"), ALL)
def test_a_route_is_open_from_its_group_on(access: Group | Access, route: str) -> None:
    for group in Group:
        allowed = not isinstance(access, Group) or list(Group).index(group) >= list(Group).index(access)
        answer = ask(route, group)
        assert (answer.status == 403) is not allowed or answer.code != "forbidden", group
        if not allowed:
            assert (answer.status, answer.code) == (403, "forbidden")


@pytest.mark.promise(32)
@pytest.mark.parametrize(("access", "route"), ALL)
def test_a_user_without_a_group_may_only_see_who_he_is(access: Group | Access, route: str) -> None:
    answer = ask(route)
    if isinstance(access, Group):
        assert (answer.status, answer.code) == (403, "forbidden")
        assert access in answer.body["error"]["message"]


@pytest.mark.promise(32)
@pytest.mark.parametrize(("access", "route"), ALL)
def test_without_a_token_only_a_session_can_be_made_or_ended(access: Group | Access, route: str) -> None:
    method, path = route.split(" ")
    answer = send(event(method, path, body="not JSON"))
    assert (answer.status == 401) is (access is not Access.ANYONE)


@pytest.mark.promise(32)
def test_a_route_that_declares_no_group_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    route = next(route for route in app._static_routes if route.path == "/api/places")
    monkeypatch.delattr(route.func, "_access")
    assert ask("GET /places", "admin").status == 403


def test_the_description_in_the_manual_is_current() -> None:
    assert openapi.FILE.read_text(encoding="utf-8") == openapi.text(), "make openapi"


def test_the_description_names_the_group_of_each_route() -> None:
    paths = describe(app)["paths"]
    assert paths["/api/rules"]["put"]["x-group"] == "admin"
    assert paths["/api/session"]["post"]["security"] == []
    assert all("default" in op["responses"] for operations in paths.values() for op in operations.values())


def test_the_function_starts_without_what_only_some_requests_need() -> None:
    code = "import handlers.api, sys; print(*sys.modules)"
    started = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{REPOSITORY / 'functions'}:{REPOSITORY}"},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(started.stdout.split())
    assert "boto3" in modules
    assert not modules & {
        "aws_lambda_powertools.event_handler.openapi.models",
        "jinja2",
        "anyascii",
        "numpy",
    }
