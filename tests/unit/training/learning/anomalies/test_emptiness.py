"""A picture of an empty place is no good product, though each of its places is known as background."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.anomalies import anomaly_artefact, bad_pictures, good_pictures
from training.job.container import Container
from training.learning.anomalies.emptiness import empty_pictures, tell_apart
from training.learning.anomalies.run import learn
from training.model.anomaly import AnomalyModel, Judgement
from training.model.artefact import unpack
from training.model.pixels import decode

_BELT = (205, 205, 200)
SIDE = 64


def on_a_belt(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Write pictures of a dark striped part on a bright belt."""
    chance = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        noise = chance.normal(0, 3, (96, 96, 3))
        picture = Image.new("RGB", (96, 96), _BELT)
        draw = ImageDraw.Draw(picture)
        left, top = 30 + int(chance.integers(-2, 3)), 30 + int(chance.integers(-2, 3))
        draw.rectangle((left, top, left + 36, top + 36), (60, 70, 110))
        for stripe in range(0, 36, 6):
            draw.line((left + stripe, top, left + stripe, top + 36), (150, 60, 40), 2)
        pixels = np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
        paths.append(folder / f"{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def learned(parts: Path, root: Path) -> AnomalyModel:
    settings = {"family": "patchcore_efficientnet_lite0", "input_size": str(SIDE), "memory": "200"}
    container = Container(root, {"train": parts}, settings)
    learn(container)
    return AnomalyModel(container.model)


def judge(model: AnomalyModel, pixels: np.ndarray) -> Judgement:
    return model.judge([pixels])[0]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> AnomalyModel:
    folder = tmp_path_factory.mktemp("belt")
    on_a_belt(folder / "parts/normal", 12)
    return learned(folder / "parts", folder / "job")


@pytest.mark.parametrize("colour", [_BELT, (255, 255, 255), (0, 0, 0), (210, 200, 190)])
def test_an_empty_belt_is_no_product(model: AnomalyModel, colour: tuple[int, int, int]) -> None:
    chance = np.random.default_rng(1)
    pixels = np.clip(np.array(colour) + chance.normal(0, 3, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    reason = judge(model, pixels).foreign
    assert reason is not None
    assert reason.startswith(("no product: ", "another product: "))


def test_a_product_on_the_belt_is_one(model: AnomalyModel, tmp_path: Path) -> None:
    for path in on_a_belt(tmp_path, 6, seed=5):
        assert judge(model, decode(path.read_bytes(), SIDE).pixels).foreign is None


def test_a_broken_product_is_one_too(model: AnomalyModel, tmp_path: Path) -> None:
    [path] = on_a_belt(tmp_path, 1, seed=6)
    pixels = decode(path.read_bytes(), SIDE).pixels.copy()
    pixels[33:40, 27:40] = (240, 240, 20)
    judgement = judge(model, pixels)
    assert judgement.foreign is None
    assert judgement.score > 0.5


def test_a_product_that_fills_the_picture_with_one_shade_is_never_empty(tmp_path: Path) -> None:
    unpack(anomaly_artefact(tmp_path), tmp_path / "unpacked")
    model = AnomalyModel(tmp_path / "unpacked")
    for path in (*good_pictures(tmp_path, 6, seed=3), *bad_pictures(tmp_path, 6, seed=3)):
        reason = judge(model, decode(path.read_bytes(), 96).pixels).foreign
        assert reason is None


def test_empty_pictures_that_a_good_picture_is_like_are_not_used() -> None:
    good = np.eye(4, dtype=np.float32)[:2]
    near, far = good[:1] * 1.1, np.full((1, 4), 50, np.float32)
    products, empty = tell_apart(good, np.concatenate([near, far]), seed=0)
    assert sorted(map(tuple, products.tolist())) == sorted(map(tuple, good.tolist()))
    assert empty.tolist() == far.tolist()


def test_bad_pictures_of_which_much_is_missing_do_not_hide_what_is_empty(tmp_path: Path) -> None:
    on_a_belt(tmp_path / "parts/normal", 12)
    bad = tmp_path / "parts/anomaly"
    bad.mkdir()
    for number in range(3):
        Image.new("RGB", (96, 96), _BELT).save(bad / f"{number}.png")
    model = learned(tmp_path / "parts", tmp_path / "job")
    reason = judge(model, np.full((SIDE, SIDE, 3), 204, np.uint8)).foreign
    assert reason is not None
    assert reason.startswith("no product: ")


def test_the_border_of_pictures_shows_what_is_behind_the_product() -> None:
    pixels = np.full((32, 32, 3), 7, np.uint8)
    pixels[8:24, 8:24] = 200
    shades = {int(picture.mean()) for picture in empty_pictures([pixels])}
    assert shades == {0, 7, 128, 255}
