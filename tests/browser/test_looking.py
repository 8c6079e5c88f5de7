"""Looking: search, one inspection, the operator's page, and texts that pretend to be something else."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.factory import DEFECTIVE, SAMPLES, Factory, soon
from tests.browser.seat import Seat

pytestmark = pytest.mark.browser
Seats = Callable[..., Seat]
Record = dict[str, Any]
HOSTILE_SERIAL = "<img src=x onerror=alert(1)>"
HOSTILE_LINE = "<svg onload=alert(2)>"
HOSTILE_LABEL = "<script>alert(3)</script>"


def serials(items: Locator) -> list[str]:
    return items.locator("strong").all_inner_texts()


def fits(factory: Factory, wanted: Callable[[Record], bool]) -> set[str]:
    """Return the serials of the records that fit, read from the table itself."""
    return {record["serial"] for record in factory.records() if wanted(record)}


def failed_with(label: str) -> Callable[[Record], bool]:
    return lambda record: any(
        reason["code"] == "defect" and reason.get("label") == label for reason in record["reasons"]
    )


def test_inspections_are_found_by_line_verdict_defect_and_serial_and_one_is_opened(
    seat: Seats, factory: Factory
):
    page = seat("viewer").open("/inspections")
    items = page.locator(".gallery-item")
    expect(items.first).to_be_visible()

    def found(*searched: Callable[[Record], bool]) -> None:
        wanted = fits(factory, lambda record: all(each(record) for each in searched))
        assert wanted
        expect(items).to_have_count(len(wanted))
        assert set(serials(items)) == wanted

    on_line_2 = lambda record: record["line"] == "line-2"  # noqa: E731
    page.get_by_label("Line", exact=True).select_option("line-2")
    found(on_line_2)
    page.get_by_role("button", name="Fail", exact=True).click()
    found(on_line_2, lambda record: record["verdict"] == "fail")
    page.get_by_label("Defect").select_option("scratches")
    found(on_line_2, failed_with("scratches"))
    assert "defect=scratches" in page.url, "the search cannot be passed on as a link"
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("Serial").fill("SN1010")
    found(lambda record: record["serial"] == "SN1010")

    items.first.click()
    record = factory.record("SN1010")
    expect(page.locator(".inspection-serial")).to_have_text("SN1010")
    expect(page.get_by_alt_text("Picture of SN1010: Fail")).to_be_visible()
    expect(page.get_by_text(f"{record['line']} / {record['station']}")).to_be_visible()
    defects = [reason for reason in record["reasons"] if reason["code"] == "defect"]
    expect(page.locator(".picture-label.box-fail, .picture-label.box-defect")).to_have_count(len(defects))
    expect(page.get_by_text(record["model"]["version"])).to_be_visible()


def test_what_was_searched_is_exported(seat: Seats, factory: Factory):
    page = seat("viewer").open("/inspections?line=line-2")
    expect(page.locator(".gallery-item").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"))))
    assert {row["serial"] for row in rows} == fits(factory, lambda record: record["line"] == "line-2")


def test_a_verdict_appears_on_the_operators_page_by_itself_and_is_acknowledged(seat: Seats, factory: Factory):
    page = seat("operator").open("/line/line-1")
    expect(page.locator(".line-call")).to_be_visible()
    page.evaluate("window.opened = true")

    passed = factory.drop(SAMPLES / "line-1" / "top" / "SN1000.jpg")
    call = page.locator(".line-call")
    expect(call).to_contain_text(passed)
    expect(call.locator("strong").first).to_have_text("OK")

    failed = factory.drop(DEFECTIVE)
    expect(call).to_contain_text(failed)
    expect(call.locator("strong").first).to_have_text("NG")
    call.get_by_role("button", name="Acknowledge").click()
    expect(call).to_contain_text("Acknowledged by the-operator")
    assert soon(lambda: factory.record(failed).get("acknowledged"))["by"] == "the-operator"
    assert page.evaluate("window.opened"), "the page was loaded again"


def test_texts_from_outside_are_shown_as_text_and_never_run(seat: Seats, factory: Factory):
    factory.drop(DEFECTIVE, HOSTILE_LINE, HOSTILE_SERIAL, station="<b>top")
    record = factory.queued(HOSTILE_SERIAL)
    reviewer = seat("reviewer")
    claimed = reviewer.ask("POST", f"/reviews/{record['id']}/claim")
    reviewer.ask(
        "POST",
        f"/reviews/{record['id']}/decision",
        {
            "version": claimed["version"],
            "verdict": "fail",
            "objects": [{"label": HOSTILE_LABEL, "box": [10, 10, 60, 60]}],
            "comment": "<iframe src=javascript:alert(4)></iframe>",
        },
    )
    for address, text in (
        ("/", HOSTILE_LINE),
        ("/inspections", HOSTILE_SERIAL),
        (f"/inspections/{record['id']}", HOSTILE_SERIAL),
        ("/line/%3Csvg%20onload%3Dalert(2)%3E", HOSTILE_LINE),
        ("/review?state=decided", HOSTILE_SERIAL),
        (f"/review/{record['id']}", HOSTILE_LABEL),
        ("/statistics", HOSTILE_LINE),
        ("/rules", HOSTILE_LINE),
    ):
        page = reviewer.open(address)
        # Lists have the text in options, which are not visible.
        expect(page.get_by_text(text).first).to_be_attached()
        for element in ("img[src=x]", "svg[onload]", "main script", "iframe"):
            expect(page.locator(element)).to_have_count(0)
    reviewer.open("/")
