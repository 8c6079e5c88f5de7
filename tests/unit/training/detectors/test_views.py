"""A model that judges mirror images too says of a mirrored picture what it says of the picture, mirrored."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.datasets.generated.synthetic import generate  # noqa: E402
from training.detectors.base import Detector, UnsupportedViewsError  # noqa: E402
from training.detectors.registry import build  # noqa: E402
from training.learning.export import export  # noqa: E402
from training.model.onnx_model import OnnxModel  # noqa: E402
from training.train import main  # noqa: E402

FAMILY, SIZE = "gfl_efficientnet_lite0", 96
ACROSS, UPRIGHT = 2, 1
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    made = build(FAMILY, 3, SIZE)
    for parameter in made.head.parameters():  # far from the start, where all points say the same
        torch.nn.init.normal_(parameter, std=0.1)
    return made.eval()


@pytest.fixture
def picture():
    return torch.randint(0, 256, (1, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.manual_seed(1))


def found(detector, picture):
    """What is found at each point, as rows of box and scores in an order that does not depend on the points'."""
    with torch.no_grad():
        boxes, scores = detector(picture)
    rows = torch.cat([boxes[0], scores[0]], 1).numpy()
    return rows[np.lexsort(rows.round(4).T)]


def mirrored(rows, axes):
    rows = rows.copy()
    if ACROSS in axes:
        rows[:, [0, 2]] = 1 - rows[:, [2, 0]]
    if UPRIGHT in axes:
        rows[:, [1, 3]] = 1 - rows[:, [3, 1]]
    return rows[np.lexsort(rows.round(4).T)]


def differ(left, right):
    """Of sorted rows: the largest distance of a row of either to the nearest of the other."""
    apart = np.abs(left[:, None] - right[None]).max(-1)
    return max(apart.min(0).max(), apart.min(1).max())


@pytest.mark.parametrize(("views", "axes"), [(2, [ACROSS]), (4, [ACROSS]), (4, [UPRIGHT]), (4, [1, 2])])
def test_a_mirrored_picture_gets_the_mirrored_findings(detector, picture, views, axes):
    detector.use_views(1)
    one_view = differ(found(detector, picture.flip(axes)), mirrored(found(detector, picture), axes))
    detector.use_views(views)
    several = differ(found(detector, picture.flip(axes)), mirrored(found(detector, picture), axes))
    assert several < 1e-4 < one_view


def test_several_views_are_the_mean_of_what_each_shows(detector, picture):
    detector.use_views(1)
    with torch.no_grad():
        (left, left_scores), (right, right_scores) = detector(picture), detector(picture.flip(ACROSS))
        detector.use_views(2)
        boxes, scores = detector(picture)
    side = SIZE // 8
    there = right_scores[0, : side * side].view(side, side, -1).flip(1).flatten(0, 1)  # the finest grid
    torch.testing.assert_close(scores[0, : side * side], (left_scores[0, : side * side] + there) / 2)
    right = right[0, : side * side].view(side, side, 4).flip(1).flatten(0, 1)
    right = torch.stack([1 - right[:, 2], right[:, 1], 1 - right[:, 0], right[:, 3]], 1)
    torch.testing.assert_close(boxes[0, : side * side], (left[0, : side * side] + right) / 2)


def test_a_farther_view_has_a_say_in_the_scores_alone(detector, picture):
    """At the points of the farther view that lie where the picture's points lie."""
    detector.use_views(4)
    with torch.no_grad():
        near, near_scores = detector(picture)
    farther = build(FAMILY, 3, 64).eval()
    farther.load_state_dict(detector.state_dict())
    farther.use_views(4)
    smaller = torch.nn.functional.interpolate(picture.permute(0, 3, 1, 2).float(), (64, 64), mode="bilinear")
    detector.use_views(8)
    with torch.no_grad():
        _, far_scores = farther(smaller.permute(0, 2, 3, 1))
        boxes, scores = detector(picture)
    # The finest grids: 12 x 12 and 8 x 8 cells; the middle of every cell here falls into these of the other.
    nearest = ((torch.arange(12) + 0.5) * 8 / 12).long()
    torch.testing.assert_close(boxes, near)
    there = far_scores[0, :64].view(8, 8, 3)[nearest][:, nearest].flatten(0, 1)
    torch.testing.assert_close(scores[0, :144], (near_scores[0, :144] + there) / 2)


@pytest.mark.parametrize("views", [4, 8])
def test_the_exported_graph_takes_the_same_views(detector, tmp_path, picture, views):
    detector.use_views(views)
    path = export(detector, tmp_path)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    both = torch.cat([picture, picture.flip(ACROSS)])
    boxes, scores = session.run(["boxes", "scores"], {"images": both.numpy()})
    with torch.no_grad():
        wanted = detector(both)
    np.testing.assert_allclose(boxes, wanted[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(scores, wanted[1].numpy(), atol=1e-4)


@pytest.mark.parametrize("views", [0, 3, 16, -1])
def test_a_number_of_views_that_are_no_mirror_images_is_refused(detector, views):
    with pytest.raises(UnsupportedViewsError, match="1, 2, 4 or 8 views"):
        detector.use_views(views)


def test_an_input_whose_grids_have_no_mirror_image_is_refused():
    with pytest.raises(UnsupportedViewsError, match="steps of 32, not 100"):
        build(FAMILY, 3, 100).use_views(2)


def test_a_family_that_cannot_says_so():
    with pytest.raises(UnsupportedViewsError, match="ssdlite judges a picture in one view only, not in 2"):
        build("ssdlite", 3, 128).use_views(2)
    build("ssdlite", 3, 128).use_views(1)


def test_a_finished_run_is_exported_anew_with_other_views_without_learning_again(tmp_path, capsys):
    generate(tmp_path / "data", 24, size=96, seed=0)
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
    assert main(command) == 0
    capsys.readouterr()
    assert main([*command, "--set", "views=2"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [each["event"] for each in events if each["event"] in ("resume", "epoch")] == ["resume"]
    card = OnnxModel(tmp_path / "run" / "model").card
    assert card.hyperparameters["views"] == 2
