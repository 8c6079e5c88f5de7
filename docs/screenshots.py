"""Takes the pictures of the dashboard in docs/pictures/: python -m docs.screenshots

A private local cloud is filled with ten days of a small factory (docs/sample_stack.py), and each page is opened in
Chromium. It takes some minutes. With --home the cloud is kept, and the next call only takes the pictures.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect

from docs import browser
from docs.sample_stack import Factory, Person, Surface, show_more_to_people, surfaces
from localcloud import connection
from localcloud.home import one_time
from loupe.stack.target import Target
from loupe.stack.users import Group

PICTURES = Path(__file__).with_name("pictures")
_ROOT = Path(__file__).parents[1]
_LARGEST = 150_000  # bytes
_IMAGES_A_DAY = 50
_DECISIONS = 120


@dataclass(frozen=True)
class Shot:
    """A picture of a page.

    Attributes:
        name: The file's name, without its suffix.
        address: The page's, after the `#`; {id} and {review} are those of `_ids`.
        ready: What is on the page once it is complete (a CSS selector).
        theme: Light or dark.
        size: The window's, in CSS pixels.
        prepare: What is done on the page before.
    """

    name: str
    address: str
    ready: str
    theme: Literal["light", "dark"] = "light"
    size: tuple[int, int] = (1280, 800)
    prepare: Callable[[Page], Any] | None = None


def _propose(page: Page) -> None:
    page.get_by_role("slider").nth(1).focus()
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
    page.wait_for_timeout(2000)


SHOTS = (
    Shot("lines", "/", ".line-card img"),
    Shot("line", "/line/line-1", ".line-call-picture img", size=(1180, 820)),
    Shot("line-dark", "/line/line-1", ".line-call-picture img", theme="dark", size=(1180, 820)),
    Shot("inspections", "/inspections?since=30d", ".gallery img"),
    Shot("inspection", "/inspections/{id}", ".picture-label"),
    Shot("statistics", "/statistics?since=30d", ".uplot", size=(1280, 1000)),
    Shot("queue", "/review", ".review-table img"),
    Shot("review", "/review/{review}", ".canvas-drawing", size=(1280, 860)),
    Shot("thresholds", "/rules", ".histogram svg", size=(1280, 1000), prepare=_propose),
    Shot("zones", "/rules/zones/line-2", ".canvas-drawing", size=(1280, 900)),
    Shot("datasets", "/datasets", ".page"),
    Shot("models", "/models", ".page"),
    Shot("runs", "/runs", ".page"),
)


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(prog="python -m docs.screenshots", description=__doc__)
    parser.add_argument("--home", type=Path, help="keep the cloud in this folder, for the next call")
    parser.add_argument("--only", help="take only the pictures whose names begin so")
    parser.add_argument("--out", type=Path, default=PICTURES)
    parser.add_argument("--no-training", action="store_true", help="do not train a model, for a quick look")
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="loupe-pictures-"))
    is_new = not (home / "cloud.json").exists()
    _loupe(home, "up", "--detach")
    try:
        with browser.chromium() as (playwright, chromium):
            if is_new:
                _fill(playwright, home)
                if not options.no_training:
                    _train(home)
            _arrive(home)
            _shoot(chromium, home, options.out, options.only or "")
    finally:
        _loupe(home, "down")
        if not options.home:
            shutil.rmtree(home)


def _loupe(home: Path, *arguments: str) -> None:
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "loupe", *arguments],
        check=True,
        cwd=_ROOT,
        env=os.environ | {"LOUPE_HOME": str(home)},
    )


def _factory(home: Path) -> Factory:
    good, defective = surfaces(home / "surfaces")
    return Factory(connection(home), Target.local(home), good, defective)


def _fill(playwright: Playwright, home: Path) -> None:
    """Let the factory run, and people decide."""
    factory = _factory(home)
    show_more_to_people(factory.cloud, pass_share=0.3, fail_share=0.7)
    factory.run(_IMAGES_A_DAY)
    site, target = factory.cloud.site_url, factory.target
    people = [Person(playwright, site, target, name, Group.REVIEWER) for name in ("maria", "jonas")]
    admin = Person(playwright, site, target, "petra", Group.ADMIN)
    for number in range(_DECISIONS):
        _decide(people[number % 2], factory)
    _rules(admin)


def _decide(person: Person, factory: Factory) -> None:
    """Let a person decide the next image by what it truly shows."""
    item = person.ask("POST", "/reviews/next", {})
    if item is None:
        return
    surface = factory.shown[item["serial"]]
    decision = {"verdict": "fail" if surface.objects else "pass", "objects": surface.objects}
    person.ask("POST", f"/reviews/{item['id']}/decision", {"version": item["version"], **decision})


def _rules(admin: Person) -> None:
    """Change the rules twice, with comments."""
    now = admin.ask("GET", "/rules")
    stricter = now["document"] | {"version": "2-scratches"}
    stricter["classes"] = stricter.get("classes", {}) | {
        "scratches": {"fail_score": 0.45, "severity": "critical"}
    }
    now = admin.ask(
        "PUT",
        "/rules",
        {
            "document": stricter,
            "number": now["number"],
            "comment": "Scratches tear in the press: fail earlier.",
        },
    )
    edge = [[0, 0.86], [1, 0.86], [1, 1], [0, 1]]
    roll = [[0.04, 0.03], [0.96, 0.03], [0.96, 0.84], [0.04, 0.84]]
    zoned = stricter | {"version": "3-zones", "zones": {"line-2": {"regions": [roll], "ignored": [edge]}}}
    admin.ask(
        "PUT",
        "/rules",
        {
            "document": zoned,
            "number": now["number"],
            "comment": "The clamp of line 2 shines at the lower edge.",
        },
    )


def _train(home: Path) -> None:
    """Import the images with their labels, and train a small model."""
    _loupe(home, "import", str(home / "surfaces"))
    _loupe(home, "retrain", "--families", "ssdlite", "--epochs", "4", "--set", "input_size=192", "--wait")


def _arrive(home: Path) -> None:
    """Let new images come to each line, a defective one last on the first, and make their pictures."""
    factory = _factory(home)
    worst = max(factory.defective, key=lambda surface: len(surface.objects))
    # The model is not sure of it, so that it comes first in the queue.
    doubtful = Surface((_ROOT / "samples" / "line-2" / "bottom" / "SN1011.jpg").read_bytes(), [])
    factory.upload("line-3", "edge", "SN25100", doubtful)
    for number, (line, station) in enumerate((("line-3", "edge"), ("line-2", "top"), ("line-1", "bottom"))):
        factory.upload(line, station, f"SN{25_101 + number}", factory.good[number])
    factory.upload("line-1", "top", "SN25107", worst)


def _shoot(chromium: Browser, home: Path, out: Path, only: str) -> None:
    cloud = connection(home)
    out.mkdir(parents=True, exist_ok=True)
    for theme in ("light", "dark"):
        context = chromium.new_context(
            color_scheme=theme, device_scale_factor=1.5, locale="en", timezone_id="UTC"
        )
        context.set_default_timeout(90_000)
        page = context.new_page()
        ids: dict[str, str] | None = None
        for shot in (each for each in SHOTS if each.theme == theme and each.name.startswith(only)):
            page.set_viewport_size({"width": shot.size[0], "height": shot.size[1]})
            if ids is None:
                page.goto(f"{cloud.site_url}/#/enter/{one_time.create(home)}")
                page.wait_for_selector(".rail")
                ids = _ids(page, cloud.site_url)
            page.goto("about:blank")
            page.goto(f"{cloud.site_url}/#{shot.address.format(**ids)}")
            page.wait_for_selector(shot.ready)
            expect(page.locator(".skeleton, [aria-busy=true]")).to_have_count(0, timeout=90_000)
            page.wait_for_timeout(1500)
            if shot.prepare:
                shot.prepare(page)
            _write(page.screenshot(animations="disabled", caret="hide"), out / f"{shot.name}.webp")
        context.close()


def _ids(page: Page, site: str) -> dict[str, str]:
    """Return the ids of what the pages show: the newest failed image, and a doubtful one to review."""
    ids = {}
    for name, verdict in (("id", "fail"), ("review", "review")):
        page.goto("about:blank")
        page.goto(f"{site}/#/inspections?verdict={verdict}")
        newest = page.locator(".gallery-item").first.get_attribute("href") or ""
        ids[name] = newest.rpartition("/")[2]
    return ids


def _write(png: bytes, file: Path) -> None:
    """Write a picture as WebP, as good as the largest size allows.

    Raises:
        SystemExit: Even a coarse one is larger.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for quality in (85, 75, 60):
        written = io.BytesIO()
        picture.save(written, "WEBP", quality=quality, method=6)
        if written.tell() <= _LARGEST:
            file.write_bytes(written.getvalue())
            return
    raise SystemExit(f"{file} is larger than {_LARGEST} bytes")


if __name__ == "__main__":
    main()
