"""Every family keeps the promises of `Detector`; a new module in training/detectors is tried by being there."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.detectors.base import Detector, Target, UnsupportedInputSizeError  # noqa: E402
from training.detectors.registry import build, families, recipe  # noqa: E402
from training.learning.export import check_parity, export  # noqa: E402
from training.learning.weights import start_from  # noqa: E402
from training.model.artefact import ModelCard, file_sha256  # noqa: E402
from training.model.decoding import detections  # noqa: E402
from training.model.onnx_model import OnnxModel  # noqa: E402

CLASSES = 3
LABELS = ("a", "b", "c")
STEPS_AT_MOST = 25
HEAVY = {"faster_rcnn_resnet50", "ssd300_vgg16"}
torch.set_num_threads(1)

every_family = pytest.mark.parametrize(
    "family",
    [pytest.param(each, marks=pytest.mark.slow) if each in HEAVY else each for each in families()],
    scope="module",
)


@functools.cache
def smallest(family: str) -> int:
    """The smallest input, in steps of 32, that the family takes."""
    for size in range(32, recipe(family).input_size + 1, 32):
        try:
            build(family, 1, size)
        except UnsupportedInputSizeError:
            continue
        return size
    raise AssertionError(f"{family} takes no multiple of 32")


@functools.lru_cache(maxsize=3)
def _built(family: str, classes: int) -> Detector:
    torch.manual_seed(0)
    return build(family, classes, smallest(family))


def made(family: str, classes: int = CLASSES) -> Detector:
    detector = copy.deepcopy(_built(family, classes))
    torch.manual_seed(0)
    return detector


def pictures(detector: Detector, count: int = 2) -> torch.Tensor:
    """Two bright bars on noise, each image its own."""
    rng = np.random.default_rng(0)
    size = detector.input_size
    pixels = rng.integers(60, 120, (count, size, size, 3), dtype=np.uint8)
    for index in range(count):
        pixels[index, size // 4 : size // 2, size // 8 * (index + 1) :] = 220
        pixels[index, 3 * size // 4 :, : size // 2] = 10
    return torch.from_numpy(pixels)


def target(*objects: tuple[float, float, float, float, int]) -> Target:
    values = torch.tensor(objects, dtype=torch.float32).reshape(-1, 5)
    return Target(values[:, :4], values[:, 4].long())


def objects(classes: int = CLASSES) -> list[Target]:
    dark, bright = classes - 1, 0
    return [
        target((0.125, 0.25, 1, 0.5, bright), (0, 0.75, 0.5, 1, dark)),
        target((0.25, 0.25, 1, 0.5, bright), (0, 0.75, 0.5, 1, dark)),
    ]


def reached(detector: Detector) -> tuple[bool, bool]:
    """Whether gradients came to the backbone, and to what lies beyond it."""
    inside = outside = False
    for name, parameter in detector.named_parameters():
        if parameter.grad is not None and parameter.grad.abs().sum() > 0:
            assert torch.isfinite(parameter.grad).all(), name
            inside |= name.startswith(detector.backbone_prefix)
            outside |= not name.startswith(detector.backbone_prefix)
    return inside, outside


@dataclass
class Learned:
    detector: Detector
    losses: list[float]
    folder: Path

    @functools.cached_property
    def exported(self) -> OnnxModel:
        path = export(self.detector, self.folder)
        card = ModelCard(
            name="m",
            family=self.detector.family,
            labels=LABELS,
            input_size=self.detector.input_size,
            normalisation=self.detector.normalisation,
            postprocess=self.detector.postprocess,
            onnx_sha256=file_sha256(path),
        )
        card.write(self.folder)
        return OnnxModel(self.folder, threads=1)

    @property
    def images(self) -> list[np.ndarray]:
        return list(pictures(self.detector, 3).numpy())


def fell(losses: list[float]) -> bool:
    """Whether the last three are clearly below the first three."""
    return len(losses) >= 6 and sum(losses[-3:]) < 0.96 * sum(losses[:3])


@pytest.fixture(scope="module")
def learned(family, tmp_path_factory) -> Learned:
    """The family after a few steps on two images, sure enough of something that there are detections."""
    detector = made(family).train()
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.5  # the statistics for inference settle within the few steps
    optimiser = torch.optim.AdamW(detector.parameters(), 2 * recipe(family).learning_rate)
    losses: list[float] = []
    while len(losses) < STEPS_AT_MOST and not fell(losses):
        loss = sum(detector.losses(pictures(detector), objects()).values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 10)
        optimiser.step()
        losses.append(float(loss.detach()))
    _make_sure(detector.eval())
    return Learned(detector, losses, tmp_path_factory.mktemp(family))


def _make_sure(detector: Detector) -> None:
    """Raises the best scores through the biases alone, so that a model of a few steps has detections."""
    biases = [value for name, value in detector.named_parameters() if name.endswith("bias")]
    optimiser = torch.optim.Adam(biases, 0.05)
    for _ in range(40):
        _, scores = detector(pictures(detector, 1))
        if (scores > 0.15).sum() >= 5:
            return
        optimiser.zero_grad()
        (-scores.flatten().sort(descending=True).values[:20].log().mean()).backward()
        optimiser.step()
    raise AssertionError(f"{detector.family} finds nothing, so its export would be compared by nothing")


@every_family
def test_a_family_says_what_it_is(family):
    detector = made(family)
    assert detector.family == family
    assert detector.input_size == smallest(family)
    assert sum(name.startswith(detector.backbone_prefix) for name in detector.state_dict()) > 20
    places = [value.data_ptr() for value in detector.state_dict().values() if value.numel()]
    assert len(places) == len(set(places)), "two names of one tensor: its average would move twice as fast"


@every_family
def test_the_graph_gives_boxes_and_scores_of_every_class(learned):
    detector = learned.detector
    with torch.no_grad():
        boxes, scores = detector(pictures(detector))
    assert boxes.shape == (2, boxes.shape[1], 4)
    assert scores.shape == (2, boxes.shape[1], CLASSES)
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert (boxes[..., 2:] >= boxes[..., :2]).all()


@every_family
def test_the_loss_falls_on_images_seen_again_and_again(learned):
    assert np.isfinite(learned.losses).all()
    assert fell(learned.losses), learned.losses


@every_family
@pytest.mark.parametrize("classes", [1, CLASSES])
def test_images_without_objects_teach_the_whole_network(family, classes):
    detector = made(family, classes).train()
    nothing = [target(), target()]
    losses = detector.losses(pictures(detector), nothing)
    assert all(torch.isfinite(value) for value in losses.values())
    total = sum(losses.values())
    total.backward()
    assert reached(detector) == (True, True)
    if classes == 1:
        detector.zero_grad()
        mixed = sum(detector.losses(pictures(detector), [objects(1)[0], target()]).values())
        mixed.backward()
        assert torch.isfinite(mixed)
        assert reached(detector) == (True, True)


@every_family
def test_clean_images_lower_the_scores(learned, family):
    detector = copy.deepcopy(learned.detector)
    images = pictures(detector)
    before = best(detector, images)
    optimiser = torch.optim.AdamW(detector.parameters(), recipe(family).learning_rate)
    for _ in range(4):
        optimiser.zero_grad()
        sum(detector.train().losses(images, [target(), target()]).values()).backward()
        optimiser.step()
    assert best(detector, images) < before


def best(detector: Detector, images: torch.Tensor) -> float:
    """The mean of the ten best scores, by the batch's own statistics: those for inference settle slowly."""
    detector.eval()
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train()
    with torch.no_grad():
        return (
            float(copy.deepcopy(detector)(images)[1].flatten().sort(descending=True).values[:10].sum()) / 10
        )


