"""The picture of an inspection: it shows everything that decided the verdict, readably."""

import io
from dataclasses import asdict
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from contract.figures import beside
from contract.images import FORMATS, UnreadableError
from inspection.detector import Detection
from inspection.findings import Box, Finding, findings, remarks
from inspection.latin import transliterate
from inspection.pictures.annotating import annotate
from inspection.pictures.canvas import font
from inspection.pictures.placing import place_labels
from inspection.rules import Kind, Rules, judge
from tests.camera_pictures import forms, twelve_in_sixteen
from tests.inspection_support import jpeg, picture

SAMPLE = (Path(__file__).parents[3] / "samples/line-2/bottom/SN1003.jpg").read_bytes()


def finding(
    kind: Kind = Kind.DEFECT, box: Box = (20, 40, 120, 90), score: float = 0.91, label: str = "scratches"
) -> Finding:
    return Finding(kind, label, score, box)


def red_box(image: Image.Image) -> tuple[int, int, int, int]:
    """Return the bounding box of all red pixels: the frame and the label above it."""
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")), -1, 0)
    rows, columns = np.nonzero((red > 180) & (green < 90) & (blue < 90))
    assert rows.size
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def drawn_image(data: bytes, *found: Finding, notes: tuple[str, ...] = ()) -> Image.Image:
    return Image.open(io.BytesIO(annotate(data, found, notes, 100_000_000)))


# Turns an upright image into the one that a camera stores with each EXIF orientation.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", FORMATS)
def test_the_frame_is_on_the_defect_in_every_format_and_orientation(kind: str, orientation: int) -> None:
    """The model's boxes are in upright pixels, for every EXIF orientation."""
    if kind == "BMP" and orientation > 1:
        pytest.skip("a BMP has no EXIF")
    upright = Image.new("L", (200, 150), 128)
    upright.paste(255, (20, 40, 120, 90))
    stored = upright.transpose(STORED[orientation]) if orientation in STORED else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, kind, **({} if kind == "BMP" else {"exif": exif}))

    image = drawn_image(buffer.getvalue(), finding())

    assert (image.format, image.size) == ("JPEG", (640, 480))
    left, _, right, bottom = red_box(image)
    assert (left, right, bottom) == pytest.approx((20 * 3.2, 120 * 3.2, 90 * 3.2), abs=6)
    grey = image.convert("L")
    assert min(grey.getpixel(at) for at in ((80, 150), (370, 275))) > 230  # type: ignore[type-var]
    assert max(grey.getpixel(at) for at in ((50, 200), (400, 200), (200, 300))) < 150  # type: ignore[type-var]


