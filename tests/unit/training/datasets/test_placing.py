"""Labels arrive on the pixels on which they were drawn, and labels that cannot be meant as written are noticed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.unit.training.datasets.exports import (
    DENT,
    SIZE,
    YOLO_DENT,
    boxes_of,
    coco,
    errors,
    picture,
    pictures,
    told,
    write,
)
from training.datasets import Object, read
from training.datasets.formats.annotations import AnnotatedImage
from training.datasets.formats.placing import ImageFacts, place
from training.datasets.problems import Problems

DENTS = [("dent", DENT)]
SIDEWAYS = (5, 6, 7, 8)


def turned(orientation: int, box=DENT) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Draw a box on stored pixels, let Pillow turn the picture upright, and find the box again."""
    pixels = np.zeros(SIZE[::-1], np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(buffer))
    return upright.size, Image.fromarray(np.asarray(upright)).getbbox()


@pytest.mark.parametrize("orientation", SIDEWAYS)
def test_boxes_drawn_on_stored_pixels_turn_with_the_image(tmp_path, orientation):
    picture(tmp_path / "a.jpg", orientation=orientation)
    document = coco("a.jpg")
    size, expected = turned(orientation)
    reading = read(write(tmp_path, "a.json", document))
    sample = reading.dataset.samples[0]
    assert ((sample.width, sample.height), boxes_of(reading)) == (size, {"a.jpg": [("dent", expected)]})
    assert told(reading) == {"turned-boxes": 1}


@pytest.mark.parametrize("orientation", SIDEWAYS)
def test_boxes_drawn_on_the_upright_image_stay(tmp_path, orientation):
    picture(tmp_path / "a.jpg", orientation=orientation)
    document = coco("a.jpg")
    document["images"][0] |= {"width": 120, "height": 160}
    reading = read(write(tmp_path, "a.json", document))
    assert (boxes_of(reading), told(reading)) == ({"a.jpg": DENTS}, {})


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_a_turn_that_keeps_the_size_is_told_because_labels_do_not_tell(tmp_path, orientation):
    picture(tmp_path / "a.jpg", orientation=orientation)
    reading = read(write(tmp_path, "a.json", coco("a.jpg")))
    assert (boxes_of(reading), told(reading)) == ({"a.jpg": DENTS}, {"turned-image": 1})


@given(
    st.integers(0, 140),
    st.integers(0, 100),
    st.integers(2, 20),
    st.integers(2, 20),
    st.sampled_from(SIDEWAYS),
)
def test_every_box_turns_as_its_pixels_do(x, y, width, height, orientation):
    box = (x, y, x + width, y + height)
    size, expected = turned(orientation, box)
    transpositions = dict(zip(SIDEWAYS, (5, 3, 6, 1), strict=True))
    names = {5: "TRANSPOSE", 3: "ROTATE_270", 6: "TRANSVERSE", 1: "ROTATE_90"}
    transposition = Image.Transpose[names[transpositions[orientation]]]
    image = AnnotatedImage("a", "a.json", (Object("dent", tuple(map(float, box))),), size=SIZE)
    sample = place(image, ImageFacts("0", *size, transposition), Problems())
    assert sample is not None
    assert sample.objects[0].box == expected


@pytest.mark.parametrize("bbox", [(0.125, 0.17, 0.25, 0.25), (0.9, 0.9, 0.05, 0.05)])
def test_boxes_that_are_fractions_are_an_error_and_not_boxes_of_a_pixel(tmp_path, bbox):
    reading = read(write(pictures(tmp_path, "a.png"), "a.json", coco("a.png", bbox=bbox)))
    assert set(errors(reading)) >= {"fraction-box"}
    assert reading.dataset.samples == ()


def test_a_box_less_than_a_pixel_wide_is_told(tmp_path):
    document = coco("a.png", bbox=(20, 20, 0.4, 30))
    document["annotations"][0]["area"] = 12
    assert told(read(write(pictures(tmp_path, "a.png"), "a.json", document))) == {"tiny-box": 1}


