"""Large pictures are cut into tiles: every defect is detected once, in its place, wherever the seams are."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training.model.artefact import ArtefactError, read_card
from training.model.decoding import Detections, iou
from training.model.pixels import Picture
from training.model.tiling import Tiles, TilesError, detect_in_tiles, plan

SIZE = 96  # of the fake detector's input
FEW = settings(max_examples=60, deadline=None)


def picture(width, height, boxes):
    """Black, with at most three rectangles (x1, y1, x2, y2): a red, a green and a blue one."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for number, (x1, y1, x2, y2) in enumerate(boxes):
        pixels[y1:y2, x1:x2, number] = 200
    full = Image.fromarray(pixels)
    small = full.resize((SIZE, SIZE), Image.Resampling.BILINEAR).convert("RGB")
    return Picture(np.asarray(small), width, height, "PNG", full)


class RectangleDetector:
    """A detector that finds the rectangles of `picture` in any part of it."""

    def __init__(self):
        self.views = 0

    def __call__(self, pictures):
        self.views += len(pictures)
        return [self.one(pixels) for pixels in pictures]

    def one(self, pixels):
        assert pixels.shape == (SIZE, SIZE, 3)
        boxes = []
        for colour in range(3):
            rows, columns = np.nonzero(pixels[:, :, colour] > 100)
            if len(rows):
                boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        array = np.array(boxes, np.float32).reshape(-1, 4) / SIZE
        return Detections(array, np.full(len(array), 0.9, np.float32), np.zeros(len(array), np.int64))


def pixels_of(result, width, height):
    return result.boxes * np.array([width, height, width, height], np.float32)


@given(st.data())
@FEW
def test_a_defect_across_any_seam_is_one_box_in_its_place(data):
    tiles = Tiles(SIZE, data.draw(st.sampled_from([0.0, 0.1, 0.25, 0.5]), "overlap"))
    width, height = data.draw(st.integers(100, 500), "width"), data.draw(st.integers(100, 400), "height")
    x1, y1 = data.draw(st.integers(0, width - 24), "x1"), data.draw(st.integers(0, height - 24), "y1")
    x2 = data.draw(st.integers(x1 + 24, min(width, x1 + 300)), "x2")
    y2 = data.draw(st.integers(y1 + 24, min(height, y1 + 300)), "y2")

    result = detect_in_tiles(RectangleDetector(), picture(width, height, [(x1, y1, x2, y2)]), tiles)

    assert len(result.scores) == 1
    truth = np.array([[x1, y1, x2, y2]], np.float32)
    assert iou(pixels_of(result, width, height), truth)[0, 0] >= 0.9


@given(st.integers(0, 300), st.integers(0, 300))
@FEW
def test_two_defects_side_by_side_across_the_same_seams_stay_two(x, y):
    tall, far = (40 + x, 20 + y, 70 + x, 110 + y), (140 + x, 20 + y, 170 + x, 110 + y)

    result = detect_in_tiles(RectangleDetector(), picture(520, 440, [tall, far]), Tiles(SIZE, 0.2))

    assert len(result.scores) == 2
    overlaps = iou(pixels_of(result, 520, 440), np.array([tall, far], np.float32))
    assert sorted(overlaps.max(axis=0) >= 0.9) == [True, True]


def test_a_defect_larger_than_any_tile_is_one_box_even_if_no_tile_shows_it():
    def blind_to_tiles(pictures):
        results = [RectangleDetector().one(pixels) for pixels in pictures]
        return [
            result if (result.boxes < 1).all() and (result.boxes > 0).all() else nothing()
            for result in results
        ]

    truth = (150, 150, 450, 420)
    result = detect_in_tiles(blind_to_tiles, picture(600, 600, [truth]), Tiles(SIZE, 0.2))

    assert len(result.scores) == 1
    assert iou(pixels_of(result, 600, 600), np.array([truth], np.float32))[0, 0] >= 0.9


def nothing():
    return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(64, 2000), st.sampled_from([0.0, 0.2, 0.5]))
@settings(max_examples=200, deadline=None)
def test_tiles_cover_every_pixel_and_their_count_grows_with_the_area_only(width, height, size, overlap):
    tiles = Tiles(size, overlap, max_tiles=300)
    tile_boxes = plan(width, height, tiles)
    assert len(tile_boxes) <= 300
    for axis, length in ((0, width), (1, height)):
        starts = np.unique(tile_boxes[:, axis])
        ends = np.unique(tile_boxes[:, axis + 2])
        assert starts[0] == 0
        assert ends[-1] == length
        assert (starts[1:] <= ends[:-1]).all()
    edge = (tile_boxes[:, 2:] - tile_boxes[:, :2]).max()
    if edge <= size:
        stride = max(1, int(size * (1 - overlap)))
        assert len(tile_boxes) <= (width / stride + 1) * (height / stride + 1)


def test_a_picture_no_larger_than_a_tile_goes_through_the_detector_once():
    small = Picture(np.zeros((SIZE, SIZE, 3), np.uint8), 90, 96, "PNG")
    detector = RectangleDetector()
    detect_in_tiles(detector, small, Tiles(SIZE))
    assert detector.views == 1


def test_twice_the_area_costs_twice_the_tiles():
    counts = []
    for height in (960, 1920, 3840):
        detector = RectangleDetector()
        detect_in_tiles(detector, picture(960, height, []), Tiles(SIZE, 0.0))
        counts.append(detector.views - 1)
    assert counts[:2] == [100, 200]
    assert 200 < counts[2] <= 256  # max_tiles: larger ones, not more
    assert len(plan(960, 3840, Tiles(SIZE, 0.0, max_tiles=1000))) == 400


def test_a_batch_is_not_started_once_the_time_is_up():
    detector = RectangleDetector()

    def stop_after_16():
        if detector.views >= 16:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        detect_in_tiles(
            detector, picture(960, 960, []), Tiles(SIZE, 0.0), batch_size=8, before_batch=stop_after_16
        )
    assert detector.views == 16


def test_no_more_detections_than_asked_for():
    boxes = [(100 * n + 10, 10, 100 * n + 60, 60) for n in range(3)]
    assert len(detect_in_tiles(RectangleDetector(), picture(500, 100, boxes), Tiles(SIZE, 0.2)).scores) == 3
    assert (
        len(
            detect_in_tiles(
                RectangleDetector(), picture(500, 100, boxes), Tiles(SIZE, 0.2), max_detections=2
            ).scores
        )
        == 2
    )


@pytest.mark.parametrize("wrong", [{"size": 8}, {"size": 640, "overlap": 0.6}, {"size": 640, "max_tiles": 0}])
def test_a_setting_that_cannot_work_is_refused_where_it_is_read(wrong, starter_folder, tmp_path):
    with pytest.raises(TilesError, match=r"size|overlap|max_tiles"):
        Tiles(**wrong)
    for name in ("model.onnx", "model.json"):
        (tmp_path / name).write_bytes((starter_folder / name).read_bytes())
    card = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(card | {"tiles": wrong}))
    with pytest.raises(ArtefactError, match=r"model\.json"):
        read_card(tmp_path)
