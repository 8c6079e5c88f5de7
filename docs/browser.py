"""Chromium, driven by Playwright: for the pictures in the documentation, and for the tests in tests/browser/.

Playwright's own browsers are not used, because they need a download of their own; a distribution's Chromium does.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Playwright, sync_playwright

HINT = "Debian and Ubuntu: apt-get install chromium"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# It talks to the page's site only, and runs in a container, too.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str | None:
    """Return the path of the browser; None if there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def chromium() -> Iterator[tuple[Playwright, Browser]]:
    """Run the browser with an empty profile until the block ends.

    Raises:
        SystemExit: There is no browser.
    """
    path = executable()
    if path is None:
        raise SystemExit(f"loupe: there is no Chromium\n       {HINT}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        try:
            yield playwright, browser
        finally:
            browser.close()