@every_family
def test_the_export_finds_what_the_model_finds(learned):
    strong = [each for each in learned.exported.detect(learned.images) if (each.scores >= 0.1).any()]
    assert strong, "nothing was compared"
    assert check_parity(learned.detector, learned.exported, learned.images) < 1e-3


@every_family
def test_many_images_at_a_time_are_found_like_single_ones(learned):
    many = learned.exported.detect(learned.images)
    assert len(many) == 3
    for image, together in zip(learned.images, many, strict=True):
        (alone,) = learned.exported.detect([image])
        assert np.allclose(alone.scores, together.scores, atol=1e-4)
        assert np.allclose(alone.boxes, together.boxes, atol=1e-3)
    with torch.no_grad():
        boxes, scores = learned.detector(pictures(learned.detector, 3))
        first = learned.detector(pictures(learned.detector, 3)[:1])
    how = learned.detector.postprocess
    a, b = (
        detections(boxes[0].numpy(), scores[0].numpy(), how),
        detections(*(x[0].numpy() for x in first), how),
    )
    assert np.allclose(a.scores, b.scores, atol=1e-4)


@every_family
def test_an_export_starts_the_next_training(learned, family):
    assert learned.exported
    source = learned.folder / "model.onnx"
    again = made(family)
    report = start_from(again, source)
    assert report["loaded"] == report["of"]
    assert report["not_loaded"] == report["not_used"] == {}
    for name, value in learned.detector.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, again.state_dict()[name]), name

    other = made(family, 1)
    report = start_from(other, source)
    assert report["backbone"]["loaded"] == report["backbone"]["of"]
    assert report["not_loaded"]
    for module in report["not_loaded"].values():
        assert module["missing"] == []
    with torch.no_grad():
        assert other.eval()(pictures(other, 1))[1].shape[-1] == 1


@every_family
def test_half_precision_changes_little(family):
    detector = made(family).train()
    values = []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses = detector.losses(pictures(detector), objects())
        values.append(float(sum(losses.values()).detach()))
    assert values[1] == pytest.approx(values[0], rel=0.1)


@every_family
@pytest.mark.parametrize("size", [0, 16, 5000])
def test_an_input_size_out_of_range_is_named_with_the_range(family, size):
    with pytest.raises(
        UnsupportedInputSizeError, match=rf"{family} takes an input_size from \d+ to .* not {size}"
    ):
        build(family, 1, size)


@pytest.mark.parametrize("family", ["dfine_nano", "rtdetr_v2"])
def test_a_transformer_takes_steps_of_its_coarsest_stride(family):
    with pytest.raises(UnsupportedInputSizeError, match="in steps of 32, not 200"):
        build(family, 1, 200)


@pytest.mark.parametrize(
    ("family", "size"),
    [("ssdlite", 150), ("ssd300_vgg16", 233), ("ssd512_resnet50", 161), ("fcos_efficientnet_lite0", 233)],
)
def test_a_convolutional_family_takes_odd_sizes(family, size):
    detector = build(family, 2, size).eval()
    with torch.no_grad():
        boxes, scores = detector(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    assert boxes.shape[1] == scores.shape[1] > 100


def test_boxes_that_are_not_numbers_are_told_as_a_loss_that_is_none():
    detector = made("dfine_nano").train()
    with torch.no_grad():
        detector.network.model.enc_bbox_head.layers[0].weight.fill_(float("nan"))
    losses = detector.losses(pictures(detector), objects())
    assert torch.isnan(sum(losses.values()))
