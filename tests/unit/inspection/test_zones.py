"""Where on the picture a detection counts (docs/rules.md)."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageStat

from contract.inspections import Verdict
from inspection.detector import Detection, Size
from inspection.rules import IGNORED, Judgement, Rules, judge
from inspection.rules_document import RulesDocumentError, parse, validate
from inspection.zones import Zones

SIZE = Size(width=1000, height=500)
LEFT_HALF = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
TOP_HALF = [[0, 0], [1, 0], [1, 0.5], [0, 0.5]]
LOWER_LEFT, LOWER_RIGHT = [[0, 0], [1, 0], [0, 1]], [[0, 0], [1, 0], [1, 1]]
DIAMOND = [[0.5, 0], [1, 0.5], [0.5, 1], [0, 0.5]]


def zones(**polygons: Any) -> Zones:
    return Zones.model_validate(polygons)


def rules(zones: dict[str, Any] | None = None, **document: Any) -> Rules:
    return Rules.model_validate({"version": "1", "zones": {"line-1": zones or {}}} | document)


def scratch(*box: float, score: float = 0.9) -> Detection:
    return Detection(label="scratch", score=score, box=box)


def judged(using: Rules, *detections: Detection, line: str = "line-1", size: Size | None = SIZE) -> Judgement:
    return judge(using, line, detections, size=size)


# ---------------------------------------------------------------- the share of a box


@pytest.mark.parametrize(
    ("polygons", "box", "share"),
    [
        ({"regions": [LEFT_HALF]}, (0.25, 0, 0.75, 1), 0.5),
        ({"ignored": [LEFT_HALF]}, (0.25, 0, 0.75, 1), 0.5),
        ({"ignored": [LEFT_HALF, TOP_HALF]}, (0, 0, 1, 1), 0.25),
        ({"regions": [LEFT_HALF], "ignored": [TOP_HALF]}, (0, 0, 1, 1), 0.25),
        ({"regions": [DIAMOND]}, (0, 0, 1, 1), 0.5),
        ({"regions": [DIAMOND]}, (0, 0, 0.25, 0.25), 0.0),
        ({"regions": [DIAMOND]}, (0.4, 0.4, 0.6, 0.6), 1.0),
        # A notch from the right: not convex.
        ({"ignored": [[[0, 0], [1, 0], [0.5, 0.5], [1, 1], [0, 1]]]}, (0.5, 0, 1, 1), 0.5),
        ({}, (0.1, 0.1, 0.2, 0.2), 1.0),
        # Edges that cross a side of the box, and edges that cross each other between their corners.
        ({"regions": [LOWER_LEFT]}, (0.2, 0, 0.6, 1), 0.6),
        ({"ignored": [LOWER_LEFT, LOWER_RIGHT]}, (0, 0, 1, 1), 0.25),
        ({"regions": [LOWER_LEFT], "ignored": [LOWER_RIGHT]}, (0, 0, 1, 1), 0.25),
    ],
)
def test_the_share_of_a_box_is_exact(polygons: dict[str, Any], box: tuple[float, ...], share: float) -> None:
    assert zones(**polygons).inspected(box) == pytest.approx(share, abs=1e-12)  # type: ignore[arg-type]


@st.composite
def stars(draw: st.DrawFn) -> list[list[float]]:
    """A polygon whose corners lie around a point, at different distances: simple, but mostly not convex."""
    count = draw(st.integers(3, 9))
    x, y = draw(st.floats(0.3, 0.7)), draw(st.floats(0.3, 0.7))
    distances = draw(st.lists(st.floats(0.05, 0.29), min_size=count, max_size=count))
    turn = draw(st.floats(0, math.tau))
    angles = [turn + math.tau * index / count for index in range(count)]
    return [
        [round(x + length * math.cos(angle), 6), round(y + length * math.sin(angle), 6)]
        for length, angle in zip(distances, angles, strict=True)
    ]


BOXES = st.tuples(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.55, 1), st.floats(0.55, 1))
PIXELS = 800


def painted(polygons: list[list[list[float]]]) -> Image.Image:
    image = Image.new("L", (PIXELS, PIXELS))
    for polygon in polygons:
        ImageDraw.Draw(image).polygon([(x * PIXELS - 0.5, y * PIXELS - 0.5) for x, y in polygon], fill=255)
    return image


@settings(max_examples=40)
@given(st.lists(stars(), max_size=3), st.lists(stars(), max_size=3), BOXES)
def test_the_share_of_a_box_is_what_painted_polygons_cover(
    regions: list[list[list[float]]],
    ignored: list[list[list[float]]],
    box: tuple[float, float, float, float],
) -> None:
    inspected = painted(regions) if regions else Image.new("L", (PIXELS, PIXELS), 255)
    left = ImageChops.subtract(inspected, painted(ignored))
    part = left.crop(tuple(round(edge * PIXELS) for edge in box))  # type: ignore[arg-type]
    expected = ImageStat.Stat(part).mean[0] / 255
    assert zones(regions=regions, ignored=ignored).inspected(box) == pytest.approx(expected, abs=0.03)


@settings(max_examples=30)
@given(st.lists(stars(), min_size=1, max_size=3), BOXES)
def test_what_is_in_regions_and_what_is_in_the_same_ignored_zones_is_the_whole_box(
    polygons: list[list[list[float]]], box: tuple[float, float, float, float]
) -> None:
    inside, outside = zones(regions=polygons).inspected(box), zones(ignored=polygons).inspected(box)
    assert inside is not None
    assert outside is not None
    assert inside + outside == pytest.approx(1, abs=1e-9)


# ---------------------------------------------------------------- the verdict


@pytest.mark.parametrize(
    ("width", "verdict"),
    [(100, "pass"), (111.2, "fail"), (110, "pass"), (1000, "fail")],
    ids=["all of it ignored", "under 90 %", "over 90 %", "a tenth"],
)
def test_a_detection_does_not_count_if_nine_tenths_of_it_are_ignored(width: float, verdict: str) -> None:
    using = rules({"ignored": [[[0, 0], [0.1, 0], [0.1, 1], [0, 1]]]})
    assert judged(using, scratch(0, 10, width, 20)).verdict == verdict


def test_exactly_nine_tenths_are_enough() -> None:
    using = rules({"ignored": [[[0, 0], [0.9, 0], [0.9, 1], [0, 1]]]})
    assert judged(using, scratch(0, 0, 1000, 500)).verdict is Verdict.PASS


def test_a_detection_outside_all_regions_does_not_count_and_the_record_says_so() -> None:
    judgement = judged(rules({"regions": [LEFT_HALF]}), scratch(600, 10, 700, 20))
    assert judgement.verdict is Verdict.PASS
    assert judgement.severity is None
    (reason,) = judgement.reasons
    assert (reason.code, reason.label, reason.detection, reason.score) == (IGNORED, "scratch", 0, 0.9)
    assert reason.message == "does not count, as it lies outside the regions: scratch 0.90"


def test_a_detection_half_ignored_and_half_outside_the_regions_does_not_count() -> None:
    using = rules({"regions": [TOP_HALF], "ignored": [LEFT_HALF]})
    assert judged(using, scratch(100, 100, 200, 400)).verdict is Verdict.PASS


def test_an_ignored_detection_counts_neither_as_defect_nor_towards_the_allowed_count() -> None:
    using = rules({"ignored": [LEFT_HALF]}, default={"allowed_count": 1})
    judgement = judged(using, scratch(600, 10, 700, 20), scratch(10, 10, 20, 20))
    assert judgement.verdict is Verdict.PASS
    assert [reason.code for reason in judgement.reasons] == ["allowed", IGNORED]


def test_zones_are_those_of_the_line() -> None:
    using = rules({"ignored": [LEFT_HALF]})
    assert judged(using, scratch(10, 10, 20, 20), line="line-2").verdict is Verdict.FAIL


def test_without_the_size_of_the_picture_every_detection_counts() -> None:
    assert judged(rules({"ignored": [LEFT_HALF]}), scratch(10, 10, 20, 20), size=None).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "box", [(10, 10, 10, 20), (20, 20, 10, 10), (-50, 10, -10, 20), (1100, 10, 1200, 20)]
)
def test_a_box_without_an_area_in_the_picture_counts(box: tuple[float, ...]) -> None:
    assert (
        judged(rules({"ignored": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}), scratch(*box)).verdict is Verdict.FAIL
    )


def test_what_reaches_out_of_the_picture_is_no_part_of_a_box() -> None:
    assert judged(rules({"ignored": [LEFT_HALF]}), scratch(-900, 10, 100, 20)).verdict is Verdict.PASS


def test_a_bad_picture_is_no_pass_whatever_is_ignored() -> None:
    using = rules({"ignored": [LEFT_HALF]})
    judgement = judge(using, "line-1", [scratch(10, 10, 20, 20)], doubts=["too small"], size=SIZE)
    assert judgement.verdict is Verdict.REVIEW
    assert [reason.code for reason in judgement.reasons] == ["bad_picture", IGNORED]


@settings(max_examples=40)
@given(
    st.lists(stars(), max_size=2),
    st.lists(st.tuples(st.floats(0, 900), st.floats(0, 400), st.floats(1, 300), st.floats(1, 300))),
)
def test_an_ignored_zone_never_makes_a_verdict_worse(
    ignored: list[list[list[float]]], places: list[tuple[float, float, float, float]]
) -> None:
    order = [Verdict.PASS, Verdict.REVIEW, Verdict.FAIL]
    detections = [scratch(x, y, x + width, y + height) for x, y, width, height in places]
    before, after = judged(rules(), *detections), judged(rules({"ignored": ignored}), *detections)
    assert order.index(after.verdict) <= order.index(before.verdict)
    shown = [reason.detection for reason in after.reasons]
    assert sorted(index for index in shown if index is not None) == list(range(len(detections)))


# ---------------------------------------------------------------- the largest area


def test_a_larger_detection_than_a_defect_can_be_goes_to_review_whatever_its_score_and_the_allowed_count() -> (
    None
):
    using = rules(default={"largest_area": 100, "allowed_count": 5})
    judgement = judged(using, scratch(0, 0, 10.1, 10, score=0.99))
    assert judgement.verdict is Verdict.REVIEW
    assert judgement.reasons[0].message == "possible defect of 101 px², larger than 100: scratch 0.99"
    assert judged(using, scratch(0, 0, 10, 10)).verdict is Verdict.PASS


def test_a_smaller_defect_beside_one_that_is_too_large_fails() -> None:
    using = rules(classes={"scratch": {"largest_area": 100}})
    assert judged(using, scratch(0, 0, 50, 50), scratch(0, 0, 5, 5)).verdict is Verdict.FAIL


def test_a_largest_area_below_the_smallest_is_refused() -> None:
    with pytest.raises(
        RulesDocumentError, match=r"classes\.a: largest_area 5 must not be below smallest_area 9"
    ):
        validate({"version": "1", "classes": {"a": {"smallest_area": 9, "largest_area": 5}}})


# ---------------------------------------------------------------- what is no zone


@pytest.mark.parametrize(
    ("polygon", "problem"),
    [
        ("[[0, 0], [1, 1], [1, 0], [0, 0.9]]", "two edges of the polygon meet or cross each other"),
        ("[[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]]", "two edges of the polygon meet or cross each other"),
        ("[[0, 0], [1, 0], [0.5, 0], [0.5, 1]]", "two edges of the polygon meet or cross each other"),
        ("[[0, 0], [0.5, 0.5], [1, 1]]", "the polygon has no area"),
        (
            "[[0, 0], [1, 0], [1, 1], [0, 0]]",
            "a point appears twice; the last one is joined to the first by itself",
        ),
        ("[[0, 0], [1, 0]]", "a polygon has at least 3 points"),
        ("[[0, 0], [1.5, 0], [1, 1]]", "1.0: must be at most 1"),
        ("[[0, 0], [NaN, 0], [1, 1]]", "1.0: must be at most 1"),
        ("[[0, 0], [1, 0, 1], [1, 1]]", "1: must have at most 2 entries"),
        ("5", "must be a list"),
    ],
)
def test_what_is_no_polygon_is_refused_with_its_place(polygon: str, problem: str) -> None:
    with pytest.raises(RulesDocumentError) as refused:
        parse(f'{{"version": "1", "zones": {{"line-1": {{"ignored": [{polygon}]}}}}}}')
    assert len(refused.value.problems) == 1
    assert refused.value.problems[0].startswith("zones.line-1.ignored.0")
    assert refused.value.problems[0].endswith(problem)


def test_a_line_has_at_most_200_points() -> None:
    # A saw of 50 points.
    saw = [[n / 100, n % 2 / 10] for n in range(48)] + [[0.47, 0.9], [0.0, 0.9]]
    assert zones(regions=[saw] * 2, ignored=[saw] * 2).inspected((0, 0.2, 0.4, 0.8)) == 0
    with pytest.raises(
        RulesDocumentError, match=r"zones\.line-1: the polygons have 203 points, at most 200 in all"
    ):
        validate({"version": "1", "zones": {"line-1": {"regions": [saw] * 4, "ignored": [LOWER_LEFT]}}})


@settings(max_examples=30)
@given(stars())
def test_a_polygon_is_one_in_both_directions_and_from_any_corner(polygon: list[list[float]]) -> None:
    wanted = zones(ignored=[polygon]).inspected((0, 0, 1, 1))
    for same in (polygon[::-1], [*polygon[2:], *polygon[:2]]):
        assert zones(ignored=[same]).inspected((0, 0, 1, 1)) == pytest.approx(wanted, abs=1e-9)
