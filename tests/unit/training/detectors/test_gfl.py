"""GFL teaches each point by how well the model already detects the object there."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from training.detectors.base import Target  # noqa: E402
from training.detectors.registry import build  # noqa: E402

SIZE = 64
OBJECT = 32.0  # side of the object in the upper left corner, in pixels
CLASS = 1
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    return build("gfl_efficientnet_lite0", 2, SIZE)


def assigned(detector, scores, overlaps):
    """The scores to learn at the first points, if the model gives these scores and boxes of these IoUs now."""
    points = len(detector.get_buffer("points"))
    now_scores, now_boxes = torch.zeros(points, 2), torch.zeros(points, 4)
    for point, (score, overlap) in enumerate(zip(scores, overlaps, strict=True)):
        now_scores[point, CLASS] = score
        now_boxes[point] = torch.tensor([0, 0, OBJECT, OBJECT * overlap])
    target = Target(torch.tensor([[0, 0, OBJECT, OBJECT]]) / SIZE, torch.tensor([CLASS]))
    to_learn, boxes = detector._assign(now_scores, now_boxes, target)
    assert boxes[0].tolist() == [0, 0, OBJECT, OBJECT]
    assert to_learn[:, 1 - CLASS].sum() == 0
    return to_learn[: len(scores), CLASS].tolist()


def test_the_score_to_learn_falls_with_the_sixth_power_of_the_overlap(detector):
    best, half = assigned(detector, scores=(0.5, 0.5), overlaps=(0.8, 0.4))
    assert best == pytest.approx(0.8)
    assert half == pytest.approx(0.8 * 0.5**6, rel=1e-3)


def test_the_score_to_learn_falls_with_the_first_power_of_the_score(detector):
    best, half = assigned(detector, scores=(0.5, 0.25), overlaps=(0.8, 0.8))
    assert best == pytest.approx(0.8)
    assert half == pytest.approx(0.8 * 0.5, rel=1e-3)


def test_only_points_inside_an_object_learn_it(detector):
    centres = detector.get_buffer("points")[:, :2]
    target = Target(torch.tensor([[0, 0, OBJECT, OBJECT]]) / SIZE, torch.tensor([CLASS]))
    scores = torch.full((len(centres), 2), 0.5)
    boxes = torch.tensor([0, 0, OBJECT, OBJECT]).repeat(len(centres), 1)
    to_learn, _ = detector._assign(scores, boxes, target)
    outside = (centres > OBJECT).any(1)
    assert to_learn[outside].sum() == 0
    assert (to_learn.sum(1) > 0).sum() == 13


def test_an_object_between_all_points_still_has_one_to_learn_it(detector):
    target = Target(torch.tensor([[7.0, 7.0, 9.0, 9.0]]) / SIZE, torch.tensor([CLASS]))
    points = len(detector.get_buffer("points"))
    boxes = torch.tensor([7.0, 7.0, 9.0, 9.0]).repeat(points, 1)
    to_learn, _ = detector._assign(torch.full((points, 2), 0.5), boxes, target)
    assert (to_learn.sum(1) > 0).sum() == 1
