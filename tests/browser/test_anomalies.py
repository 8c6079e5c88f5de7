"""What an anomaly model beside a detector has seen: heat maps, whose finding it is, and another product."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from loupe.stack import deployment, rules
from tests.anomalies import anomaly_artefact, bad_pictures
from tests.browser.factory import DEFECTIVE, Factory, Record, soon
from tests.browser.seat import Seat
from training.learning.pairing import pair
from training.model.artefact import pack, unpack

pytestmark = pytest.mark.browser
Seats = Callable[..., Seat]
LINE = "press-1"
# What the detector of steel finds on round parts is not what is tested.
RULES = {"default": {"fail_score": 1, "review_score": 1}, "anomaly": {"fail_score": 0.5, "review_score": 0.3}}
# The share of the drawn pixels, where the densest one is, and how dense: 0 where nothing is drawn.
_DRAWN = """(canvas) => {
  const {data, width, height} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let most = 0, at = 0, drawn = 0;
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    const opacity = data[4 * pixel + 3];
    if (opacity > 0) drawn += 1;
    if (opacity > most) { most = opacity; at = pixel; }
  }
  return {most, share: drawn / (width * height), x: (at % width) / width, y: Math.floor(at / width) / height};
}"""
# Where the heat map and its picture are on the screen, at the same moment.
_PLACES = """(canvas) => {
  const place = ({x, y, width, height}) => [x, y, width, height];
  const picture = canvas.parentElement.querySelector('img');
  return {map: place(canvas.getBoundingClientRect()), picture: place(picture.getBoundingClientRect())};
}"""


@pytest.fixture(scope="module")
def inspected(factory: Factory, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """Inspections by both models: a scratched part, and another product. The starter model serves again after them."""
    target, folder = factory.target, tmp_path_factory.mktemp("anomalies")
    before = rules.history(target)[0]
    assert before.document is not None
    lines = before.document.get("lines", {}) | {LINE: RULES}
    rules.put(target, before.document | {"version": "parts", "lines": lines}, before)
    deployment.deploy(target, _both(folder), deployment.Hosting(), lambda status: None)
    [scratched] = bad_pictures(folder / "bad", 1, seed=9)
    serials = {"scratched": factory.drop(scratched, LINE), "foreign": factory.drop(DEFECTIVE, LINE)}
    records = {name: factory.queued(serial) for name, serial in serials.items()}
    deployment.deploy(target, deployment.STARTER, deployment.Hosting(), lambda status: None)
    return records


def _both(folder: Path) -> Path:
    """Return an artefact with the starter model, and an anomaly model that has learned generated parts."""
    archives = {"detector": deployment.STARTER, "anomaly": anomaly_artefact(folder)}
    for name, archive in archives.items():
        unpack(archive, folder / name)
    pair(folder / "detector", folder / "anomaly", folder / "both")
    return pack(folder / "both", folder / "both.tar.gz")


def heat_map(page: Page) -> Locator:
    return page.get_by_role("img", name="Heat map: hottest at")


def hottest(record: Record) -> list[float]:
    """Return the box of the surest anomaly, as shares of the picture."""
    box = next(each["box"] for each in record["detections"] if each["label"] == "anomaly")
    sizes = [record["image_width"], record["image_height"]] * 2
    return [float(value / size) for value, size in zip(box, sizes, strict=True)]


def test_a_heat_map_shows_where_the_part_is_unusual_and_says_so(seat: Seats, inspected: dict[str, Record]):
    page = seat("viewer").open(f"/inspections/{inspected['scratched']['id']}")
    expect(heat_map(page)).to_be_visible()
    drawn: dict[str, Any] = heat_map(page).evaluate(_DRAWN)
    left, top, right, bottom = hottest(inspected["scratched"])
    assert left <= drawn["x"] <= right
    assert top <= drawn["y"] <= bottom
    assert drawn["most"] > 100, "the scratch is hardly seen"
    assert 0 < drawn["share"] < 0.9, "what is usual must stay as it is"
    expect(page.locator(".inspection-verdict")).to_contain_text("Anomaly 1.00")
    expect(page.locator(".reason").filter(has_text="anomaly").first).to_contain_text("seen by parts")
    expect(page.get_by_text("Anomaly model")).to_be_visible()


def test_the_heat_map_goes_and_comes_with_a_key_and_the_choice_stays(
    seat: Seats, inspected: dict[str, Record]
):
    person = seat("reviewer")
    page = person.open(f"/inspections/{inspected['scratched']['id']}")
    expect(heat_map(page)).to_be_visible()
    page.keyboard.press("h")
    expect(heat_map(page)).to_have_count(0)
    page = person.open(f"/review/{inspected['scratched']['id']}")
    switch = page.get_by_role("checkbox", name="Heat map")
    expect(switch).not_to_be_checked()
    page.keyboard.press("h")
    expect(switch).to_be_checked()
    expect(heat_map(page)).to_be_visible()


def test_the_heat_map_lies_on_its_picture_however_far_one_zooms(seat: Seats, inspected: dict[str, Record]):
    page = seat("reviewer").open(f"/review/{inspected['scratched']['id']}")
    expect(heat_map(page)).to_be_visible()
    zoom = page.get_by_label("Zoom", exact=True)
    for key in ("+", "+", "ArrowLeft"):
        before, whole = zoom.inner_text(), heat_map(page).evaluate(_PLACES)
        page.get_by_role("application").press(key)
        if key == "+":
            expect(zoom).not_to_have_text(before)
        moved = soon(lambda was=whole: _if_other(heat_map(page).evaluate(_PLACES), was))
        assert moved["map"] == pytest.approx(moved["picture"], abs=0.1)
    # A pointer passes through to the picture and its boxes.
    assert heat_map(page).evaluate("(canvas) => getComputedStyle(canvas).pointerEvents") == "none"


def _if_other(places: dict[str, list[float]], was: dict[str, list[float]]) -> dict[str, list[float]] | None:
    return places if places["picture"] != was["picture"] else None


def test_another_product_waits_in_review_with_the_reason_and_is_no_anomaly(
    seat: Seats, inspected: dict[str, Record]
):
    record = inspected["foreign"]
    assert record["verdict"] == "review"
    assert "score" not in record["anomaly"]
    page = seat("reviewer").open(f"/review/{record['id']}")
    expect(page.locator(".why")).to_contain_text("another product")
    expect(page.get_by_text("Anomaly not judged", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile(r"Anomaly \d"))).to_have_count(0)
    expect(page.get_by_role("checkbox", name="Heat map")).to_have_count(0)
    expect(page.locator(".shape-list li")).to_have_count(0)
