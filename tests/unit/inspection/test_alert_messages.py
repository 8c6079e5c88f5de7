"""The alert for people and for machines, and its picture."""

import io
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contract.images import FORMATS, UnreadableError
from inspection.alerts import describe, sms, subject, text
from inspection.detector import Detection
from inspection.pictures import annotate
from tests.inspection_support import jpeg, picture

LINK = "https://bucket/picture?signed"


def record(count: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a record as the table returns it."""
    return {
        "id": "3f1e0a5b9c8d7e6f5a4b3c2d1e0f9a8b",
        "verdict": "fail",
        "severity": "major",
        "line": "line-1",
        "station": "top",
        "serial": "SN1001",
        "reasons": [
            {
                "code": "defect",
                "label": "scratches",
                "score": Decimal("0.91"),
                "severity": "major",
                "detection": n,
            }
            for n in map(Decimal, range(count))
        ],
        "detections": [
            {
                "label": "scratches",
                "score": Decimal("0.91"),
                "box": [Decimal(12), Decimal("30.5"), Decimal(88), Decimal(120)],
            }
        ]
        * count
        + [{"label": "pits", "score": Decimal("0.2"), "box": [Decimal(0)] * 4}],
        "image": "s3://images/incoming/line-1/top/SN1001.jpg",
        "version_id": "v1",
        "model": {"name": "steel", "version": "7"},
        "rules_version": "3",
        "captured_at": "2026-01-05T09:30:14.000Z",
        "inspected_at": "2026-01-05T09:30:16.500Z",
    } | changes


def test_the_text_tells_an_operator_the_defects_and_their_place() -> None:
    assert text(describe(record(), LINK)) == (
        "MAJOR defect on line-1/top\n"
        "\n"
        "Line:     line-1\n"
        "Station:  top\n"
        "Serial:   SN1001\n"
        "Taken:    2026-01-05 09:30:14 UTC\n"
        "\n"
        "Defects:\n"
        "  scratches, 91% sure, major, at x 12-88, y 30-120\n"
        "\n"
        "Picture with the defects framed:\n"
        "https://bucket/picture?signed\n"
        "\n"
        "Image:    s3://images/incoming/line-1/top/SN1001.jpg (version v1)\n"
        "Model:    steel 7, rules 3\n"
        "Alert:    3f1e0a5b9c8d7e6f5a4b3c2d1e0f9a8b"
    )
    assert subject(describe(record(), LINK)) == "MAJOR defect on line-1/top: scratches (SN1001)"
    assert sms(describe(record(), LINK)) == "MAJOR defect on line-1/top: scratches. Serial SN1001"


def test_the_document_contains_only_the_defects_each_with_its_severity() -> None:
    document = describe(record(), None)
    assert document["defects"] == [
        {"label": "scratches", "score": 0.91, "box": (12.0, 30.5, 88.0, 120.0), "severity": "major"}
    ]
    assert document["picture_url"] is None


def test_a_long_list_of_defects_is_cut() -> None:
    document = describe(record(count=200), LINK)
    assert len(document["defects"]) == 50
    assert "  and 40 more" in text(document)


def test_the_text_explains_a_missing_picture() -> None:
    assert "could not be read again" in text(describe(record(), None))


@given(st.text(), st.text(), st.text())
def test_sns_accepts_every_subject(line: str, station: str, serial: str) -> None:
    """https://docs.aws.amazon.com/sns/latest/api/API_Publish.html: ASCII, no line breaks, less than 100."""
    header = subject(describe(record(line=line, station=station, serial=serial), LINK))
    assert header.isascii()
    assert header.isprintable()
    assert 0 < len(header) < 100
    assert len(sms(describe(record(line=line), LINK))) <= 140


DETECTIONS = [Detection(label="scratches", score=0.91, box=(20, 40, 120, 90))]


def red_box(image: Image.Image) -> tuple[int, int, int, int]:
    """Return the bounding box of all red pixels: the frame and the label above it."""
    red = image.convert("RGB").point(lambda value: value)
    mask = Image.new("L", red.size)
    pixels, out = red.load(), mask.load()
    assert pixels
    assert out
    for y in range(red.height):
        for x in range(red.width):
            r, g, b = pixels[x, y]  # type: ignore[misc]
            out[x, y] = 255 if r > 180 and g < 90 and b < 90 else 0
    box = mask.getbbox()
    assert box
    return box


def drawn_image(data: bytes, detections: list[Detection] = DETECTIONS) -> Image.Image:
    return Image.open(io.BytesIO(annotate(data, detections, 100_000_000)))


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

    image = drawn_image(buffer.getvalue())

    assert (image.format, image.size) == ("JPEG", (640, 480))
    left, _, right, bottom = red_box(image)
    assert (left, right, bottom) == pytest.approx((20 * 3.2, 120 * 3.2, 90 * 3.2), abs=6)
    grey = image.convert("L")
    assert min(grey.getpixel(at) for at in ((80, 150), (370, 275))) > 230  # type: ignore[type-var]
    assert max(grey.getpixel(at) for at in ((50, 200), (400, 200), (200, 300))) < 150  # type: ignore[type-var]


def test_a_large_image_is_reduced_for_a_phone() -> None:
    image = drawn_image(jpeg(4000, 3000), [Detection(label="x", score=1, box=(400, 400, 2000, 2000))])
    assert image.size == (1600, 1200)
    assert red_box(image)[2:] == pytest.approx((800, 800), abs=6)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_can_be_drawn(mode: str) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (200, 150)).save(buffer, "TIFF")
    assert drawn_image(buffer.getvalue()).mode == "RGB"


def test_twelve_bit_greys_are_not_black() -> None:
    buffer = io.BytesIO()
    deep = Image.new("I;16", (200, 150), 100)
    deep.paste(4000, (0, 0, 100, 150))
    deep.save(buffer, "PNG")
    assert drawn_image(buffer.getvalue(), []).convert("L").getextrema() == pytest.approx((0, 255), abs=5)


@pytest.mark.parametrize(
    "data", [b"", b"text", jpeg(400, 400)[:-300], picture("GIF")], ids=["empty", "text", "cut", "gif"]
)
def test_a_file_that_cannot_be_decoded_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        drawn_image(data)


NUMBERS = st.floats(-1e9, 1e9)
SMALL = jpeg(64, 64)


@given(st.lists(st.tuples(st.text(max_size=30), NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=3))
def test_every_box_and_every_label_can_be_drawn(boxes: list[tuple[str, float, float, float, float]]) -> None:
    drawn_image(SMALL, [Detection(label=label or "?", score=0.5, box=box) for label, *box in boxes])  # type: ignore[arg-type]
