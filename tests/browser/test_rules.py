"""Rules: what is tried out, put into force, put into force again, and drawn as zones."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.factory import DEFECTIVE, Factory, soon
from tests.browser.seat import Seat

pytestmark = pytest.mark.browser
Seats = Callable[..., Seat]
VERDICTS = {"Pass": "pass", "Review": "review", "Fail": "fail"}


def slider(page: Page, label: str, score: str = "Fails from") -> Any:
    return page.get_by_role("slider", name=f"{label}: {score}")


def tried_out(page: Page) -> dict[str, int]:
    """Return the numbers of the page's table, by verdict."""
    rows = page.locator(".what-if tbody tr").all()
    texts = [row.locator("td").all_inner_texts() for row in rows]
    return {VERDICTS[cells[0].strip()]: int(cells[2].replace(",", "")) for cells in texts}


def put_into_force(page: Page, name: str) -> None:
    page.get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name of these rules").fill(name)
    dialog.get_by_role("button", name="Put into force").click()


def test_what_the_page_shows_for_other_scores_is_what_the_api_judges(seat: Seats, factory: Factory):
    person = seat("admin")
    page = person.open("/rules")
    inforce = person.ask("GET", "/rules")
    slider(page, "patches").press("End")  # 1: nothing fails with patches
    expect(page.locator(".what-if [aria-busy=true]")).to_have_count(0)

    document = inforce["document"]
    classes = document.get("classes", {})
    changed = document | {"classes": classes | {"patches": classes.get("patches", {}) | {"fail_score": 1}}}
    judged = person.ask("POST", "/rules/preview", {"document": changed, "last": 1000})
    wanted = {verdict: judged["proposed"].get(verdict, 0) for verdict in VERDICTS.values()}
    assert wanted != {verdict: judged["current"].get(verdict, 0) for verdict in VERDICTS.values()}
    soon(lambda: tried_out(page) == wanted)
    assert person.ask("GET", "/rules")["number"] == inforce["number"], "trying out has changed the rules"


def test_rules_are_put_into_force_and_earlier_ones_again(seat: Seats, factory: Factory):
    person = seat("admin")
    page = person.open("/rules")
    before = person.ask("GET", "/rules")
    slider(page, "patches").press("End")
    put_into_force(page, "no-patches")
    expect(page.get_by_text(f"In force: no-patches (number {before['number'] + 1})")).to_be_visible()
    assert person.ask("GET", "/rules")["document"]["classes"]["patches"]["fail_score"] == 1
    soon(lambda: factory.record(factory.drop(DEFECTIVE, "line-2"))["verdict"] != "fail")

    earlier = page.get_by_role("row").filter(has_text=before["version"]).last
    earlier.get_by_role("button", name="Put into force again").click()
    page.get_by_role("dialog").get_by_role("button", name="Put into force again").click()
    expect(page.get_by_text(f"(number {before['number'] + 2})")).to_be_visible()
    # They have a name of their own: a name stands for one state of the rules.
    again = person.ask("GET", "/rules")["document"]
    assert again | {"version": None} == before["document"] | {"version": None}
    soon(lambda: factory.record(factory.drop(DEFECTIVE, "line-2"))["verdict"] == "fail")


def test_rules_that_somebody_else_has_changed_meanwhile_are_not_overwritten(seat: Seats):
    person = seat("admin")
    page = person.open("/rules")
    slider(page, "crazing").press("ArrowRight")
    base = person.ask("GET", "/rules")
    theirs = base["document"] | {"version": "theirs"}
    person.ask("PUT", "/rules", {"document": theirs, "number": base["number"]})

    put_into_force(page, "mine")
    expect(page.get_by_text("has changed the rules since you opened them")).to_be_visible()
    assert person.ask("GET", "/rules")["version"] == "theirs"
    expect(page.get_by_label("Your changes")).to_be_visible()
    person.ask(
        "PUT", "/rules", {"document": base["document"], "number": person.ask("GET", "/rules")["number"]}
    )


def test_the_next_image_honours_a_zone_that_was_drawn(seat: Seats, factory: Factory):
    serial = factory.drop(DEFECTIVE, "line-9")
    assert factory.record(serial)["verdict"] == "fail"
    person = seat("admin")
    page = person.open("/rules/zones/line-9")
    stage = page.locator(".canvas-stage")
    expect(stage.locator(".canvas-picture img").last).to_be_visible()
    area = stage.locator(".canvas-picture").bounding_box()
    assert area
    left, top = area["x"] + 2, area["y"] + 2
    right, bottom = area["x"] + area["width"] - 2, area["y"] + area["height"] - 2
    stage.press("b")
    for x, y in ((left, top), (right, top), (right, bottom), (left, bottom)):
        page.mouse.click(x, y)
    page.keyboard.press("Enter")
    expect(page.locator(".shape-list li")).to_have_count(1)
    put_into_force(page, "whole-picture")
    expect(page.get_by_text("whole-picture is in force")).to_be_visible()

    zones = person.ask("GET", "/rules")["document"]["zones"]["line-9"]
    assert len(zones["ignored"]) == 1
    record = soon(lambda: _unless_failed(factory.record(factory.drop(DEFECTIVE, "line-9"))))
    assert "ignored" in {reason["code"] for reason in record["reasons"]}
    assert factory.record(factory.drop(DEFECTIVE, "line-2"))["verdict"] == "fail", "other lines see as before"


def _unless_failed(record: dict[str, Any]) -> dict[str, Any] | None:
    return record if record["verdict"] != "fail" else None
