"""The dashboard's site: the page's files, whom it answers, and its one-time codes."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from localcloud.home import one_time
from localcloud.home.reset import parts
from localcloud.site import files, headers
from localcloud.site.asgi import Request, Response
from localcloud.site.guard import refusal
from localcloud.site.page import Page

PORT = 21001
HOST = f"127.0.0.1:{PORT}"


# --- whom it answers ---


def refused(method: str = "GET", host: str = HOST, **sent: str) -> str | None:
    named = {name.replace("_", "-"): value for name, value in sent.items()}
    return refusal(method, {"host": host} | named, PORT)


def test_the_page_itself_and_programs_are_answered():
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert refused(method) is None
        assert refused(method, origin=f"http://{HOST}", sec_fetch_site="same-origin") is None
    assert refused(host=f"localhost:{PORT}") is None


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", ""])
def test_a_name_that_somebodys_dns_points_here_is_refused(host: str):
    assert "Host" in (refused(host=host) or "")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE"])
@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://localhost:{PORT}"},  # another origin than 127.0.0.1, whose page this is not
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
    ids=str,
)
def test_other_pages_change_nothing(method: str, sent: dict[str, str]):
    assert refused(method, **sent)


def test_a_link_from_elsewhere_may_lead_to_the_page():
    assert refused(sec_fetch_site="cross-site") is None


# --- its files ---


@pytest.fixture
def page(tmp_path: Path) -> Page:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>ä")
    (folder / "assets" / "index-1a2b.js").write_text("1")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    return Page(folder)


def request(path: str, method: str = "GET", **sent: str) -> Request:
    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in sent.items()]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    return Request({"method": method, "path": path, "headers": encoded}, receive)


def header(response: Response, name: str) -> list[str]:
    return [value for key, value in response.headers if key == name]


def test_the_page_is_asked_for_each_time_and_hashed_files_are_kept(page: Page):
    start, script = page.get(request("/")), page.get(request("/assets/index-1a2b.js"))
    assert (start.status, start.body.decode()) == (200, "<!doctype html>ä")
    assert header(start, "content-type") == ["text/html; charset=utf-8"]
    assert header(start, "cache-control") == ["no-cache"]
    assert header(script, "content-type") == ["text/javascript; charset=utf-8"]
    assert header(script, "cache-control") == ["public, max-age=31536000, immutable"]


def test_every_answer_is_protected(page: Page):
    for path in ("/", "/assets/index-1a2b.js", "/nothing"):
        response = page.get(request(path))
        assert header(response, "x-content-type-options") == ["nosniff"]
        assert header(response, "content-security-policy") != []
    assert header(page.get(request("/")), "content-security-policy") == [
        headers.PAGE["content-security-policy"]
    ]


def test_a_file_that_has_not_changed_is_not_sent_again(page: Page):
    (etag,) = header(page.get(request("/")), "etag")
    again = page.get(request("/", if_none_match=etag))
    assert (again.status, again.body) == (304, b"")
    (page.folder / "index.html").write_text("new")
    assert page.get(request("/", if_none_match=etag)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/assets/../../secret",
        "//etc/passwd",
        "/link",
        "/assets",
        "/nothing",
        "/\0",
        "/" + "x" * 5000,
    ],
)
def test_nothing_outside_the_folder_is_served(page: Page, path: str):
    response = page.get(request(path))
    assert (response.status, b"secret" in response.body) == (404, False)


def test_the_page_takes_no_data(page: Page):
    assert page.get(request("/", "POST")).status == 405


def test_a_page_that_is_not_built_says_how_to_build_it(tmp_path: Path):
    response = Page(tmp_path / "dist").get(request("/"))
    assert (response.status, b"make dashboard" in response.body) == (503, True)


def test_the_types_of_the_pages_files_do_not_depend_on_the_machine():
    types = {
        suffix: files.content_type(f"x.{suffix}") for suffix in ("js", "css", "svg", "woff2", "webmanifest")
    }
    assert types == {
        "js": "text/javascript; charset=utf-8",
        "css": "text/css; charset=utf-8",
        "svg": "image/svg+xml",
        "woff2": "font/woff2",
        "webmanifest": "application/manifest+json",
    }


# --- one-time codes ---


def test_a_code_is_valid_once(tmp_path: Path):
    code = one_time.create(tmp_path)
    assert len(code) == 43  # 256 bits
    assert one_time.redeem(tmp_path, code)
    assert not one_time.redeem(tmp_path, code)


def test_a_code_is_valid_for_ten_minutes(tmp_path: Path):
    for age, valid in ((590, True), (601, False), (-3600, False)):
        code = one_time.create(tmp_path)
        (file,) = (tmp_path / one_time.FOLDER).iterdir()
        moment = time.time() - age
        os.utime(file, (moment, moment))
        assert one_time.redeem(tmp_path, code) is valid
        assert not one_time.redeem(tmp_path, code)


def test_several_codes_are_valid_and_expired_ones_are_forgotten(tmp_path: Path):
    codes = [one_time.create(tmp_path) for _ in range(3)]
    for file in (tmp_path / one_time.FOLDER).iterdir():
        os.utime(file, (0, 0))
    fresh = one_time.create(tmp_path)
    assert len(list((tmp_path / one_time.FOLDER).iterdir())) == 1
    assert [one_time.redeem(tmp_path, code) for code in codes] == [False] * 3
    assert one_time.redeem(tmp_path, fresh)


def test_the_home_does_not_hold_the_code_itself(tmp_path: Path):
    code = one_time.create(tmp_path)
    (file,) = (tmp_path / one_time.FOLDER).iterdir()
    assert code not in file.name
    assert (tmp_path / one_time.FOLDER).stat().st_mode & 0o077 == 0
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("code", ["", "x", "../x", "x" * 1000, "\ud800", "\0"])
def test_nothing_else_is_a_code(tmp_path: Path, code: str):
    one_time.create(tmp_path)
    assert not one_time.redeem(tmp_path, code)


def test_reset_deletes_the_codes_and_the_administrators_password(tmp_path: Path):
    one_time.create(tmp_path)
    (tmp_path / "admin-password").write_text("x")
    assert {path.name for path in parts(tmp_path)} == {"sign-in", "admin-password"}
