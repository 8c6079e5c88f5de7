"""Every page: content security, the keyboard alone, and accessibility in light and dark."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.factory import REPOSITORY, Factory
from tests.browser.seat import Seat, Seen

pytestmark = pytest.mark.browser
Seats = Callable[..., Seat]
AXE = REPOSITORY / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
PAGES = {
    "/": ".line-card",
    "/line/line-1": ".line-call-picture img",
    "/inspections": ".gallery-item",
    "/inspections/{id}": ".picture-label",
    "/statistics": ".uplot",
    "/review": ".review-table",
    "/review/{id}": ".shape-list li",
    "/rules": ".histogram",
    "/rules/zones/line-2": ".canvas-picture img",
    "/datasets": "h1",
    "/runs": "h1",
    "/models": "h1",
    "/nowhere": "h1",
}
# Marks what a person can reach, and says where the focus is.
_MARK = """() => {
  const wanted = 'a[href], button, input, select, textarea, summary, [tabindex="0"]';
  const reachable = [...document.querySelectorAll(wanted)].filter((element) =>
    !element.disabled && element.tabIndex >= 0 && element.checkVisibility({visibilityProperty: true}));
  reachable.forEach((element, index) => { element.dataset.reach = index; });
  return reachable.map((element) => (element.getAttribute('aria-label') ?? element.textContent).trim());
}"""
_FOCUSED = "document.activeElement?.dataset.reach ?? null"
_SERIOUS = """async (only) => {
  // Colours that still change are none that anybody reads. A change begins with the next frame.
  const frame = () => new Promise((drawn) => requestAnimationFrame(drawn));
  await frame();
  await frame();
  await Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => null)));
  return (await axe.run(document, only ? {runOnly: only} : {})).violations
  .filter(({impact}) => impact === 'serious' || impact === 'critical')
  .flatMap(({id, nodes}) => nodes.map(({html, failureSummary}) =>
    `${id}: ${html.slice(0, 120)} ${failureSummary}`)); }"""


def opened(person: Seat, factory: Factory, address: str) -> Page:
    """Open a page, and wait until it is complete."""
    page = person.open(address.format(id=factory.queued("SN1003")["id"]))
    expect(page.locator(PAGES[address]).first).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)
    return page


def test_the_page_may_only_load_and_ask_what_is_its_own(seat: Seats, factory: Factory):
    answer = seat().context.request.get(factory.site)
    policy = answer.headers["content-security-policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";") if part.strip())
    assert {name: directives.get(name) for name in POLICY} == POLICY
    assert "unsafe" not in policy


def test_a_script_that_got_into_the_page_does_not_run(seat: Seats, seen: Seen):
    page = seat("viewer").open()
    expect(page.locator(".line-card").first).to_be_visible()
    page.evaluate(
        """() => { const script = document.createElement('script');
        script.textContent = 'window.ran = true'; document.body.append(script); }"""
    )
    assert page.evaluate("window.ran") is None
    refused = [fault for fault in seen.faults if "Content Security Policy" in fault]
    assert len(refused) == 1
    seen.faults.remove(refused[0])


@pytest.mark.parametrize("address", ["/", "/inspections", "/rules", "/review/{id}"])
def test_everything_on_a_page_is_reached_by_the_tab_key(seat: Seats, factory: Factory, address: str):
    page = opened(seat("admin"), factory, address)
    names: list[str] = page.evaluate(_MARK)
    reached: set[Any] = set()
    for _ in range(len(names) + 10):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(_FOCUSED))
    assert [name for index, name in enumerate(names) if str(index) not in reached] == []


@pytest.mark.parametrize("address", PAGES)
def test_a_page_has_no_serious_barrier_in_light_and_dark(seat: Seats, factory: Factory, address: str):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: make dashboard/node_modules/.done")
    person = seat("admin")
    for theme, only in (("light", None), ("dark", ["color-contrast"])):  # a theme changes colours only
        person.page.emulate_media(color_scheme=theme)
        page = opened(person, factory, address)
        page.evaluate(AXE.read_text())
        assert page.evaluate(_SERIOUS, only) == [], theme


def test_the_sign_in_has_no_serious_barrier(seat: Seats):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: make dashboard/node_modules/.done")
    page = seat().open()
    expect(page.get_by_label("Password")).to_be_visible()
    page.evaluate(AXE.read_text())
    assert page.evaluate(_SERIOUS, None) == []
