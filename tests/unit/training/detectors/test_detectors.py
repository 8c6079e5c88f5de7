"""Every family fulfils the interface `Detector`; a new module in training/detectors/families is tested at once."""

from __future__ import annotations

import contextlib
import copy
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.detectors.architectures.faster_rcnn import TwoStageDetector  # noqa: E402
from training.detectors.base import Detector, Target, UnsupportedInputSizeError  # noqa: E402
from training.detectors.registry import build, families, recipe  # noqa: E402
from training.learning.export import check_parity, export  # noqa: E402
from training.learning.weights import load_pretrained  # noqa: E402
from training.model.artefact import ModelCard, file_sha256  # noqa: E402
from training.model.decoding import detections  # noqa: E402
from training.model.onnx_model import OnnxModel  # noqa: E402

CLASSES = 3
LABELS = ("a", "b", "c")
STEPS_AT_MOST = 25
# Times the learning rate of the recipe: the loss of a new transformer falls slowly.
HASTE = {"dfine_nano": 3}
# Each of them has a lighter family of the same architecture, which the fast tests try.
HEAVY = {
    *("faster_rcnn_resnet50", "ssd300_vgg16", "ssd512_resnet50"),
    *("rtdetr_v2", "dfine_small", "gfl_efficientnet_lite2"),
}
torch.set_num_threads(1)


def _each_family(heavy: pytest.MarkDecorator, heaviest: pytest.MarkDecorator) -> pytest.MarkDecorator:
    marks = dict.fromkeys(HEAVY, heavy) | {"faster_rcnn_resnet50": heaviest}
    names = [
        pytest.param(name, marks=marks[name]) if name in marks else name for name in families("detector")
    ]
    return pytest.mark.parametrize("family", names, scope="module")


every_family = _each_family(pytest.mark.slow, pytest.mark.slow)
# The heaviest one takes as long as the five others together.
every_family_trained = _each_family(pytest.mark.slow, pytest.mark.nightly)
# What the lighter family of the same architecture proves already.
every_family_nightly = _each_family(pytest.mark.nightly, pytest.mark.nightly)


@functools.lru_cache(maxsize=3)
def _smallest(family: str) -> Detector:
    """The family with the smallest input, in steps of 32, that it takes."""
    for size in range(32, recipe(family).input_size + 1, 32):
        torch.manual_seed(0)
        with contextlib.suppress(UnsupportedInputSizeError):
            detector = build(family, CLASSES, size)
            assert detector.input_size == size
            _make_steps_small(family, detector)
            return detector
    raise AssertionError(f"{family} takes no multiple of 32")


def _make_steps_small(family: str, detector: Detector) -> None:
    """Leaves out repetitions within one step: samples of proposals, and noisy copies of the objects."""
    if isinstance(detector, TwoStageDetector):
        detector.roi_heads.fg_bg_sampler.batch_size_per_image = 32
    elif family == "dfine_nano":
        detector.network.config.num_denoising = 10


@functools.lru_cache(maxsize=3)
def _built(family: str, classes: int = CLASSES) -> Detector:
    """A detector that tests share: none of them changes its weights."""
    if classes == CLASSES:
        return _smallest(family)
    torch.manual_seed(0)
    detector = build(family, classes, _smallest(family).input_size)
    _make_steps_small(family, detector)
    return detector


def new_detector(family: str, classes: int = CLASSES) -> Detector:
    """A detector of the test's own."""
    detector = copy.deepcopy(_built(family, classes))
    torch.manual_seed(0)
    return detector


def images_for(detector: Detector, count: int = 2) -> torch.Tensor:
    """A bright and a dark bar on noise, at another place in each image."""
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


