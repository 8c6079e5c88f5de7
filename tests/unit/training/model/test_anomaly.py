"""What the distances of an anomaly model become: scores, regions, reasons, and errors instead of a pass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto

from tests.unit.training.model.anomaly_models import SCALE, SIZE, anomaly_folder, graph, grey
from training.model.anomaly import (
    AnomalyModel,
    AnomalyScale,
    AnswerError,
    Judgement,
    anomalies,
    regions,
)
from training.model.artefact import ArtefactError
from training.model.onnx_model import OnnxModel

DISTANCES = st.floats(0, 200, width=32)
MAPS = arrays.arrays(np.float32, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=DISTANCES)
SCALES = st.builds(
    AnomalyScale,
    threshold=st.floats(0.1, 100),
    spread=st.floats(0.01, 50),
    region_threshold=st.floats(0.1, 150),
    map_range=st.just((0.0, 100.0)),
)


@pytest.fixture
def model(tmp_path):
    return AnomalyModel(anomaly_folder(tmp_path / "grey"), threads=1)


def judged(places, scale):
    distance = float(np.sort(places, axis=None)[-5:].mean())
    return Judgement(distance, float(np.float32(scale.score(distance))), places)


@given(MAPS, SCALES)
def test_the_best_region_has_the_score_of_the_picture_and_no_other_has_more(places, scale):
    judgement = judged(places, scale)
    found = anomalies(judgement, scale)
    if judgement.score < 0.05:
        assert not len(found.scores)
        return
    assert found.scores[0] == judgement.score
    assert (np.diff(found.scores) <= 0).all()
    assert (found.scores >= np.float32(0.05)).all()
    assert not found.classes.any()


@given(MAPS, SCALES)
def test_every_region_lies_in_the_picture_and_has_an_area(places, scale):
    boxes = anomalies(judged(places, scale), scale).boxes
    assert ((boxes >= 0) & (boxes <= 1)).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()


@given(arrays.arrays(np.bool_, st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_regions_divide_the_places_and_never_touch_each_other(inside):
    found = regions(inside)
    count = np.zeros(inside.shape, int)
    for number, (rows, columns) in enumerate(found, 1):
        assert not count[rows, columns].any()
        count[rows, columns] = number
    assert ((count > 0) == inside).all()
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = count[: count.shape[0] - down, max(0, -right) : count.shape[1] - max(0, right)]
        b = count[down:, max(0, right) : count.shape[1] - max(0, -right)]
        assert (a == b)[(a > 0) & (b > 0)].all()


@given(SCALES, st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_larger_distance_never_has_a_smaller_score(scale, one, other):
    low, high = sorted((one, other))
    assert 0 <= scale.score(low) <= scale.score(high) <= 1
    assert scale.score(scale.threshold) == 0.5


def test_a_spot_is_found_where_it_is(model):
    good, spotted = model.judge([grey(), grey(SIZE, (2, 3), (3, 4), (6, 0))])
    assert good.score < 0.01
    assert not len(anomalies(good, model.scale).boxes)
    found = anomalies(spotted, model.scale)
    assert spotted.score > 0.9
    # Two that touch at a corner are one, and the third is its own.
    assert found.boxes.tolist() == [[3 / 8, 2 / 8, 5 / 8, 4 / 8], [0, 6 / 8, 1 / 8, 7 / 8]]


def test_a_picture_that_scores_without_a_region_shows_its_farthest_place():
    places = np.full((4, 4), 24.0, np.float32)
    places[1, 2] = 24.5
    found = anomalies(judged(places, SCALE), SCALE)
    assert found.boxes.tolist() == [[0.5, 0.25, 0.75, 0.5]]
    assert found.scores[0] > 0.05


def test_pictures_are_judged_alike_whatever_the_graph_takes_at_once(tmp_path):
    pictures = [grey(), grey(SIZE, (1, 1)), grey(SIZE, (4, 4), (4, 5), level=0)]
    several = AnomalyModel(anomaly_folder(tmp_path / "any"), threads=1)
    single = AnomalyModel(anomaly_folder(tmp_path / "one", graph(batch=1)), threads=1)
    assert (several.any_batch, single.any_batch) == (True, False)
    distances, maps = several.raw(np.stack(pictures))
    for model in (several, single):
        judged = model.judge(pictures)
        assert [judgement.distance for judgement in judged] == pytest.approx(distances.tolist())
        assert np.allclose([judgement.map for judgement in judged], maps)
        assert model.judge([]) == []


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"distance": 50.0}, "its distance 127.0 is far beyond 50.0"),
        ({"median": 50.0}, "the distance of half of its places 127.0 is far beyond 50.0"),
        ({"distance": 1000.0, "mean": 90.0}, "the mean distance of its places 127.0 is far beyond 90.0"),
    ],
)
def test_another_product_is_named_with_both_figures_and_has_no_anomalies(tmp_path, limits, words):
    scale = AnomalyScale(30, 4, 25, (0, 100), limits)
    model = AnomalyModel(anomaly_folder(tmp_path, anomaly=scale), threads=1)
    white, spotted = model.judge([np.full((SIZE, SIZE, 3), 255, np.uint8), grey(SIZE, (1, 1))])
    assert white.foreign is not None
    assert white.foreign.startswith("another product: ")
    assert words in white.foreign
    assert not len(anomalies(white, scale).boxes)
    assert spotted.foreign is None


def test_without_limits_no_picture_is_another_product(tmp_path):
    scale = AnomalyScale(30, 4, 25, (0, 100))
    model = AnomalyModel(anomaly_folder(tmp_path, anomaly=scale), threads=1)
    (white,) = model.judge([np.full((SIZE, SIZE, 3), 255, np.uint8)])
    assert white.foreign is None
    assert white.score > 0.99


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), -1.0])
def test_distances_that_judge_nothing_are_an_error_and_not_a_good_product(tmp_path, factor):
    model = AnomalyModel(anomaly_folder(tmp_path, graph(factor=factor)), threads=1)
    with pytest.raises(AnswerError, match="no number from 0 on"):
        model.judge([grey(SIZE, (1, 1))])


@pytest.mark.parametrize(
    ("distances", "maps"),
    [
        ([1.0], [[[1.0, float("nan")]]]),
        ([float("nan")], [[[1.0, 2.0]]]),
        ([1.0, 2.0], [[[1.0, 2.0]]]),
        ([1.0], [[1.0, 2.0]]),
        ([1.0], [[[]]]),
        ([[1.0]], [[[1.0, 2.0]]]),
    ],
)
def test_one_damaged_number_or_shape_is_an_error(model, distances, maps):
    class Session:
        def run(self, *_):
            return np.array(distances, np.float32), np.array(maps, np.float32)

    model._session = Session()
    with pytest.raises(AnswerError):
        model.judge([grey()])


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (graph(distance="scores"), "has not the input images and the outputs distance and map"),
        (graph(size=32), "the input_size of its card is 64"),
        (graph(pixels=TensorProto.FLOAT), "takes tensor"),
        (graph(axes=2), r"gives distance as tensor\(float\) of .*, not as float32 with 1 axis"),
    ],
)
def test_a_graph_that_does_not_fit_its_card_is_refused(tmp_path, model, reason):
    with pytest.raises(ArtefactError, match=reason):
        AnomalyModel(anomaly_folder(tmp_path, model), threads=1)


def test_each_kind_of_model_refuses_the_other_in_words(tmp_path, starter_folder):
    with pytest.raises(ArtefactError, match="grey is an anomaly model, and no detector of known classes"):
        OnnxModel(anomaly_folder(tmp_path))
    with pytest.raises(ArtefactError, match="starter is a detector without an anomaly model"):
        AnomalyModel(starter_folder)
