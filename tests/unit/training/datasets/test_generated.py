"""Generated images depend on their seed alone, and their boxes fit what is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.datasets.generated.samples import write
from training.datasets.generated.synthetic import KINDS, draw, generate


def test_synthetic_images_depend_on_seed_and_index_only(tmp_path):
    few, many = (
        generate(tmp_path / "few", 3, seed=4, size=96),
        generate(tmp_path / "many", 5, seed=4, size=96),
    )
    for index in range(3):
        name = f"images/4-{index:05d}.jpg"
        assert (few.parent / name).read_bytes() == (many.parent / name).read_bytes()
    assert draw(5, 0, 96)[0].tobytes() != draw(4, 0, 96)[0].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_synthetic_defect_has_a_box_inside_the_picture_and_is_visible(kind):
    for index in range(5):
        picture, defects = draw(6, index, 120, kind)
        assert kind in {defect.label for defect in defects}
        for defect in defects:
            x1, y1, x2, y2 = defect.box
            assert 0 <= x1 < x2 <= 120
            assert 0 <= y1 < y2 <= 120
        assert picture.size == (120, 120)
        assert np.asarray(picture).std() > 2


def test_clean_synthetic_steel_has_no_boxes():
    assert draw(6, 0, kind="clean")[1] == []


def test_the_committed_samples_are_what_the_generator_writes(tmp_path):
    committed = Path(__file__).parents[4] / "samples"
    written = {path.relative_to(tmp_path) for path in write(tmp_path)}
    assert written == {path.relative_to(committed) for path in committed.rglob("*.jpg")}
    unreadable = Path("line-1/top/SN1012.jpg")
    for path in written - {unreadable}:
        old, new = (np.asarray(Image.open(root / path), np.int16) for root in (committed, tmp_path))
        # Other versions of numpy and libjpeg round differently.
        assert np.abs(old - new).max() <= 2