def reached_by_gradients(detector: Detector) -> tuple[bool, bool]:
    """Whether the backbone has gradients, and whether the rest of the detector has."""
    backbone = rest = False
    for name, parameter in detector.named_parameters():
        if parameter.grad is not None and parameter.grad.abs().sum() > 0:
            assert torch.isfinite(parameter.grad).all(), name
            backbone |= name.startswith(detector.backbone_prefix)
            rest |= not name.startswith(detector.backbone_prefix)
    return backbone, rest


def new_optimiser(detector: Detector, haste: float = 1) -> torch.optim.AdamW:
    return torch.optim.AdamW(detector.parameters(), haste * recipe(detector.family).learning_rate, fused=True)


@dataclass
class Trained:
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
        return list(images_for(self.detector, 3).numpy())


def has_fallen(losses: list[float]) -> bool:
    """Whether the last three losses are clearly below the first three."""
    return len(losses) >= 6 and sum(losses[-3:]) < 0.96 * sum(losses[:3])


@pytest.fixture(scope="module")
def trained(family, tmp_path_factory) -> Trained:
    """The family after a few steps on two images, with scores that are high enough for detections."""
    detector = new_detector(family).train()
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.5  # the statistics for inference settle within the few steps
    optimiser = new_optimiser(detector, HASTE.get(family, 2))
    losses: list[float] = []
    while len(losses) < STEPS_AT_MOST and not has_fallen(losses):
        loss = sum(detector.losses(images_for(detector), objects()).values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 10)
        optimiser.step()
        losses.append(float(loss.detach()))
    _raise_scores(detector.eval())
    return Trained(detector, losses, tmp_path_factory.mktemp(family))


def _raise_scores(detector: Detector) -> None:
    """Raises the best scores through the biases alone, so that a model of a few steps has detections."""
    biases = [value for name, value in detector.named_parameters() if name.endswith("bias")]
    optimiser = torch.optim.Adam(biases, 0.05)
    for _ in range(40):
        _, scores = detector(images_for(detector, 1))
        if (scores > 0.15).sum() >= 5:
            return
        optimiser.zero_grad()
        (-scores.flatten().sort(descending=True).values[:20].log().mean()).backward()
        optimiser.step()
    raise AssertionError(
        f"{detector.family} detects nothing, so there would be nothing to compare its export with"
    )


@every_family
def test_a_family_describes_itself(family):
    detector = _built(family)
    assert detector.family == family
    assert sum(name.startswith(detector.backbone_prefix) for name in detector.state_dict()) > 20
    addresses = [value.data_ptr() for value in detector.state_dict().values() if value.numel()]
    assert len(addresses) == len(set(addresses)), "two names of one tensor: they could not be saved"


@every_family_trained
def test_the_graph_returns_boxes_and_scores_of_every_class(trained):
    detector = trained.detector
    with torch.no_grad():
        boxes, scores = detector(images_for(detector))
    assert boxes.shape == (2, boxes.shape[1], 4)
    assert scores.shape == (2, boxes.shape[1], CLASSES)
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert (boxes[..., 2:] >= boxes[..., :2]).all()


@every_family_trained
def test_the_loss_falls_on_repeated_images(trained):
    assert np.isfinite(trained.losses).all()
    assert has_fallen(trained.losses), trained.losses


@every_family_nightly
@pytest.mark.parametrize("classes", [1, pytest.param(CLASSES, marks=pytest.mark.nightly)])
def test_images_without_objects_train_the_whole_network(family, classes):
    detector = _built(family, classes).train()
    detector.zero_grad()
    torch.manual_seed(0)
    losses = detector.losses(images_for(detector), [target(), target()])
    assert all(torch.isfinite(value) for value in losses.values())
    total = sum(losses.values())
    total.backward()
    assert reached_by_gradients(detector) == (True, True)
    if classes == 1:
        detector.zero_grad()
        mixed = sum(detector.losses(images_for(detector), [objects(1)[0], target()]).values())
        mixed.backward()
        assert torch.isfinite(mixed)
        assert reached_by_gradients(detector) == (True, True)


