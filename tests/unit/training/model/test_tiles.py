"""Large pictures are judged by tiles: every defect once, in its place, wherever the seams run."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training.model.artefact import ArtefactError, read_card
from training.model.decoding import Detections, iou
from training.model.pixels import Picture
from training.model.tiling import Tiles, TilesError, judge, merge, plan

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


class Seer:
    """A detector that sees the rectangles of `picture` in whatever part of it is shown."""

    def __init__(self):
        self.shown = 0

    def __call__(self, pictures):
        self.shown += len(pictures)
        return [self.one(pixels) for pixels in pictures]

    def one(self, pixels):
        assert pixels.shape == (SIZE, SIZE, 3)
        boxes = []
        for colour in range(3):
            rows, columns = np.nonzero(pixels[:, :, colour] > 100)
            if len(rows):
                boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        found = np.array(boxes, np.float32).reshape(-1, 4) / SIZE
        return Detections(found, np.full(len(found), 0.9, np.float32), np.zeros(len(found), np.int64))


def pixels_of(found, width, height):
    return found.boxes * np.array([width, height, width, height], np.float32)


@given(st.data())
@FEW
def test_a_defect_across_any_seam_is_one_box_in_its_place(data):
    tiles = Tiles(SIZE, data.draw(st.sampled_from([0.0, 0.1, 0.25, 0.5]), "overlap"))
    width, height = data.draw(st.integers(100, 500), "width"), data.draw(st.integers(100, 400), "height")
    x1, y1 = data.draw(st.integers(0, width - 24), "x1"), data.draw(st.integers(0, height - 24), "y1")
    x2 = data.draw(st.integers(x1 + 24, min(width, x1 + 300)), "x2")
    y2 = data.draw(st.integers(y1 + 24, min(height, y1 + 300)), "y2")

    found = judge(Seer(), picture(width, height, [(x1, y1, x2, y2)]), tiles)

    assert len(found.scores) == 1
    truth = np.array([[x1, y1, x2, y2]], np.float32)
    assert iou(pixels_of(found, width, height), truth)[0, 0] >= 0.9


@given(st.integers(0, 300), st.integers(0, 300))
@FEW
def test_two_defects_side_by_side_across_the_same_seams_stay_two(x, y):
    tall, far = (40 + x, 20 + y, 70 + x, 110 + y), (140 + x, 20 + y, 170 + x, 110 + y)

    found = judge(Seer(), picture(520, 440, [tall, far]), Tiles(SIZE, 0.2))

    assert len(found.scores) == 2
    overlaps = iou(pixels_of(found, 520, 440), np.array([tall, far], np.float32))
    assert sorted(overlaps.max(axis=0) >= 0.9) == [True, True]


def test_a_defect_larger_than_any_tile_is_seen_as_one_even_where_tiles_see_nothing():
    def blind_to_tiles(pictures):
        seen = [Seer().one(pixels) for pixels in pictures]
        return [each if (each.boxes < 1).all() and (each.boxes > 0).all() else nothing() for each in seen]

    truth = (150, 150, 450, 420)
    found = judge(blind_to_tiles, picture(600, 600, [truth]), Tiles(SIZE, 0.2))

    assert len(found.scores) == 1
    assert iou(pixels_of(found, 600, 600), np.array([truth], np.float32))[0, 0] >= 0.9


def nothing():
    return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


def one(box, score, label=0):
    return Detections(np.array([box], np.float32), np.array([score], np.float32), np.array([label]))


def test_pieces_of_different_classes_stay_apart():
    where = plan(180, 100, Tiles(100, 0.2))
    left, right = one([0.5, 0.4, 1.0, 0.6], 0.9, label=0), one([0.0, 0.4, 0.5, 0.6], 0.8, label=1)
    assert merge(nothing(), [left, right], where, 180, 100).classes.tolist() == [0, 1]
    assert len(merge(nothing(), [left, replace(right, classes=np.array([0]))], where, 180, 100).scores) == 1


def test_noise_at_a_seam_does_not_stretch_a_sure_box():
    where = plan(180, 100, Tiles(100, 0.2))
    sure, noise = one([0.5, 0.4, 1.0, 0.6], 0.9), one([0.0, 0.4, 0.9, 0.6], 0.02)
    found = merge(nothing(), [sure, noise], where, 180, 100)
    assert (found.boxes[0] * [180, 100, 180, 100]).round().tolist() == [50, 40, 100, 60]


def test_the_better_of_a_piece_and_its_whole_gives_the_score_and_the_whole_the_box():
    where = plan(180, 100, Tiles(100, 0.2))  # 0..100 and 80..180
    cut, entire = one([0.85, 0.4, 1.0, 0.6], 0.95), one([0.05, 0.4, 0.5, 0.6], 0.6)
    found = merge(nothing(), [cut, entire], where, 180, 100)
    assert [round(float(score), 2) for score in found.scores] == [0.95]
    assert (found.boxes[0] * [180, 100, 180, 100]).round().tolist() == [85, 40, 130, 60]


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(64, 2000), st.sampled_from([0.0, 0.2, 0.5]))
@settings(max_examples=200, deadline=None)
def test_tiles_cover_every_pixel_and_their_count_grows_with_the_area_only(width, height, size, overlap):
    tiles = Tiles(size, overlap, max_tiles=300)
    where = plan(width, height, tiles)
    assert len(where) <= 300
    for axis, length in ((0, width), (1, height)):
        starts = np.unique(where[:, axis])
        ends = np.unique(where[:, axis + 2])
        assert starts[0] == 0
        assert ends[-1] == length
        assert (starts[1:] <= ends[:-1]).all()
    edge = (where[:, 2:] - where[:, :2]).max()
    if edge <= size:
        stride = max(1, int(size * (1 - overlap)))
        assert len(where) <= (width / stride + 1) * (height / stride + 1)


def test_a_picture_no_larger_than_a_tile_is_judged_once():
    small = Picture(np.zeros((SIZE, SIZE, 3), np.uint8), 90, 96, "PNG")
    seer = Seer()
    judge(seer, small, Tiles(SIZE))
    assert seer.shown == 1


def test_twice_the_area_costs_twice_the_tiles():
    counts = []
    for height in (960, 1920, 3840):
        seer = Seer()
        judge(seer, picture(960, height, []), Tiles(SIZE, 0.0))
        counts.append(seer.shown - 1)
    assert counts[:2] == [100, 200]
    assert 200 < counts[2] <= 256  # max_tiles: larger ones, not more
    assert len(plan(960, 3840, Tiles(SIZE, 0.0, max_tiles=1000))) == 400


def test_what_happens_between_batches_can_end_the_judging():
    seer = Seer()

    def enough():
        if seer.shown >= 16:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        judge(seer, picture(960, 960, []), Tiles(SIZE, 0.0), batch=8, between=enough)
    assert seer.shown == 16


def test_no_more_detections_than_asked_for():
    boxes = [(100 * n + 10, 10, 100 * n + 60, 60) for n in range(3)]
    assert len(judge(Seer(), picture(500, 100, boxes), Tiles(SIZE, 0.2)).scores) == 3
    assert len(judge(Seer(), picture(500, 100, boxes), Tiles(SIZE, 0.2), most=2).scores) == 2


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