def hot_corner(side: int = 8, hottest: int = 255) -> bytes:
    """Return a heat map whose lower right quarter is hot."""
    image = Image.new("L", (side, side))
    image.paste(hottest, (side // 2, side // 2, side, side))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def with_heat(data: bytes, heat_map: bytes | None, *found: Finding) -> Image.Image:
    return Image.open(io.BytesIO(annotate(data, found, (), 100_000_000, heat_map))).convert("RGB")


def redness(image: Image.Image, box: tuple[float, float, float, float]) -> float:
    """Return how much more red than blue a part of a picture has; box: in shares of its sides."""
    pixels = np.asarray(image.crop((0, 0, image.width, image.width // 2)), dtype=float)
    height, width, _ = pixels.shape
    x1, y1, x2, y2 = box
    part = pixels[int(y1 * height) : int(y2 * height), int(x1 * width) : int(x2 * width)]
    return float((part[..., 0] - part[..., 2]).mean())


HOT, COOL = (0.7, 0.7, 0.95, 0.9), (0.05, 0.05, 0.4, 0.4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heat_map_lies_over_the_upright_part_whatever_way_the_camera_is_turned(orientation: int) -> None:
    upright = Image.new("L", (200, 100), 128)
    stored = upright if orientation == 1 else upright.transpose(STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    image = with_heat(buffer.getvalue(), hot_corner())
    assert redness(image, HOT) > 60
    assert abs(redness(image, COOL)) < 6


def test_a_cold_heat_map_leaves_the_picture_as_it_is() -> None:
    assert with_heat(jpeg(), hot_corner(hottest=30)).tobytes() == with_heat(jpeg(), None).tobytes()


def test_the_colours_are_explained_below_the_picture() -> None:
    plain, coloured = with_heat(jpeg(), None), with_heat(jpeg(), hot_corner())
    assert coloured.width == plain.width
    assert coloured.height > plain.height


def test_the_frame_of_an_anomaly_is_seen_on_the_hottest_map() -> None:
    image = with_heat(jpeg(), hot_corner(), finding(Kind.DOUBTFUL, (120, 55, 190, 95), label="anomaly"))
    red, green, blue = np.moveaxis(np.asarray(image, dtype=int), -1, 0)
    frame = (abs(red - 255) < 30) & (abs(green - 179) < 30) & (blue < 60)
    rows, columns = np.nonzero(frame)
    # 200 pixels of the part are 640 of the picture, and the label lies above.
    assert abs(int(columns.min()) - 120 * 3.2) < 8
    assert abs(int(columns.max()) - 190 * 3.2) < 8
    assert abs(int(rows.max()) - 95 * 3.2) < 8


def test_a_large_image_is_reduced_for_a_phone() -> None:
    image = drawn_image(jpeg(4000, 3000), finding(box=(400, 400, 2000, 2000)))
    assert image.size == (1600, 1200)
    assert red_box(image)[2:] == pytest.approx((800, 800), abs=6)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_can_be_drawn(mode: str) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (200, 150)).save(buffer, "TIFF")
    assert drawn_image(buffer.getvalue(), finding()).mode == "RGB"


def test_twelve_bit_greys_are_not_black() -> None:
    buffer = io.BytesIO()
    levels = b"".join(level.to_bytes(2, "little") * 100 for level in (100, 4000)) * 150
    Image.frombytes("I;16", (200, 150), levels).save(buffer, "PNG")
    grey = drawn_image(buffer.getvalue()).convert("L")
    assert [grey.getpixel(at) for at in ((160, 240), (480, 240))] == pytest.approx([6, 250], abs=5)


def test_the_picture_shows_the_part_in_every_form_of_its_file() -> None:
    expected = np.asarray(drawn_image(SAMPLE).convert("L"), np.int16)
    pictures = {name: np.asarray(drawn_image(data).convert("L"), np.int16) for name, data in forms(SAMPLE)}
    assert {name: shown.shape for name, shown in pictures.items() if shown.shape != expected.shape} == {}
    differences = {name: float(np.abs(shown - expected).mean()) for name, shown in pictures.items()}
    assert {name: difference for name, difference in differences.items() if difference >= 4} == {}


def test_a_part_whose_depth_nobody_states_is_bright_enough_for_a_person() -> None:
    shown = np.asarray(drawn_image(twelve_in_sixteen(SAMPLE)).convert("L"), np.int16)
    assert np.abs(shown - np.asarray(drawn_image(SAMPLE).convert("L"), np.int16)).mean() < 4


@pytest.mark.parametrize(
    "data", [b"", b"text", jpeg(400, 400)[:-300], picture("GIF")], ids=["empty", "text", "cut", "gif"]
)
def test_a_file_that_cannot_be_decoded_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        drawn_image(data)


RED, AMBER, LIGHT = (214, 39, 40), (255, 179, 0), (222, 222, 222)


def near(image: Image.Image, colour: tuple[int, int, int], *at: tuple[int, int]) -> int:
    """Return how many pixels have nearly a colour. JPEG changes colours a little, and thin lines more."""
    pixels: Any = image.convert("RGB").load()
    return sum(all(abs(pixels[place][part] - colour[part]) < 60 for part in range(3)) for place in at)


@pytest.mark.parametrize("shade", [0, 128, 255], ids=["black", "grey", "white"])
def test_defects_are_solid_red_doubtful_ones_dashed_amber_and_allowed_ones_thin_and_light(shade: int) -> None:
    found = [finding(kind, (40, top, 500, top + 80)) for kind, top in zip(Kind, (40, 180, 320), strict=True)]
    image = drawn_image(jpeg(640, 480, shade), *found)
    solid, dashed, thin = ([(x, top - 1) for x in range(60, 480)] for top in (40, 180, 320))
    assert near(image, RED, *solid) == len(solid)
    assert 0.4 * len(dashed) < near(image, AMBER, *dashed) < 0.8 * len(dashed)
    assert near(image, RED, *dashed, *thin) == near(image, AMBER, *solid, *thin) == 0
    # Of the thin frame a line can be told from the picture around it.
    column: Any = image.convert("L").crop((300, 312, 301, 328)).get_flattened_data()
    assert max(column) - min(column) > 60


def test_a_defect_of_few_pixels_stays_visible_inside_its_frame() -> None:
    buffer = io.BytesIO()
    scene = Image.new("L", (640, 480), 60)
    scene.paste(255, (300, 200, 308, 208))
    scene.save(buffer, "PNG")
    image = drawn_image(buffer.getvalue(), finding(box=(300, 200, 308, 208))).convert("L")
    assert image.getpixel((303, 203)) > 200  # type: ignore[operator]


@pytest.mark.parametrize("box", [(0, 0, 640, 480), (0, 0, 1, 1), (639, 479, 640, 480), (-50, 100, 20, 150)])
def test_a_frame_at_the_edge_of_the_picture_is_visible(box: Box) -> None:
    pixels = np.asarray(drawn_image(jpeg(640, 480, 200), finding(box=box)).convert("RGB"), np.int16)
    assert (np.abs(pixels - RED) < 60).all(axis=2).sum() > 100


def test_a_bad_picture_says_why_below_the_picture_and_hides_nothing_of_it() -> None:
    plain = drawn_image(jpeg(640, 480))
    image = drawn_image(jpeg(640, 480), notes=("blurred: sharpness 39.9 is below 40.0",))
    assert image.width == plain.width
    assert image.height > plain.height
    assert image.crop((0, 0, 640, 470)).convert("L").getextrema() == (128, 128)
    assert max(image.crop((0, 480, 640, image.height)).convert("L").getextrema()) > 200  # type: ignore[type-var]


@pytest.mark.parametrize("size", [(3000, 3000), (1200, 4000), (60, 4000), (4000, 60), (20, 20), (8, 800)])
@pytest.mark.parametrize("count", [0, 1, 9])
def test_the_longer_side_has_640_to_1600_pixels_whatever_is_said_below(
    size: tuple[int, int], count: int
) -> None:
    notes = tuple(f"too dark, and said {'very ' * n}often" for n in range(count))
    image = drawn_image(jpeg(*size), finding(), notes=notes)
    assert 640 <= max(image.size) <= 1600
    assert min(image.size) >= 240


def test_a_person_can_read_labels_in_any_script() -> None:
    """Pillow's font has no other letters than those of ASCII: they would be empty boxes."""
    missing = bytes(font(20).getmask("\uffff"))
    for label in ("Größe", "царапина", "划痕", "Ma\u0308ngel", "σχισμή", "เกา", "🔧", "\x1b[31mred\u202e"):
        shown = transliterate(label)
        assert shown.isascii()
        assert shown.isprintable()
        assert all(bytes(font(20).getmask(letter)) != missing for letter in shown)
    assert transliterate("Größe Ma\u0308ngel ÄÖÜ") == "Groesse Maengel AeOeUe"


def test_labels_and_remarks_are_drawn_in_letters_that_the_font_has() -> None:
    scene = jpeg(640, 480)
    drawn, readable = (
        drawn_image(scene, finding(label=word), notes=(word,)).tobytes()
        for word in ("Größe 划痕", "Groesse HuaHen")
    )
    assert drawn == readable


def test_the_label_shows_the_digits_of_the_score_that_decide() -> None:
    scene = jpeg(640, 480)
    close, at_the_limit = (drawn_image(scene, finding(score=score)).tobytes() for score in (0.4999, 0.5))
    assert close != at_the_limit


def test_a_long_label_is_cut_and_keeps_its_score() -> None:
    scene = jpeg(640, 480)
    long, other = (
        drawn_image(scene, finding(label="long name " * 20, score=score)) for score in (0.91, 0.92)
    )
    assert long.tobytes() != other.tobytes()
    left, _, right, _ = red_box(long)
    assert right - left < 0.65 * 640


def test_the_findings_of_a_record_are_those_of_its_verdict_with_the_digits_that_decide() -> None:
    rules = Rules.model_validate({"version": "1", "classes": {"pits": {"allowed_count": 1}}})
    detections = [
        {"label": "scratches", "score": 0.91, "box": (0, 0, 10, 10)},
        {"label": "pits", "score": 0.8, "box": (0, 0, 10, 10)},
        {"label": "scratches", "score": 0.4996, "box": (0, 0, 10, 10)},
        {"label": "scratches", "score": 0.1, "box": (0, 0, 10, 10)},
    ]
    judgement = judge(
        rules.model_copy(update={"picture": rules.picture.model_copy(update={"least_sharpness": 40.0})}),
        "line-1",
        [Detection.model_validate(detection) for detection in detections],
        {"sharpness": 39.9},
    )
    record = {
        "detections": detections,
        "reasons": [
            {name: value for name, value in asdict(reason).items() if value is not None}
            for reason in judgement.reasons
        ],
    }
    assert [(found.kind.value, found.label, found.shown_score) for found in findings(record)] == [
        ("defect", "scratches", "0.91"),
        ("doubtful", "scratches", "0.4996"),
        ("allowed", "pits", "0.80"),
    ]
    assert remarks(record) == ["blurred: sharpness 39.9 is below 40.0"]


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_score_on_a_picture_is_on_the_side_of_the_fail_score_that_its_frame_says(
    score: float, fail_score: float
) -> None:
    found = Finding(Kind.DEFECT, "pits", score, (0, 0, 1, 1), fail_score=fail_score)
    shown, bound = beside(score, fail_score)
    assert found.shown_score == shown
    assert (Decimal(shown) >= Decimal(bound)) == (score >= fail_score)


def touching(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


CANVAS = (1000, 700)
FRAMES = st.builds(
    lambda x, y, width, height: (x, y, min(x + width, 1000), min(y + height, 700)),
    st.integers(0, 990),
    st.integers(0, 690),
    st.integers(5, 1000),
    st.integers(5, 700),
)
LABEL_SIZES = st.tuples(st.integers(30, 400), st.integers(16, 30))


@given(st.lists(st.tuples(FRAMES, LABEL_SIZES), max_size=40))
def test_no_label_covers_another_or_leaves_the_picture(rows: list[tuple[Box, tuple[int, int]]]) -> None:
    frames, sizes = [frame for frame, _ in rows], [size for _, size in rows]
    boxes = [place.box for place in place_labels(frames, sizes, CANVAS) if place]
    assert not any(touching(one, other) for one, other in combinations(boxes, 2))
    assert all(
        left >= 0 and top >= 0 and right <= 1000 and bottom <= 700 for left, top, right, bottom in boxes
    )


SMALL_FRAMES = st.builds(
    lambda x, y, side: (x, y, x + side, y + side),
    st.integers(0, 960),
    st.integers(0, 660),
    st.integers(5, 40),
)


@given(st.lists(SMALL_FRAMES, min_size=1, max_size=12))
@example([(0, 0, 5, 5)] * 12)
def test_where_there_is_room_every_small_defect_has_a_label_and_none_is_covered(frames: list[Box]) -> None:
    places = place_labels(frames, [(150, 24)] * len(frames), CANVAS)
    assert all(places)
    assert not any(place and touching(place.box, frame) for place in places for frame in frames)


@given(st.lists(FRAMES, min_size=1, max_size=3))
def test_few_defects_all_have_labels_however_large_they_are(frames: list[Box]) -> None:
    assert all(place_labels(frames, [(150, 24)] * len(frames), CANVAS))


def a_hundred_frames(random: Random, spread: int) -> list[Box]:
    """Return small frames, in the whole picture or on a part of it."""
    left, top = random.randint(0, 960 - spread), random.randint(0, max(0, 660 - spread))
    sides = [random.randint(5, 40) for _ in range(100)]
    corners = [(left + random.randint(0, spread), top + random.randint(0, min(spread, 660))) for _ in sides]
    return [(x, y, x + side, y + side) for (x, y), side in zip(corners, sides, strict=True)]


# Drawn from one number: hypothesis takes longer to draw 300 numbers than the labels to be placed.
@given(st.builds(a_hundred_frames, st.integers().map(Random), st.sampled_from([0, 30, 200, 960])))
@example([(0, 0, 5, 5)] * 100)
def test_of_a_hundred_defects_the_most_important_have_labels(frames: list[Box]) -> None:
    places = place_labels(frames, [(150, 24)] * 30, CANVAS)
    assert all(places[:3])


NUMBERS = st.floats(-1e9, 1e9)
SMALL = jpeg(64, 64)


@given(st.lists(st.tuples(st.text(max_size=200), NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=4))
def test_every_box_and_every_label_can_be_drawn(boxes: list[tuple[str, float, float, float, float]]) -> None:
    found = [finding(kind, tuple(box), label=label) for kind in Kind for label, *box in boxes]  # type: ignore[arg-type]
    drawn_image(SMALL, *found, notes=tuple(label for label, *_ in boxes))