@every_family_nightly
def test_images_without_objects_lower_the_scores(trained):
    detector = copy.deepcopy(trained.detector)
    images = images_for(detector)
    before = best_scores(detector, images)
    optimiser = new_optimiser(detector, 2)
    for _ in range(2):
        optimiser.zero_grad()
        sum(detector.train().losses(images, [target(), target()]).values()).backward()
        optimiser.step()
    assert best_scores(detector, images) < before


def best_scores(detector: Detector, images: torch.Tensor) -> float:
    """The mean of the ten best scores, with the batch's own statistics: those for inference settle slowly."""
    detector.eval()
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train()
    with torch.no_grad():
        scores = detector(images)[1]
    return float(scores.flatten().sort(descending=True).values[:10].sum()) / 10


@every_family_trained
def test_the_export_detects_what_the_model_detects(trained):
    strong = [result for result in trained.exported.detect(trained.images) if (result.scores >= 0.1).any()]
    assert strong, "nothing was compared"
    assert check_parity(trained.detector, trained.exported, trained.images) < 1e-3


@every_family_nightly
def test_a_batch_gives_the_detections_of_its_single_images(trained):
    many = trained.exported.detect(trained.images)
    assert len(many) == 3
    assert len({image.scores.tobytes() for image in many}) == 3, "their order could not be told"
    for image, together in zip(trained.images, many, strict=True):
        (alone,) = trained.exported.detect([image])
        assert np.allclose(alone.scores, together.scores, atol=1e-4)
        assert np.allclose(alone.boxes, together.boxes, atol=1e-3)
    with torch.no_grad():
        boxes, scores = trained.detector(images_for(trained.detector, 3))
        first = trained.detector(images_for(trained.detector, 3)[:1])
    postprocess = trained.detector.postprocess
    together = detections(boxes[0].numpy(), scores[0].numpy(), postprocess)
    alone = detections(*(output[0].numpy() for output in first), postprocess)
    assert np.allclose(alone.scores, together.scores, atol=1e-4)


@every_family_nightly
def test_an_export_starts_the_next_training(trained, family):
    assert trained.exported
    source = trained.folder / "model.onnx"
    again = new_detector(family)
    report = load_pretrained(again, source)
    assert report["loaded"] == report["of"]
    assert report["not_loaded"] == report["not_used"] == {}
    loaded = again.state_dict()
    for name, value in trained.detector.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, loaded[name]), name

    other = new_detector(family, 1)
    report = load_pretrained(other, source)
    assert report["backbone"]["loaded"] == report["backbone"]["of"]
    assert report["not_loaded"]
    for module in report["not_loaded"].values():
        assert module["missing"] == []
    with torch.no_grad():
        assert other.eval()(images_for(other, 1))[1].shape[-1] == 1


@every_family_nightly
def test_half_precision_changes_little(family):
    detector = _built(family).train()
    values = []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses = detector.losses(images_for(detector), objects())
        values.append(float(sum(losses.values()).detach()))
    assert values[1] == pytest.approx(values[0], rel=0.1)


@pytest.mark.parametrize("family", families("detector"))
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
    [
        ("ssdlite", 150),
        pytest.param("ssd300_vgg16", 233, marks=pytest.mark.slow),
        ("ssd512_resnet50", 161),
        ("fcos_efficientnet_lite0", 233),
    ],
)
def test_a_convolutional_family_takes_odd_sizes(family, size):
    detector = build(family, 2, size).eval()
    with torch.no_grad():
        boxes, scores = detector(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    assert boxes.shape[1] == scores.shape[1] > 100


def test_boxes_that_are_not_numbers_give_a_loss_that_is_not_a_number():
    detector = new_detector("dfine_nano").train()
    with torch.no_grad():
        detector.network.model.enc_bbox_head.layers[0].weight.fill_(float("nan"))
    losses = detector.losses(images_for(detector), objects())
    assert torch.isnan(sum(losses.values()))
