"""A model that averages mirror images gives a mirrored image the mirrored result of the image."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import training.learning.run as program  # noqa: E402
from training.datasets.generated.synthetic import generate  # noqa: E402
from training.detectors.base import Detector, UnsupportedViewsError  # noqa: E402
from training.detectors.registry import build  # noqa: E402
from training.learning.export import export  # noqa: E402
from training.model.artefact import ModelCard  # noqa: E402
from training.model.decoding import Postprocess  # noqa: E402
from training.model.onnx_model import OnnxModel  # noqa: E402
from training.train import main  # noqa: E402

FAMILY, SIZE = "gfl_efficientnet_lite0", 96
HORIZONTAL, VERTICAL = 2, 1
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    detector = build(FAMILY, 3, SIZE)
    # Far from the initial weights, with which all points give the same result.
    for parameter in detector.head.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return detector.eval()


@pytest.fixture
def image():
    return torch.randint(0, 256, (1, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.manual_seed(1))


def rows_of(detector, image):
    """The result at each point, as rows of box and scores, in an order that does not depend on the points'."""
    with torch.no_grad():
        boxes, scores = detector(image)
    rows = torch.cat([boxes[0], scores[0]], 1).numpy()
    return rows[np.lexsort(rows.round(4).T)]


def mirrored(rows, axes):
    rows = rows.copy()
    if HORIZONTAL in axes:
        rows[:, [0, 2]] = 1 - rows[:, [2, 0]]
    if VERTICAL in axes:
        rows[:, [1, 3]] = 1 - rows[:, [3, 1]]
    return rows[np.lexsort(rows.round(4).T)]


def difference(left, right):
    """The largest distance of a row to the nearest row of the other side."""
    distances = np.abs(left[:, None] - right[None]).max(-1)
    return max(distances.min(0).max(), distances.min(1).max())


@pytest.mark.parametrize(
    ("views", "axes"), [(2, [HORIZONTAL]), (4, [HORIZONTAL]), (4, [VERTICAL]), (4, [1, 2])]
)
def test_a_mirrored_image_gets_the_mirrored_result(detector, image, views, axes):
    detector.use_views(1)
    one_view = difference(rows_of(detector, image.flip(axes)), mirrored(rows_of(detector, image), axes))
    detector.use_views(views)
    several = difference(rows_of(detector, image.flip(axes)), mirrored(rows_of(detector, image), axes))
    assert several < 1e-4 < one_view


def test_the_result_is_the_mean_of_the_views(detector, image):
    detector.use_views(1)
    with torch.no_grad():
        (left, left_scores), (right, right_scores) = detector(image), detector(image.flip(HORIZONTAL))
        detector.use_views(2)
        boxes, scores = detector(image)
    side = SIZE // 8
    mirrored_scores = (
        right_scores[0, : side * side].view(side, side, -1).flip(1).flatten(0, 1)
    )  # the finest grid
    torch.testing.assert_close(
        scores[0, : side * side], (left_scores[0, : side * side] + mirrored_scores) / 2
    )
    right = right[0, : side * side].view(side, side, 4).flip(1).flatten(0, 1)
    right = torch.stack([1 - right[:, 2], right[:, 1], 1 - right[:, 0], right[:, 3]], 1)
    torch.testing.assert_close(boxes[0, : side * side], (left[0, : side * side] + right) / 2)


def test_a_farther_view_changes_the_scores_only(detector, image):
    """The scores are averaged with those of the farther view's nearest points."""
    detector.use_views(4)
    with torch.no_grad():
        near, near_scores = detector(image)
    farther = build(FAMILY, 3, 64).eval()
    farther.load_state_dict(detector.state_dict())
    farther.use_views(4)
    smaller = torch.nn.functional.interpolate(image.permute(0, 3, 1, 2).float(), (64, 64), mode="bilinear")
    detector.use_views(8)
    with torch.no_grad():
        _, far_scores = farther(smaller.permute(0, 2, 3, 1))
        boxes, scores = detector(image)
    # The finest grids have 12 x 12 and 8 x 8 cells. These cells contain the middles of the others.
    nearest = ((torch.arange(12) + 0.5) * 8 / 12).long()
    torch.testing.assert_close(boxes, near)
    nearest_scores = far_scores[0, :64].view(8, 8, 3)[nearest][:, nearest].flatten(0, 1)
    torch.testing.assert_close(scores[0, :144], (near_scores[0, :144] + nearest_scores) / 2)


@pytest.mark.parametrize("views", [pytest.param(4, marks=pytest.mark.nightly), 8])
def test_the_exported_graph_takes_the_same_views(detector, tmp_path, image, views):
    detector.use_views(views)
    path = export(detector, tmp_path)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    images = torch.cat([image, image.flip(HORIZONTAL)])
    boxes, scores = session.run(["boxes", "scores"], {"images": images.numpy()})
    with torch.no_grad():
        expected = detector(images)
    np.testing.assert_allclose(boxes, expected[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(scores, expected[1].numpy(), atol=1e-4)


@pytest.mark.parametrize("views", [0, 3, 16, -1])
def test_another_number_of_views_is_refused(detector, views):
    with pytest.raises(UnsupportedViewsError, match="1, 2, 4 or 8 views"):
        detector.use_views(views)


def test_an_input_size_whose_grids_are_not_symmetric_is_refused():
    with pytest.raises(UnsupportedViewsError, match="steps of 32, not 100"):
        build(FAMILY, 3, 100).use_views(2)


def test_a_family_without_views_refuses_them():
    with pytest.raises(UnsupportedViewsError, match="ssdlite detects in one view of an image only, not in 2"):
        build("ssdlite", 3, 128).use_views(2)
    build("ssdlite", 3, 128).use_views(1)


def test_a_finished_run_is_exported_again_with_other_views_without_training(tmp_path, capsys, monkeypatch):
    generate(tmp_path / "data", 10, size=96, seed=0)
    command = [
        "--dataset",
        str(tmp_path / "data"),
        "--family",
        FAMILY,
        "--out",
        str(tmp_path / "run"),
        "--json",
    ]
    command += ["--epochs", "1", "--set", "input_size=64", "--set", "batch_size=8", "--set", "workers=0"]
    with monkeypatch.context() as patch:  # the second export is the one to look at
        patch.setattr(
            program, "_finish", lambda training: ModelCard("run", FAMILY, (), 64, {}, Postprocess())
        )
        patch.setattr("training.model.artefact.pack", lambda folder, artefact: artefact)
        assert main(command) == 0
    capsys.readouterr()
    assert main([*command, "--set", "views=2"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [event["event"] for event in events if event["event"] in ("resume", "epoch")] == ["resume"]
    model = OnnxModel(tmp_path / "run" / "model", threads=1)
    assert model.card.hyperparameters["views"] == 2
    pixels = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8, generator=torch.manual_seed(1)).numpy()
    # The finest grid has 8 x 8 places.
    scores, mirrored = (
        model.raw(view)[1][0, :64].reshape(8, 8, -1) for view in (pixels, np.flip(pixels, HORIZONTAL))
    )
    np.testing.assert_allclose(scores, mirrored[:, ::-1], rtol=1e-3)
