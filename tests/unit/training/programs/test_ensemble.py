"""An ensemble gives the mean of its members' results, and only models that can be averaged are joined."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, version_converter

torch = pytest.importorskip("torch")

from tests.unit.training.model.anomaly_models import detector_folder  # noqa: E402
from training.datasets import open_dataset  # noqa: E402
from training.datasets.generated.synthetic import generate  # noqa: E402
from training.detectors.registry import build  # noqa: E402
from training.ensemble import main  # noqa: E402
from training.learning import ensembling  # noqa: E402
from training.learning.ensembling import EnsembleError, check_alike, join, mean  # noqa: E402
from training.learning.export import ParityError, export  # noqa: E402
from training.learning.weights import load_pretrained  # noqa: E402
from training.model.artefact import MODEL, ModelCard, file_sha256, pack, read_card, unpack  # noqa: E402
from training.model.decoding import Postprocess  # noqa: E402
from training.model.onnx_model import OnnxModel  # noqa: E402
from training.train import main as train  # noqa: E402

LABELS, SIZE = ("scratch", "dent"), 96
torch.set_num_threads(1)


def a_card(family: str = "gfl_efficientnet_lite0", **fields: object) -> ModelCard:
    defaults = {
        "onnx_sha256": "0" * 64,
        "dataset": {"snapshot": "abc", "validation": 7},
        "metrics": {"training": {"seconds": 60.0}},
    }
    half = {"mean": [0.5] * 3, "std": [0.5] * 3}
    return ModelCard(family, family, LABELS, SIZE, half, Postprocess(nms_iou=0.6), **{**defaults, **fields})


def untrained(folder: Path, seed: int, family: str = "gfl_efficientnet_lite0", views: int = 1) -> Path:
    """Write the artefact of an untrained model to a folder."""
    torch.manual_seed(seed)
    detector = build(family, len(LABELS), SIZE).eval()
    for parameter in detector.head.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    detector.use_views(views)
    a_card(family, onnx_sha256=file_sha256(export(detector, folder))).write(folder)
    return folder


def of_another_seed(member: Path, folder: Path) -> Path:
    """Write a model to a folder that has the graph of another one, and disagrees with it everywhere."""
    model, rng = onnx.load(str(member / MODEL)), np.random.default_rng(5)
    for weight in model.graph.initializer:
        if weight.name.startswith("head."):
            values = numpy_helper.to_array(weight)
            factors = rng.uniform(0, 2, values.shape)
            weight.CopyFrom(numpy_helper.from_array((values * factors).astype(values.dtype), weight.name))
    shutil.copytree(member, folder, dirs_exist_ok=True)
    save(model, folder)
    return folder


def save(model: onnx.ModelProto, folder: Path) -> None:
    """Replace the graph of an artefact."""
    card = read_card(folder)
    onnx.save(model, str(folder / MODEL))
    replace(card, onnx_sha256=file_sha256(folder / MODEL)).write(folder)


@pytest.fixture(scope="module")
def starters(starter_folder, tmp_path_factory) -> list[Path]:
    """The starter model, as two seeds of the same training would have made it. Their results differ."""
    return [starter_folder, of_another_seed(starter_folder, tmp_path_factory.mktemp("seed1"))]


def disagreement(outputs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    return float(np.abs(outputs[0][1] - outputs[1][1]).max())


def test_an_ensembles_output_is_the_weighted_mean_of_its_members_outputs(tmp_path):
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    first = untrained(tmp_path / "one", 0, views=2)
    second = of_another_seed(first, tmp_path / "two")
    members = [first, second, untrained(tmp_path / "three", 2, "gfl_efficientnet_lite2")]
    card = join(members, tmp_path / "joint")
    pictures = np.random.default_rng(3).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    boxes, scores = OnnxModel(tmp_path / "joint").raw(pictures)
    outputs = [OnnxModel(member).raw(pictures) for member in members]
    np.testing.assert_allclose(scores, sum(member_scores for _, member_scores in outputs) / 3, atol=1e-5)
    best = [member_scores.max(-1, keepdims=True) for _, member_scores in outputs]
    by_hand = sum(b * w for (b, _), w in zip(outputs, best, strict=True)) / sum(best)
    np.testing.assert_allclose(boxes, by_hand, atol=1e-4)
    assert disagreement(outputs) > 0.1
    assert disagreement(outputs[1:]) > 0.1
    assert card.kind == "gfl_efficientnet_lite0, ensemble of 3"
    assert [member["family"] for member in card.members] == ["gfl_efficientnet_lite0"] * 2 + [
        "gfl_efficientnet_lite2"
    ]
    assert card.metrics["training"] == {
        "seconds": 180.0,
        "tuned": False,
        "device": None,
        "instance_type": None,
    }


def test_families_with_anchors_can_be_averaged_too(starters, joint):
    picture = np.random.default_rng(3).integers(0, 256, (1, 256, 256, 3), np.uint8)
    outputs = [OnnxModel(member).raw(picture) for member in starters]
    for got, expected in zip(OnnxModel(joint).raw(picture), mean(outputs), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-4)
    assert disagreement(outputs) > 0.01


@pytest.fixture(scope="module")
def joint(starters, tmp_path_factory) -> Path:
    """The ensemble of both."""
    folder = tmp_path_factory.mktemp("joint")
    join(starters, folder)
    return folder


def test_a_box_is_that_of_the_member_with_a_score_there():
    sure = np.array([[[0.1, 0.1, 0.3, 0.3]]], np.float32), np.array([[[0.9, 0.0]]], np.float32)
    blind = np.array([[[0.5, 0.5, 0.9, 0.9]]], np.float32), np.array([[[0.0, 0.0]]], np.float32)
    boxes, scores = mean([sure, blind])
    np.testing.assert_allclose(boxes, sure[0], atol=1e-6)
    np.testing.assert_allclose(scores, [[[0.45, 0.0]]], atol=1e-6)


def test_a_place_without_any_score_still_has_a_box():
    nothing = np.zeros((1, 1, 2), np.float32)
    boxes, _ = mean([(np.full((1, 1, 4), edge, np.float32), nothing) for edge in (0.2, 0.4)])
    np.testing.assert_allclose(boxes, np.full((1, 1, 4), 0.3), atol=1e-6)


def test_an_ensemble_is_a_warm_start_for_its_first_members_family(starters, joint):
    card = read_card(joint)
    fresh, first = (build(card.family, len(card.labels), card.input_size) for _ in range(2))
    report = load_pretrained(fresh, joint / MODEL)
    load_pretrained(first, starters[0] / MODEL)
    assert report["loaded"] == report["of"]
    for name, value in first.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(fresh.state_dict()[name], value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"labels": ("dent", "scratch")},
            "differ in their labels: .*'scratch', 'dent'.* and .*'dent', 'scratch'",
        ),
        ({"input_size": 128}, "differ in their input size: 96 and 128"),
        ({"family": "fcos_efficientnet_lite0"}, "differ in their places at which they look: middles"),
        ({"dataset": {"snapshot": "xyz"}}, "data set, so that one may have learned .*: abc and xyz"),
        ({"family": "faster_rcnn_mobilenet"}, "faster_rcnn_mobilenet finds its boxes at no fixed places"),
    ],
)
def test_models_that_cannot_be_averaged_are_refused_with_the_reason(fields, message):
    card = a_card()
    with pytest.raises(EnsembleError, match=message):
        check_alike([card, replace(card, onnx_sha256="f" * 64, **fields)])


def test_one_model_or_the_same_twice_is_no_ensemble():
    card = a_card()
    with pytest.raises(EnsembleError, match="two models or more"):
        check_alike([card])
    with pytest.raises(EnsembleError, match=f"{card.version} is there twice"):
        check_alike([card, card])
    beside = replace(card, anomaly_model={"name": "parts", "version": "abc"})
    with pytest.raises(EnsembleError, match=f"{beside.version} is there twice"):
        check_alike([card, beside])


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    generate(folder, 24, size=96, seed=0)
    return folder


@pytest.fixture(scope="module")
def small(data, tmp_path_factory) -> list[Path]:
    """Two small models, as two seeds of the same training on `data` would have made them."""
    folder = tmp_path_factory.mktemp("small")
    dataset = {"snapshot": open_dataset(data).snapshot(), "validation": 4}
    fields = {"labels": ("patches",), "input_size": 128, "metrics": {"training": {"seconds": 60.0}}}
    first, second = (
        detector_folder(folder / str(seed), **fields, dataset=dataset, hyperparameters={"seed": seed})
        for seed in (0, 1)
    )
    # As `export` writes it: in the operators of opset 17.
    model = version_converter.convert_version(onnx.load(str(first / MODEL)), 17)
    save(model, first)
    (white,) = (weight for weight in model.graph.initializer if weight.name == "white")
    white.CopyFrom(numpy_helper.from_array(np.array(510, np.float32), "white"))
    save(model, second)
    return [first, second]


def test_a_joint_graph_that_is_not_the_mean_is_refused(small, tmp_path, monkeypatch):
    right = ensembling._mean

    def wrong(prefixes):
        nodes = right(prefixes)
        nodes[-1].op_type = "Max"
        return nodes

    monkeypatch.setattr(ensembling, "_mean", wrong)
    with pytest.raises(ParityError, match=r"the joint graph is up to 0\.\d+ off its members' mean"):
        join(small, tmp_path / "joint")


def test_an_ensemble_is_evaluated_on_the_validation_part_and_names_its_members(small, data, tmp_path, capsys):
    models = [str(pack(member, tmp_path / f"{member.name}.tar.gz")) for member in small]
    out = tmp_path / "joint.tar.gz"

    arguments = ["--out", str(out), "--name", "pair", "--dataset", str(data), "--json"]
    assert main([*models, *arguments]) == 0

    card = unpack(out, tmp_path / "joint")
    printed = json.loads(capsys.readouterr().out)
    assert (printed["path"], printed["name"], printed["version"]) == (str(out), "pair", card.version)
    assert [member["name"] for member in printed["members"]] == ["brightness"] * 2
    assert printed["validation"] == card.metrics["validation"]
    assert "map" in card.metrics["validation"]
    assert [member["hyperparameters"]["seed"] for member in card.members] == [0, 1]
    assert card.metrics["training"]["seconds"] == 120


@pytest.mark.slow
def test_models_that_were_just_trained_can_be_joined(tmp_path, capsys):
    data = tmp_path / "data"
    generate(data, 40, size=96, seed=0)
    common = ["--dataset", str(data), "--family", "gfl_efficientnet_lite0", "--epochs", "1"]
    common += ["--set", "input_size=64", "--set", "batch_size=8", "--set", "workers=0"]
    runs = [tmp_path / f"run{seed}" for seed in (0, 1)]
    for seed, run in enumerate(runs):
        assert train([*common, "--out", str(run), "--set", f"seed={seed}"]) == 0
    models = [str(run / "model.tar.gz") for run in runs]
    out = tmp_path / "joint.tar.gz"
    capsys.readouterr()
    assert main([*models, "--out", str(out), "--name", "pair", "--dataset", str(data)]) == 0
    with tempfile.TemporaryDirectory() as folder:
        card = unpack(out, Path(folder))
    assert capsys.readouterr().out == f"{out}: pair {card.version}, gfl_efficientnet_lite0, ensemble of 2\n"
    assert "map" in card.metrics["validation"]
    assert set(card.operating_points) <= set(card.labels)
    assert [member["hyperparameters"]["seed"] for member in card.members] == [0, 1]
    assert card.metrics["training"]["seconds"] == pytest.approx(
        sum(member["metrics"]["training"]["seconds"] for member in card.members)
    )


def test_an_ensemble_with_a_refitted_member_is_not_evaluated_on_the_validation_part(
    small, data, tmp_path, capsys
):
    refitted = Path(shutil.copytree(small[1], tmp_path / "refitted"))
    card = read_card(refitted)
    replace(card, dataset={**card.dataset, "validation": 0}).write(refitted)
    models = [str(pack(member, tmp_path / f"{member.name}.tar.gz")) for member in (small[0], refitted)]
    out = tmp_path / "j.tar.gz"
    assert main([*models, "--out", str(out), "--dataset", str(data)]) == 1
    assert "refit=true" in capsys.readouterr().err
    assert not out.exists()
    assert main([*models, "--out", str(out)]) == 0
    unpack(out, tmp_path / "joint")
    document = json.loads((tmp_path / "joint/model.json").read_text())
    assert document["dataset"]["validation"] == 0  # so that an evaluation on that part warns
