"""Augmentation changes how a product looks, and its boxes stay on their objects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torchvision import tv_tensors  # noqa: E402
from torchvision.ops import box_iou  # noqa: E402

from training.detectors import Target  # noqa: E402
from training.learning.augmentation import Augmentation, Example, _Crop, mosaic  # noqa: E402

SIZE = 64
VALUES = (60, 110, 160, 210)  # the shades of the objects of four images, on black


def example(number: int, x: int, y: int, side: int) -> Example:
    image = torch.zeros(SIZE, SIZE, 3, dtype=torch.uint8)
    image[y : y + side, x : x + side] = VALUES[number]
    box = torch.tensor([[x, y, x + side, y + side]], dtype=torch.float32) / SIZE
    return image, Target(box, torch.tensor([number]))


squares = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(8, 24))
four_examples = st.tuples(squares, squares, squares, squares).map(
    lambda four: [example(number, *square) for number, square in enumerate(four)]
)


@given(four=four_examples, seed=st.integers(0, 2**32 - 1))
def test_every_box_of_a_mosaic_is_around_its_own_object(four: list[Example], seed: int) -> None:
    torch.manual_seed(seed)
    image, target = mosaic(four)
    assert image.shape == (SIZE, SIZE, 3)
    assert image.dtype == torch.uint8
    assert ((target.boxes >= 0) & (target.boxes <= 1)).all()
    for box, number in zip(target.boxes * SIZE, target.classes, strict=True):
        x, y = (float((box[i] + box[i + 2]) / 2) for i in (0, 1))
        assert image[int(y), int(x)].tolist() == [VALUES[number]] * 3


@given(four=four_examples, seed=st.integers(0, 2**32 - 1))
def test_an_object_that_is_mostly_outside_a_mosaic_is_not_labelled(four: list[Example], seed: int) -> None:
    torch.manual_seed(seed)
    _image, target = mosaic(four)
    for box, number in zip(target.boxes * SIZE, target.classes, strict=True):
        side = float((four[number][1].boxes[0, 2] - four[number][1].boxes[0, 0]) * SIZE)
        visible = float((box[2] - box[0]) * (box[3] - box[1]))
        assert visible >= 0.4 * (side / 1.5) ** 2 - 1e-3  # a window is at most 1.5 images wide


@pytest.mark.parametrize("count", [1, 4])
def test_a_changed_image_keeps_its_shape_and_the_boxes_around_their_objects(count: int) -> None:
    augment = Augmentation(SIZE)
    boxes = 0
    for seed in range(40):
        torch.manual_seed(seed)
        image, target = augment([example(number, 16, 20, 24) for number in range(count)])
        assert image.shape == (SIZE, SIZE, 3)
        assert image.dtype == torch.uint8
        assert ((target.boxes >= 0) & (target.boxes <= 1)).all()
        for box in target.boxes * SIZE:
            x, y = (float((box[i] + box[i + 2]) / 2) for i in (0, 1))
            assert image[int(y), int(x)].min() > 20  # not the black background
            boxes += 1
    assert boxes > 30


def cut(boxes: list[list[int]]) -> dict[str, Any]:
    """Return where a crop of a picture of 100 x 100 is."""
    given = tv_tensors.BoundingBoxes(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), format="XYXY", canvas_size=(100, 100)
    )
    return _Crop(0.3, sampler_options=[0.1, 0.7, 1.0]).make_params([given])


def test_a_crop_shows_an_object_well_enough_and_keeps_those_whose_middle_it_shows() -> None:
    boxes = [[5, 10, 85, 75], [30, 40, 95, 99], [0, 0, 9, 9]]
    wanted = torch.tensor(boxes, dtype=torch.float32)
    crops = 0
    for seed in range(60):
        torch.manual_seed(seed)
        if not (found := cut(boxes)):
            continue
        crops += 1
        left, top, width, height = (found[name] for name in ("left", "top", "width", "height"))
        assert 0 <= left <= 100 - width
        assert 0 <= top <= 100 - height
        assert min(width, height) >= 30
        assert 0.5 <= width / height <= 2
        middles = [((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in boxes]
        shown = [left < x < left + width and top < y < top + height for x, y in middles]
        assert found["is_within_crop_area"].tolist() == shown
        place = torch.tensor([[left, top, left + width, top + height]], dtype=torch.float32)
        assert box_iou(place, wanted)[0][found["is_within_crop_area"]].max() >= 0.1
    assert 20 < crops < 60


def test_a_picture_whose_objects_fill_too_little_of_any_crop_is_left_as_it_is() -> None:
    torch.manual_seed(0)
    for _ in range(10):
        assert cut([]) == cut([[10, 10, 19, 19]]) == {}


def test_the_same_seed_gives_the_same_image() -> None:
    augment, results = Augmentation(SIZE), []
    for _ in range(2):
        torch.manual_seed(7)
        results.append(augment([example(number, 16, 20, 24) for number in range(4)]))
    (first, first_target), (second, second_target) = results
    assert torch.equal(first, second)
    assert torch.equal(first_target.boxes, second_target.boxes)
    assert torch.equal(first_target.classes, second_target.classes)