def test_negative_sizes_are_put_in_order_and_told(tmp_path):
    document = coco("a.png", bbox=(60, 50, -40, -30))
    reading = read(write(pictures(tmp_path, "a.png"), "a.json", document))
    assert (boxes_of(reading), told(reading)) == ({"a.png": DENTS}, {"swapped-corners": 1})


@given(st.lists(st.tuples(*[st.integers(1, 60)] * 2), min_size=60, max_size=60))
@settings(max_examples=10, deadline=None)
def test_sizes_in_a_format_of_corners_are_an_error_and_exchanged_corners_are_not(tmp_path_factory, sizes):
    root = pictures(tmp_path_factory.mktemp("sizes"), "a.png")
    rows = {"sizes": [], "exchanged": []}
    for number, (width, height) in enumerate(sizes):
        x, y = 5 + number * 7 % 90, 5 + number * 5 % 50
        rows["sizes"].append(f"a.png,dent,{x},{y},{width},{height}")
        rows["exchanged"].append(f"a.png,dent,{x + width + 10},{y + height + 10},{x + 10},{y}")
    for kind, lines in rows.items():
        write(root, "labels.csv", "\n".join(("filename,class,xmin,ymin,xmax,ymax", *lines)))
        assert errors(read(root)) == (["sizes-as-corners"] if kind == "sizes" else [])


def test_an_image_that_loses_one_of_its_labels_stays_and_that_is_told(tmp_path):
    document = coco("a.png")
    document["annotations"].append(
        document["annotations"][0] | {"id": 2, "bbox": [300, 300, 5, 5], "area": 25}
    )
    reading = read(write(pictures(tmp_path, "a.png"), "a.json", document))
    assert (boxes_of(reading), told(reading)) == ({"a.png": DENTS}, {"zero-area-box": 1})


def test_an_image_that_loses_all_its_labels_is_an_error(tmp_path):
    root = pictures(tmp_path, "a.png", "b.png")
    document = coco("a.png", "b.png")
    document["annotations"][1] |= {"bbox": [300, 300, 5, 5], "area": 25}
    reading = read(write(root, "a.json", document))
    assert boxes_of(reading) == {"a.png": DENTS}
    assert errors(reading) == ["labels-lost"]


EDGE = st.floats(-300, 300)


@given(st.lists(st.tuples(EDGE, EDGE, EDGE, EDGE), max_size=5), st.integers(0, 2))
def test_no_label_leaves_without_a_word(boxes, lost):
    problems = Problems()
    objects = tuple(Object("dent", box) for box in boxes)
    sample = place(AnnotatedImage("a", "a.json", objects, lost=lost), ImageFacts("0", *SIZE), problems)
    arrived = len(sample.objects) if sample else 0
    gone = sum(problems.count(kind) for kind in ("zero-area-box", "fraction-box"))
    assert arrived + gone == len(boxes)
    if boxes or lost:
        assert (sample is None) == (arrived == 0)
    for obj in sample.objects if sample else ():
        x1, y1, x2, y2 = obj.box
        assert 0 <= x1 < x2 <= SIZE[0]
        assert 0 <= y1 < y2 <= SIZE[1]


def test_a_tag_without_a_box_is_a_label_and_never_a_good_product(tmp_path):
    root = write(pictures(tmp_path, "dent/a.png", "good/b.png"), "x.md", "x")
    first, second = read(root).dataset.samples
    assert (first.has_unplaced_defect, second.has_unplaced_defect) == (True, False)


def test_labels_that_state_no_size_are_told_for_turned_images(tmp_path):
    picture(tmp_path / "a.jpg", orientation=6)
    write(tmp_path, "a.txt", YOLO_DENT)
    assert told(read(write(tmp_path, "classes.txt", "dent\n"))) == {"turned-image": 1}
