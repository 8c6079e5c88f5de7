"""The parity check compares an export with its model, however much the model has learned."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from onnx import numpy_helper  # noqa: E402

from tests.unit.training.learning.learning_support import images as random_images  # noqa: E402
from training.datasets.generated.synthetic import draw  # noqa: E402
from training.detectors.registry import build  # noqa: E402
from training.learning.export import ParityError, check_parity, export  # noqa: E402
from training.learning.weights import load_pretrained  # noqa: E402
from training.model.artefact import ModelCard, file_sha256, pack  # noqa: E402
from training.model.onnx_model import OnnxModel  # noqa: E402

torch.set_num_threads(1)
SIZE = 128


def export_and_load(detector, folder):
    path = export(detector, folder)
    ModelCard(
        name="m",
        family=detector.family,
        labels=("a", "b"),
        input_size=detector.input_size,
        normalisation=detector.normalisation,
        postprocess=detector.postprocess,
        onnx_sha256=file_sha256(path),
    ).write(folder)
    return OnnxModel(folder, threads=1)


@pytest.fixture(scope="module")
def fresh():
    """A model that has learned nothing: its scores are below any threshold."""
    torch.manual_seed(0)
    detector = build("fcos_efficientnet_lite0", 2, SIZE).eval()
    with torch.no_grad():
        detector.head.classification_head.cls_logits.bias.fill_(-8)
    return detector


@pytest.fixture(scope="module")
def exported(fresh, tmp_path_factory):
    return export_and_load(fresh, tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="module")
def images():
    return [np.asarray(draw(8, i)[0].resize((SIZE, SIZE)).convert("RGB")) for i in range(3)]


def test_a_model_without_detections_is_compared_by_its_best_candidates(fresh, exported, images):
    assert all(len(result.scores) == 0 for result in exported.detect(images))
    assert check_parity(fresh, exported, images) < 1e-4
    altered = copy.deepcopy(fresh)
    with torch.no_grad():
        altered.head.regression_head.bbox_reg.bias.add_(3)
    with pytest.raises(ParityError, match="differ"):
        check_parity(altered, exported, images)


def test_outputs_that_are_not_numbers_are_not_compared(fresh, exported, images, monkeypatch):
    broken = copy.deepcopy(fresh)
    with torch.no_grad():
        broken.head.classification_head.cls_logits.bias.fill_(float("nan"))
    raw = exported.raw
    monkeypatch.setattr(exported, "raw", lambda pixels: (raw(pixels)[0], raw(pixels)[1] * np.float32("nan")))
    with pytest.raises(ParityError, match="nothing to compare"):
        check_parity(broken, exported, images)


def test_a_comparison_needs_an_image(fresh, exported):
    with pytest.raises(ParityError, match="nothing to compare"):
        check_parity(fresh, exported, [])


def test_the_file_contains_every_weight_under_its_own_name(tmp_path):
    torch.manual_seed(0)
    detector = build("dfine_nano", 2, 64)
    path = export(detector, tmp_path)
    onnx.checker.check_model(str(path))
    weights = {
        weight.name: numpy_helper.to_array(weight) for weight in onnx.load(str(path)).graph.initializer
    }
    for name, value in detector.state_dict().items():
        assert np.array_equal(weights[name], value.numpy()), name


def test_a_graph_for_one_image_returns_a_batch_in_its_order(tmp_path, images):
    torch.manual_seed(0)
    detector = build("faster_rcnn_mobilenet", 2, SIZE)
    model = export_and_load(detector, tmp_path)
    postprocess = replace(detector.postprocess, score_threshold=0.0)
    results = model.detect(images[::-1], postprocess)
    assert len(results) == 3
    for image, together in zip(images[::-1], results, strict=True):
        (alone,) = model.detect([image], postprocess)
        assert np.array_equal(alone.scores, together.scores)
        assert np.array_equal(alone.boxes, together.boxes)


def test_a_graph_that_was_traced_where_nothing_was_proposed_detects_in_other_pictures(tmp_path, images):
    """The exporter's blank picture has no proposal if the model has learned a little, and not more."""
    torch.manual_seed(0)
    detector = build("faster_rcnn_mobilenet", 2, SIZE)
    silent = copy.deepcopy(detector)
    with torch.no_grad():
        silent.rpn.head.cls_logits.bias.fill_(-20)
    model = export_and_load(silent, tmp_path)
    assert [outputs.shape for outputs in model.raw(images[0][None])] == [(1, 0, 4), (1, 0, 2)]
    path = tmp_path / "model.onnx"
    graph = onnx.load(str(path))
    (bias,) = (weight for weight in graph.graph.initializer if weight.name == "rpn.head.cls_logits.bias")
    bias.CopyFrom(numpy_helper.from_array(detector.rpn.head.cls_logits.bias.detach().numpy(), bias.name))
    onnx.save(graph, str(path))
    replace(model.card, onnx_sha256=file_sha256(path)).write(tmp_path)
    assert check_parity(detector, OnnxModel(tmp_path, threads=1), images) < 1e-3


def test_a_model_that_rates_all_places_the_same_is_exported(tmp_path):
    """A model that learned little from few images may do so; which of the equal places it chooses is chance."""
    torch.manual_seed(0)
    detector = build("dfine_nano", 2, 2 * SIZE).eval()  # four times as many places as queries
    images = [np.asarray(draw(8, i)[0].resize((2 * SIZE, 2 * SIZE)).convert("RGB")) for i in range(3)]
    with torch.no_grad():
        detector.network.model.enc_score_head.weight.mul_(1e-6)  # differences are lost in rounding
        detector.network.model.enc_score_head.bias.fill_(-4)
        for head in detector.network.model.decoder.class_embed:
            head.weight.zero_()
            head.bias.fill_(-4)
    model = export_and_load(detector, tmp_path)
    assert check_parity(detector, model, images) < 1e-3
    altered = copy.deepcopy(detector)
    with torch.no_grad():
        for head in altered.network.model.decoder.class_embed:
            head.bias.fill_(-3)
    with pytest.raises(ParityError, match="differ"):
        check_parity(altered, model, images)


def test_an_export_that_differs_is_refused(tmp_path, starter_folder):
    twin = build("ssdlite", 6, 256)
    load_pretrained(twin, pack(starter_folder, tmp_path / "model.tar.gz"))
    images = [np.asarray(draw(8, i, kind="patches")[0].resize((256, 256)).convert("RGB")) for i in range(4)]
    assert check_parity(twin, OnnxModel(starter_folder), images) < 0.001
    with torch.no_grad():
        for parameter in twin.head.classification_head.parameters():
            parameter.mul_(0.8)
    with pytest.raises(ParityError, match="differ"):
        check_parity(twin, OnnxModel(starter_folder), images)


def test_the_exported_graph_takes_any_batch_and_equals_torch(tmp_path):
    torch.manual_seed(0)
    detector = build("ssdlite", 2, SIZE)
    exported = export_and_load(detector, tmp_path)
    for count in (1, 3):
        noise = random_images(count)
        boxes, scores = exported.raw(noise.numpy())
        with torch.no_grad():
            expected = detector(noise)
        assert np.allclose(boxes, expected[0].numpy(), atol=1e-4)
        assert np.allclose(scores, expected[1].numpy(), atol=1e-4)
