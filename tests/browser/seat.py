"""A person at a browser, and what the browser has seen."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import (
    APIResponse,
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
)

from tests.browser.factory import PASSWORD, Factory

PATIENCE_MS = 60_000  # for a machine that is busy; what happens at once costs none of it
# Chromium says so about each answer with such a status; what the page makes of it is tested.
_STATUS = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")


@dataclass
class Seen:
    """What no page may do, whatever is tested.

    Attributes:
        site: The only origin that is asked.
        faults: Errors in the console, of scripts, dialogs, and requests to other origins.
        requests: How many requests there were.
    """

    site: str
    faults: list[str] = field(default_factory=list)
    requests: int = 0

    def watch(self, context: BrowserContext) -> None:
        """Note what the pages of a browser's window do."""
        context.on("request", self._on_request)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.faults.append(f"script: {error.error}"))
        context.on("dialog", self._on_dialog)
        context.on("response", self._on_response)

    def _on_request(self, request: Request) -> None:
        self.requests += 1
        if not request.url.startswith((f"{self.site}/", "blob:", "data:")):
            self.faults.append(f"request to another origin: {request.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _STATUS.match(message.text):
            self.faults.append(f"console: {message.text}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 500:
            self.faults.append(f"{response.status}: {response.request.method} {response.url}")

    def _on_dialog(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()


class Seat:
    """A browser window of its own, in which nobody is signed in at first.

    Attributes:
        context: The window: cookies and storage.
        page: Its page.
    """

    def __init__(self, browser: Browser, factory: Factory, seen: Seen) -> None:
        self.context = browser.new_context(
            viewport={"width": 1280, "height": 900}, locale="en", timezone_id="UTC", reduced_motion="reduce"
        )
        self.context.set_default_timeout(PATIENCE_MS)
        seen.watch(self.context)
        self.page: Page = self.context.new_page()
        self._site, self._token = factory.site, ""

    def sign_in(self, name: str) -> Seat:
        """Sign in as the form does. The page opens signed in, by the cookie."""
        answer = self.context.request.post(
            f"{self._site}/api/session", data={"username": name, "password": PASSWORD}
        )
        assert answer.ok, answer.text()
        self._token = answer.json()["token"]
        return self

    def type_in(self, name: str, password: str = PASSWORD) -> None:
        """Sign in by the form."""
        self.open()
        self.page.get_by_label("User name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def open(self, address: str = "/") -> Page:
        """Open a page of the dashboard, from anew."""
        self.page.goto("about:blank")
        self.page.goto(f"{self._site}/#{address}")
        return self.page

    def send(self, method: str, path: str, body: Any = None) -> APIResponse:
        """Ask the API with this person's token, without the page."""
        headers = {"authorization": f"Bearer {self._token}"}
        return self.context.request.fetch(
            f"{self._site}/api{path}", method=method, headers=headers, data=body
        )

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return what the API answers."""
        answer = self.send(method, path, body)
        assert answer.ok, answer.text()
        return answer.json()
