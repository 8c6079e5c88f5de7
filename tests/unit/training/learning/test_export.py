"""The parity check compares an export with its model, however much the model has learned."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from onnx import numpy_helper  # noqa: E402

from tests.unit.training.conftest import STARTER  # noqa: E402
from tests.unit.training.learning.learning_support import images as random_images  # noqa: E402
from training.datasets.generated.synthetic import draw  # noqa: E402
from training.detectors.registry import build  # noqa: E402
from training.learning.export import ParityError, check_parity, export  # noqa: E402
from training.learning.weights import load_pretrained  # noqa: E402
from training.model.artefact import ModelCard, file_sha256  # noqa: E402
from training.model.onnx_model import OnnxModel  # noqa: E402

torch.set_num_threads(1)
SIZE = 64


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


@pytest.fixture(scope="module")
def indifferent(tmp_path_factory):
    """A transformer that rates all places the same, and its export."""
    torch.manual_seed(0)
    detector = build("dfine_nano", 2, SIZE).eval()
    detector.network.config.num_queries = 5  # a quarter of the places
    with torch.no_grad():
        detector.network.model.enc_score_head.weight.mul_(1e-6)  # differences are lost in rounding
        detector.network.model.enc_score_head.bias.fill_(-4)
        for head in detector.network.model.decoder.class_embed:
            head.weight.zero_()
            head.bias.fill_(-4)
    folder = tmp_path_factory.mktemp("indifferent")
    return detector, export_and_load(detector, folder), folder / "model.onnx"


def test_the_file_contains_every_weight_under_its_own_name(indifferent):
    """The exporter leaves out weights that only training uses, and those that are equal to another."""
    detector, _, path = indifferent
    onnx.checker.check_model(str(path))
    weights = {
        weight.name: numpy_helper.to_array(weight) for weight in onnx.load(str(path)).graph.initializer
    }
    for name, value in detector.state_dict().items():
        assert np.array_equal(weights[name], value.numpy()), name


def test_a_model_that_rates_all_places_the_same_is_exported(indifferent, images):
    """A model that learned little from few images may do so; which of the equal places it chooses is chance."""
    detector, model, _ = indifferent
    assert check_parity(detector, model, images) < 1e-3
    altered = copy.deepcopy(detector)
    with torch.no_grad():
        for head in altered.network.model.decoder.class_embed:
            head.bias.fill_(-3)
    with pytest.raises(ParityError, match="differ"):
        check_parity(altered, model, images)


@pytest.fixture(scope="module")
def traced_blank(tmp_path_factory):
    """A two-stage detector, and the graph that the exporter gives where nothing is proposed, with its weights."""
    folder = tmp_path_factory.mktemp("blank")
    torch.manual_seed(0)
    detector = build("faster_rcnn_mobilenet", 2, SIZE).eval()
    bias = detector.rpn.head.cls_logits.bias
    proposing = bias.detach().clone()
    with torch.no_grad():
        bias.fill_(-20)
        silent = export_and_load(detector, folder)
        bias.copy_(proposing)
    blank = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    assert [outputs.shape for outputs in silent.raw(blank)] == [(1, 0, 4), (1, 0, 2)]
    path = folder / "model.onnx"
    graph = onnx.load(str(path))
    (weight,) = (weight for weight in graph.graph.initializer if weight.name == "rpn.head.cls_logits.bias")
    weight.CopyFrom(numpy_helper.from_array(proposing.numpy(), weight.name))
    onnx.save(graph, str(path))
    replace(silent.card, onnx_sha256=file_sha256(path)).write(folder)
    return detector, OnnxModel(folder, threads=1)


def test_a_graph_that_was_traced_where_nothing_was_proposed_detects_in_other_pictures(traced_blank, images):
    """The exporter's blank picture has no proposal if the model has learned a little, and not more."""
    detector, model = traced_blank
    assert check_parity(detector, model, images) < 1e-3


def test_an_export_that_differs_is_refused(starter):
    twin = build("ssdlite", 6, 256)
    load_pretrained(twin, STARTER)
    images = [np.asarray(draw(8, i, kind="patches")[0].resize((256, 256)).convert("RGB")) for i in range(4)]
    assert check_parity(twin, starter, images) < 0.001
    with torch.no_grad():
        for parameter in twin.head.classification_head.parameters():
            parameter.mul_(0.8)
    with pytest.raises(ParityError, match="differ"):
        check_parity(twin, starter, images)


def test_the_exported_graph_takes_any_batch_and_equals_torch(fresh, exported):
    for count in (1, 3):
        noise = random_images(count, SIZE)
        boxes, scores = exported.raw(noise.numpy())
        with torch.no_grad():
            expected = fresh(noise)
        assert np.allclose(boxes, expected[0].numpy(), atol=1e-4)
        assert np.allclose(scores, expected[1].numpy(), rtol=1e-3, atol=0)
