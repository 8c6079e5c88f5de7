"""Who comes in, and what each group sees and may do."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from localcloud.home import one_time
from loupe.stack import users
from tests.browser.factory import PASSWORD, Factory
from tests.browser.seat import Seat

pytestmark = pytest.mark.browser
Seats = Callable[..., Seat]


@pytest.mark.parametrize("group", ["viewer", "operator", "reviewer", "admin"])
def test_each_group_signs_in_and_is_told_who_it_is(seat: Seats, group: str):
    person = seat()
    person.type_in(f"the-{group}")
    expect(person.page.locator(".rail .who")).to_contain_text(f"the-{group}")
    expect(
        person.page.get_by_role("navigation", name="Pages").get_by_role("link", name="Lines")
    ).to_be_visible()


def test_a_wrong_password_is_told_plainly_and_signs_nobody_in(seat: Seats):
    person = seat()
    person.type_in("admin", "not-the-password-1")
    expect(person.page.get_by_role("alert")).to_contain_text("The name or the password is wrong")
    expect(person.page.get_by_role("navigation", name="Pages")).to_have_count(0)


def test_the_one_time_link_signs_in_once_and_not_twice(seat: Seats, factory: Factory):
    code = one_time.create(factory.process.home)
    first, second = seat(), seat()
    first.open(f"/enter/{code}")
    expect(first.page.locator(".rail .who")).to_contain_text("admin")
    assert code not in first.page.url, "the code stays in the address"

    second.open(f"/enter/{code}")
    expect(second.page.get_by_text("This link has been used or is too old")).to_be_visible()
    expect(second.page.get_by_label("Password")).to_be_visible()


def test_who_was_added_chooses_a_password_at_the_first_sign_in(seat: Seats, factory: Factory):
    temporary = users.add(factory.target, "newcomer", users.Group.VIEWER)
    person = seat()
    person.type_in("newcomer", temporary)
    person.page.get_by_label("New password", exact=True).fill(PASSWORD)
    person.page.get_by_label("New password again").fill(PASSWORD)
    person.page.get_by_role("button", name="Save and sign in").click()
    expect(person.page.locator(".rail .who")).to_contain_text("newcomer")


def test_who_is_in_no_group_sees_nothing(seat: Seats, factory: Factory):
    person = seat("nobody")
    page = person.open("/inspections")
    expect(page.get_by_text("You are signed in, but may not see anything yet")).to_be_visible()
    expect(page.locator("img")).to_have_count(0)
    assert person.send("GET", "/inspections").status == 403


def test_after_signing_out_nothing_is_left(seat: Seats):
    person = seat("viewer")
    page = person.open()
    page.get_by_role("link", name="Inspections").click()
    expect(page.locator(".gallery-item").first).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.go_back()
    page.reload()
    expect(page.get_by_label("Password")).to_be_visible()
    expect(page.locator(".gallery-item")).to_have_count(0)
    renewed = person.context.request.post(
        f"{page.url.partition('#')[0]}api/session/refresh", headers={"x-requested-with": "loupe"}
    )
    assert renewed.status == 401


# --- what each group may do ---


def test_a_viewer_looks_but_neither_acknowledges_nor_decides_nor_changes_rules(seat: Seats, factory: Factory):
    record, person = factory.queued("SN1003"), seat("viewer")
    page = person.open(f"/inspections/{record['id']}")
    expect(page.locator(".inspection-serial")).to_have_text("SN1003")
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    expect(page.get_by_role("link", name="Review", exact=True)).to_have_count(1)  # of the navigation

    page = person.open("/review")
    expect(page.get_by_text("Your group may look, but not decide")).to_be_visible()
    expect(page.get_by_role("link", name="Start reviewing")).to_have_count(0)
    page = person.open(f"/review/{record['id']}")
    expect(page.get_by_text("There is no such page")).to_be_visible()

    rules = person.ask("GET", "/rules")
    decision = {"version": 1, "verdict": "pass", "objects": []}
    for method, path, body in (
        ("POST", f"/inspections/{record['id']}/acknowledgement", {}),
        ("POST", "/reviews/next", {}),
        ("POST", f"/reviews/{record['id']}/claim", {}),
        ("POST", f"/reviews/{record['id']}/decision", decision),
        ("PUT", "/rules", {"document": rules["document"], "number": rules["number"]}),
        ("POST", "/rules/rollback", {"to": 1, "number": rules["number"]}),
        ("POST", "/runs", {}),
    ):
        assert person.send(method, path, body).status == 403, path
    assert "review" not in factory.record("SN1003")


def test_an_operator_acknowledges_but_does_not_decide(seat: Seats, factory: Factory):
    record, person = factory.queued("SN1005"), seat("operator")
    page = person.open(f"/inspections/{record['id']}")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    assert factory.record("SN1005")["acknowledged"]["by"] == "the-operator"
    assert person.send("POST", f"/reviews/{record['id']}/claim", {}).status == 403


def test_a_reviewer_tries_rules_out_but_does_not_put_them_into_force(seat: Seats):
    person = seat("reviewer")
    page = person.open("/rules")
    page.get_by_role("slider").first.press("ArrowRight")
    expect(page.get_by_text("Only administrators put rules into force")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    rules = person.ask("GET", "/rules")
    forced = person.send("PUT", "/rules", {"document": rules["document"], "number": rules["number"]})
    assert forced.status == 403
