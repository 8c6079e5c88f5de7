"""Deciding: by the keyboard alone, alone with an image, and with what becomes of a decision."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from retraining import labelled
from retraining.documents import Documents
from tests.browser.factory import DEFECTIVE, REPOSITORY, Factory, soon
from tests.browser.seat import Seat
from training.datasets.generated import synthetic

pytestmark = pytest.mark.browser
Seats = Callable[..., Seat]


def box_list(page: Page) -> list[str]:
    """Return what the page says about each box."""
    return page.locator(".shape-list .visually-hidden").all_inner_texts()


@pytest.fixture(scope="module")
def documents(factory: Factory, tmp_path_factory: pytest.TempPathFactory) -> Documents:
    """The artefacts bucket, with an imported data set whose test part shows patches."""
    folder: Path = tmp_path_factory.mktemp("labelled")
    synthetic.generate(folder, 60, seed=8)
    home = str(factory.process.home)
    command = [sys.executable, "-m", "loupe", "import", str(folder), "--home", home]
    subprocess.run(command, check=True, cwd=REPOSITORY, capture_output=True)
    return Documents(factory.client("s3"), factory.cloud.outputs["ArtefactsBucketName"])


def test_a_box_is_corrected_by_the_keyboard_alone_and_the_next_training_learns_it(
    seat: Seats, factory: Factory, documents: Documents
):
    record = factory.queued(factory.drop(DEFECTIVE))
    model_boxes = [list(map(float, each["box"])) for each in record["detections"] if each["score"] >= 0.5]
    page = seat("reviewer").open(f"/review/{record['id']}")
    expect(page.locator(".shape-list li")).to_have_count(len(model_boxes))

    # C selects a box; 3 to the right, 10 down, and its right edge 5 further.
    for key in ("c", *["ArrowRight"] * 3, "Shift+ArrowDown", *["Control+ArrowRight"] * 5):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Before: {record['serial']}, defective")).to_be_visible()

    decided = factory.record(record["serial"])["review"]
    assert (decided["by"], decided["verdict"]) == ("the-reviewer", "fail")
    bucket = factory.cloud.outputs["ArtefactsBucketName"]
    body = factory.client("s3").get_object(Bucket=bucket, Key=f"labels/{record['id']}.json")["Body"].read()
    label = json.loads(body)
    kept = [each["box"] for each in label["objects"]]
    assert len(kept) == len(model_boxes)
    [corrected] = [box for box in kept if all(_distance(box, other) > 1 for other in model_boxes)]
    x1, y1, x2, y2 = min(model_boxes, key=lambda box: _distance(box, corrected))
    limit = float(record["image_width"])
    expected = [x1 + 3, y1 + 10, min(limit, x2 + 8), min(limit, y2 + 10)]
    assert corrected == pytest.approx(expected, abs=0.11)

    snapshot = labelled.current(documents, "default", "default").document
    [image] = [each for each in snapshot["images"] if each["sha256"] == label["sha256"]]
    learned = [each["bbox"] for each in snapshot["annotations"] if each["image_id"] == image["id"]]
    x1, y1, x2, y2 = corrected
    assert any(box == pytest.approx([x1, y1, x2 - x1, y2 - y1]) for box in learned)


def _distance(box: list[float], other: list[float]) -> float:
    return sum(abs(a - b) for a, b in zip(box, other, strict=True))


def test_two_people_never_hold_the_same_image(seat: Seats, factory: Factory):
    for _ in range(4):
        factory.queued(factory.drop(DEFECTIVE, "line-of-two"))
    first, second = seat("reviewer"), seat("second")
    pages = [each.open("/review/next?line=line-of-two") for each in (first, second)]
    for _ in range(2):
        serials = []
        for page in pages:
            expect(page.locator(".review-facts h2")).to_be_visible()
            serials.append(page.locator(".review-facts h2").inner_text())
        assert len(set(serials)) == 2, "both hold the same image"
        # What one of them holds, now or ahead, the other cannot claim.
        for serial in serials[:1]:
            answer = second.send("POST", f"/reviews/{factory.record(serial)['id']}/claim")
            assert (answer.status, answer.json()["error"]["code"]) == (409, "already_claimed")
        pages[0].keyboard.press("a")
        expect(pages[0].get_by_text(f"Before: {serials[0]}")).to_be_visible()


def test_a_claim_that_was_lost_is_told_and_the_boxes_stay(seat: Seats, factory: Factory):
    record = factory.queued(factory.drop(DEFECTIVE))
    first, second = seat("reviewer"), seat("second")
    page = first.open(f"/review/{record['id']}")
    expect(page.locator(".shape-list li").first).to_be_visible()
    page.keyboard.press("c")
    page.keyboard.press("n")
    page.keyboard.press("ArrowLeft")
    drawn = page.locator(".shape-list li").count()
    soon(lambda: page.locator(".shape-list li").count() >= drawn)
    boxes = box_list(page)

    # Five minutes pass, and somebody else takes it.
    past = (
        (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
    factory.table("ReviewsTableName").update_item(
        Key={"id": record["id"]},
        UpdateExpression="SET claim.#until = :past",
        ExpressionAttributeNames={"#until": "until"},
        ExpressionAttributeValues={":past": past},
    )
    second.ask("POST", f"/reviews/{record['id']}/claim")

    page.keyboard.press("Enter")
    expect(page.get_by_text("This image is no longer yours.")).to_be_visible()
    expect(page.get_by_text("Your boxes are still here.")).to_be_visible()
    assert box_list(page) == boxes
    assert "review" not in factory.record(record["serial"])


def test_a_second_opinion_that_differs_is_a_disagreement(seat: Seats, factory: Factory):
    record = factory.queued(factory.drop(DEFECTIVE))
    for who, key, said in (("reviewer", "a", "defective"), ("second", "r", "good")):
        page = seat(who).open(f"/review/{record['id']}")
        expect(page.locator(".review-facts h2")).to_have_text(record["serial"])
        page.keyboard.press(key)
        expect(page.get_by_text(f"Before: {record['serial']}, {said}")).to_be_visible()
    page = seat("viewer").open("/review?state=disagreement")
    expect(page.get_by_role("link", name=record["serial"])).to_be_visible()
