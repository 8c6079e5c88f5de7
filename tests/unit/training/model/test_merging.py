"""Each rule of merging on two tiles of a picture of 180 x 100 pixels: tile A is 0..100 wide, tile B 80..180."""

from __future__ import annotations

import numpy as np
import pytest

from training.model.decoding import Detections
from training.model.merging import merge
from training.model.tiling import Tiles, plan

WIDTH, HEIGHT = 180, 100
TILES = plan(WIDTH, HEIGHT, Tiles(100, 0.2))


def detections(*boxes, score=0.9, label=0):
    """Detections as a tile, or the whole picture, gives them: boxes in 0..1 of it."""
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, score, np.float32),
        np.full(count, label, np.int64),
    )


def in_tile_a(x1, y1, x2, y2, score=0.9, label=0):
    return detections([x1 / 100, y1 / 100, x2 / 100, y2 / 100], score=score, label=label)


def in_tile_b(x1, y1, x2, y2, score=0.9, label=0):
    return in_tile_a(x1 - 80, y1, x2 - 80, y2, score, label)


def in_whole_picture(x1, y1, x2, y2, score=0.9, label=0):
    return detections([x1 / WIDTH, y1 / HEIGHT, x2 / WIDTH, y2 / HEIGHT], score=score, label=label)


NOTHING = detections()


def merged(whole=NOTHING, a=NOTHING, b=NOTHING):
    return merge(whole, [a, b], TILES, WIDTH, HEIGHT)


def boxes_of(result):
    return (result.boxes * [WIDTH, HEIGHT, WIDTH, HEIGHT]).round().tolist()


def test_a_long_thin_defect_that_only_the_whole_picture_shows_is_kept():
    assert boxes_of(merged(whole=in_whole_picture(18, 50, 162, 55))) == [[18, 50, 162, 55]]
    assert boxes_of(merged(whole=in_whole_picture(90, 10, 95, 90))) == [[90, 10, 95, 90]]


def test_a_box_of_the_whole_picture_that_is_smaller_than_the_overlap_is_dropped():
    assert boxes_of(merged(whole=in_whole_picture(85, 40, 100, 55))) == []


def test_pieces_that_meet_at_facing_borders_become_one_box():
    result = merged(a=in_tile_a(50, 40, 100, 60), b=in_tile_b(80, 40, 130, 60))
    assert boxes_of(result) == [[50, 40, 130, 60]]


def test_pieces_that_end_just_before_their_borders_become_one_box():
    result = merged(a=in_tile_a(50, 40, 98, 60), b=in_tile_b(82, 40, 130, 60))
    assert boxes_of(result) == [[50, 40, 130, 60]]


def test_pieces_of_different_classes_stay_apart():
    left, right = in_tile_a(50, 40, 100, 60, label=0), in_tile_b(80, 40, 130, 60, score=0.8, label=1)
    assert merged(a=left, b=right).classes.tolist() == [0, 1]


def test_pieces_that_share_little_of_their_seam_stay_two_defects():
    """10 % of the shorter piece; with a seam share of 0, all that touch would be one."""
    result = merged(a=in_tile_a(50, 20, 100, 60), b=in_tile_b(80, 56, 130, 96))
    assert boxes_of(result) == [[50, 20, 100, 60], [80, 56, 130, 96]]


def test_pieces_that_share_enough_of_their_seam_are_one_defect():
    result = merged(a=in_tile_a(50, 20, 100, 60), b=in_tile_b(80, 52, 130, 92))
    assert boxes_of(result) == [[50, 20, 130, 92]]


def test_noise_at_a_seam_does_not_stretch_a_sure_box():
    result = merged(a=in_tile_a(50, 40, 100, 60), b=in_tile_b(80, 40, 170, 60, score=0.02))
    assert boxes_of(result)[0] == [50, 40, 100, 60]


def test_a_visible_part_joins_its_larger_box_and_the_better_score_stays():
    part, larger = in_tile_a(85, 40, 100, 60, score=0.95), in_tile_b(85, 40, 130, 60, score=0.6)
    result = merged(a=part, b=larger)
    assert result.scores.tolist() == pytest.approx([0.95])
    assert boxes_of(result) == [[85, 40, 130, 60]]


def test_a_visible_part_joins_a_larger_box_of_the_whole_picture():
    result = merged(whole=in_whole_picture(60, 30, 150, 80), a=in_tile_a(60, 30, 100, 80))
    assert boxes_of(result) == [[60, 30, 150, 80]]


def test_a_piece_that_roughly_fits_the_visible_part_joins_the_larger_box():
    result = merged(whole=in_whole_picture(82, 40, 150, 62), a=in_tile_a(84, 42, 100, 60))
    assert boxes_of(result) == [[82, 40, 150, 62]]


def test_a_coarse_box_of_the_whole_picture_does_not_widen_the_pieces_that_fill_it():
    pieces = {"a": in_tile_a(62, 40, 100, 60), "b": in_tile_b(80, 40, 130, 60)}
    result = merged(whole=in_whole_picture(60, 38, 132, 62), **pieces)
    assert boxes_of(result) == [[62, 40, 130, 60]]


def test_a_piece_that_fills_half_of_the_visible_part_is_another_defect():
    result = merged(a=in_tile_a(84, 30, 100, 75), b=in_tile_b(82, 10, 170, 95, score=0.8))
    assert boxes_of(result) == [[84, 30, 100, 75], [82, 10, 170, 95]]


def test_boxes_of_two_tiles_that_overlap_little_are_two_defects():
    result = merged(a=in_tile_a(60, 20, 95, 60), b=in_tile_b(85, 20, 130, 60, score=0.8))
    assert boxes_of(result) == [[60, 20, 95, 60], [85, 20, 130, 60]]


def test_a_tiles_box_replaces_the_coarser_one_of_the_whole_picture_and_the_better_score_stays():
    result = merged(whole=in_whole_picture(38, 28, 72, 62, score=0.9), a=in_tile_a(40, 30, 70, 60, score=0.6))
    assert boxes_of(result) == [[40, 30, 70, 60]]
    assert result.scores.tolist() == pytest.approx([0.9])


def test_weak_and_strong_pieces_of_one_defect_count_once():
    """The weak pieces are joined with each other, and so are the strong ones."""
    a, b = [0.5, 0.4, 1.0, 0.6], [0.0, 0.4, 0.5, 0.6]
    result = merged(a=detections(a, a, score=[0.9, 0.3]), b=detections(b, b, score=[0.9, 0.3]))
    assert boxes_of(result) == [[50, 40, 130, 60]]
    assert result.scores.tolist() == pytest.approx([0.9])


def test_a_defect_that_two_tiles_show_whole_counts_once():
    result = merged(a=in_tile_a(84, 40, 95, 60, score=0.9), b=in_tile_b(84, 40, 96, 60, score=0.7))
    assert boxes_of(result) == [[84, 40, 95, 60]]
    assert result.scores.tolist() == pytest.approx([0.9])


def test_boxes_of_one_tile_are_not_compared_again():
    close = detections([0.1, 0.1, 0.5, 0.5], [0.15, 0.1, 0.55, 0.5])
    assert len(merged(a=close).scores) == 2
