"""The endpoint of an anomaly model, alone and beside a detector: its answers, its heat map, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contract.endpoint import attributes
from tests.unit.training.model.anomaly_models import (
    SIZE,
    anomaly_folder,
    as_png,
    blind_to_empty_places,
    both_folder,
    detector_folder,
    graph,
    grey,
)
from tests.unit.training.serving.serving_support import Brightness, ask, beside, call, running
from training.model import models as models_module
from training.model.artefact import read_card
from training.model.models import Models, load
from training.model.scale import Scale
from training.model.tiling import Tiles
from training.serve import _worker_predictor
from training.serving.settings import Settings
from training.serving.workers import Workers

HEAT_MAP = attributes(heat_map=True)
LOOKOUT = "application/vnd.loupe.detect-anomalies+json"


GOOD, SPOTTED = as_png(grey()), as_png(grey(SIZE, (2, 3), (6, 0)))
WHITE = as_png(np.full((SIZE, SIZE, 3), 255, np.uint8))


def grey_levels(data):
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode) == ("PNG", "L")
    return np.asarray(image)


def test_an_anomaly_model_answers_where_a_product_is_not_as_the_good_ones(alone):
    good, spotted = (answer.document for answer in ask(alone, GOOD, SPOTTED))
    assert good["detections"] == good["warnings"] == []
    assert good["anomaly"].keys() == {"score", "distance", "model"}
    assert good["anomaly"]["score"] < 0.01
    assert good["anomaly"]["model"] == good["model"] == {"name": "grey", "version": alone.card.version}
    first = spotted["detections"][0]
    assert first == {"label": "anomaly", "score": spotted["anomaly"]["score"], "box": [24, 16, 32, 24]}
    assert [found["box"] for found in spotted["detections"][1:]] == [[0, 48, 8, 56]]
    assert spotted["anomaly"]["distance"] == pytest.approx((127 * 2) / 5)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 255)), max_size=12))
@settings(max_examples=25, deadline=None)
def test_the_best_detection_of_an_answer_has_the_score_of_the_picture(alone, spots):
    pixels = grey()
    for row, column, level in spots:
        pixels[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = level
    (answer,) = ask(alone, as_png(pixels), attributes=HEAT_MAP)

    def refuse(text):
        raise AssertionError(text)

    document = json.loads(answer.body, parse_constant=refuse)
    scores = [found["score"] for found in document["detections"]]
    assert scores[:1] == ([document["anomaly"]["score"]] if document["anomaly"]["score"] >= 0.05 else [])
    assert scores == sorted(scores, reverse=True)
    for found in document["detections"]:
        x1, y1, x2, y2 = found["box"]
        assert 0 <= x1 < x2 <= SIZE
        assert 0 <= y1 < y2 <= SIZE


@pytest.mark.parametrize(
    ("environment", "asked", "expected"),
    [(0, "", False), (0, HEAT_MAP, True), (1, "", True), (1, "heat-map=0", False), (0, "heat-map=2", False)],
)
def test_the_heat_map_is_in_the_answer_if_it_is_asked_for(alone, environment, asked, expected):
    (answer,) = ask(alone, SPOTTED, settings=Settings(heat_map=environment), attributes=asked)
    found = answer.document["anomaly"].get("heat_map")
    assert (found is not None) == expected
    if found:
        levels = grey_levels(base64.b64decode(found))
        assert levels.shape == (8, 8)
        assert (levels[2, 3], levels[0, 0]) == (254, 0)


def test_the_heat_map_alone_is_a_picture(alone):
    answer, in_json = ask(alone, SPOTTED, accept="image/png") + ask(alone, SPOTTED, attributes=HEAT_MAP)
    assert answer.headers["content-type"] == "image/png"
    assert answer.body == base64.b64decode(in_json.document["anomaly"]["heat_map"])


JSON, PNG = "application/json", "image/png"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("APPLICATION/JSON; charset=utf-8", JSON),
        ("image/*", PNG),
        ("image/png, application/json", JSON),
        ("image/png, application/json;q=0.5", PNG),
        ("image/png;q=0.1, */*;q=0.9", JSON),
        ("*/*;q=0.1, image/png", PNG),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        ("application/json;q=0, */*", PNG),
        (LOOKOUT, LOOKOUT),
    ],
)
def test_the_form_of_the_answer_is_what_the_request_accepts(alone, accept, expected):
    (answer,) = ask(alone, SPOTTED, accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, expected)


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=0", "image/jpeg", "application/json;q=x", "json", ",", ";;;"]
)
def test_a_form_that_there_is_not_is_refused_in_words(alone, accept):
    (answer,) = ask(alone, SPOTTED, accept=accept)
    assert (answer.status, answer.code) == (406, "not_acceptable")
    assert f"{JSON}, {PNG}, {LOOKOUT}" in answer.document["error"]["message"]


@pytest.mark.parametrize("accept", ["image/png", "image/*", "image/png, text/html"])
def test_a_detector_says_that_it_has_no_heat_map(accept):
    (answer,) = ask(Brightness(), GOOD, accept=accept)
    assert (answer.status, answer.code) == (406, "not_acceptable")
    assert (
        "is a detector without an anomaly model, and has no heat map" in answer.document["error"]["message"]
    )


def test_a_detector_that_is_asked_for_a_heat_map_besides_its_answer_gives_its_answer():
    plain, asked = ask(Brightness(), GOOD) + ask(Brightness(), GOOD, attributes=HEAT_MAP)
    (either,) = ask(Brightness(), GOOD, accept="image/png, application/json;q=0.1")
    for answer in (plain, asked, either):
        assert answer.status == 200
        assert answer.document.keys() == plain.document.keys()
        assert "anomaly" not in answer.document
        assert answer.document["detections"][0].keys() == {"label", "score", "box"}


def test_another_product_is_doubted_and_no_anomaly_is_claimed(alone):
    (answer,) = ask(alone, WHITE, attributes=HEAT_MAP)
    (warning,) = answer.document["warnings"]
    assert warning["message"] == (
        "another product: the distance of half of its places 127.0 is far beyond 60.0, "
        "the most that the model takes for its own product"
    )
    assert answer.document["detections"] == []
    found = answer.document["anomaly"]
    assert (found["score"], found["distance"]) == (None, 127.0)
    assert (grey_levels(base64.b64decode(found["heat_map"])) == 254).all()


def test_an_empty_place_is_doubted_and_not_passed_for_its_small_distance(tmp_path):
    model = load(blind_to_empty_places(tmp_path), threads=1)
    good, empty = (answer.document for answer in ask(model, GOOD, WHITE))
    assert (good["warnings"], good["anomaly"]["score"] is None) == ([], False)
    assert empty["warnings"][0]["message"].startswith("no product: ")
    assert (empty["anomaly"]["score"], empty["anomaly"]["distance"], empty["detections"]) == (None, 1.27, [])
    (answer,) = ask(model, WHITE, accept=LOOKOUT)
    result = answer.document["DetectAnomalyResult"]
    assert (result["IsAnomalous"], result["Anomalies"][1]["Name"]) == (True, "noProduct")


def test_both_models_answer_together_and_each_finding_names_its_own(alone):
    models = beside(alone)
    (answer,) = ask(models, SPOTTED)
    document = answer.document
    assert document["model"] == {"name": "brightness", "version": models.card.version}
    assert document["anomaly"]["model"] == {"name": "grey", "version": alone.card.version}
    by_model = [(found["model"], found["label"]) for found in document["detections"]]
    assert sorted(by_model) == [("brightness", "bright"), ("grey", "anomaly"), ("grey", "anomaly")]
    scores = [found["score"] for found in document["detections"]]
    assert scores == sorted(scores, reverse=True)


def test_another_product_leaves_the_detections_of_the_detector(alone):
    (answer,) = ask(beside(alone), WHITE)
    assert [(found["model"], found["label"]) for found in answer.document["detections"]] == [
        ("brightness", "bright")
    ]
    assert answer.document["warnings"][0]["message"].startswith("another product: ")


@pytest.mark.parametrize(
    ("changes", "sizes"),
    [
        ({"input_size": SIZE}, [SIZE]),
        ({"input_size": 32}, [SIZE, 32]),
        ({"input_size": SIZE, "bit_depth": 12}, [SIZE, SIZE]),
    ],
)
def test_a_picture_is_decoded_once_for_each_input(alone, monkeypatch, changes, sizes):
    decoded = []

    def decode(data, size, *options):
        decoded.append(size)
        return models_decode(data, size, *options)

    models_decode = models_module.decode
    monkeypatch.setattr(models_module, "decode", decode)
    assert ask(beside(alone, **changes), SPOTTED)[0].document["anomaly"]["score"] > 0.9
    assert decoded == sizes


def test_a_large_picture_goes_through_the_detector_in_tiles_and_whole_through_the_anomaly_model(alone):
    large = as_png(np.kron(grey(SIZE, (2, 3)), np.ones((4, 4, 1), np.uint8)))
    models = beside(alone, tiles=Tiles(100, 0.2))
    (together,), (whole,) = ask(models, large), ask(alone, large)
    assert together.document["tiles"] == 9
    assert models.detector.batches[-10:] == [1] * 10
    unusual = [found for found in together.document["detections"] if found["label"] == "anomaly"]
    assert [found["box"] for found in unusual] == [[96, 64, 128, 96]]
    assert [{**found, "model": "grey"} for found in whole.document["detections"]] == unusual
    assert together.document["anomaly"]["score"] == whole.document["anomaly"]["score"]


def test_each_model_has_its_own_scale(tmp_path):
    narrow = Scale((0.5, 1), (0.5, 1), (1, 1))
    wide = Scale((3.5, 4.5), (3.5, 4.5), (1, 1))
    anomaly = load(anomaly_folder(tmp_path, scale=narrow), threads=1)
    large = as_png(np.kron(grey(SIZE, (2, 3)), np.ones((4, 4, 1), np.uint8)))
    (fits,), (fits_not,) = (
        ask(beside(anomaly, input_size=SIZE, scale=scale), large) for scale in (wide, narrow)
    )
    (warning,) = fits.document["warnings"]
    assert "wrong scale: the model sees one pixel for each 4 x 4" in warning["message"]
    # Both say the same, once.
    assert fits_not.document["warnings"] == [warning]


def test_pictures_have_the_same_answers_with_and_without_batches(alone):
    pictures = [GOOD, SPOTTED, WHITE]
    for models in (alone, beside(alone)):
        plain, batched = ask(models, *pictures), ask(models, *pictures, settings=Settings(batch=4))
        for one, other in zip(plain, batched, strict=True):
            assert one.document["detections"] == other.document["detections"]
            assert one.document["anomaly"] == other.document["anomaly"]


def test_distances_that_are_no_numbers_are_an_error_and_never_a_pass(tmp_path):
    broken = load(anomaly_folder(tmp_path, graph(factor=float("nan"))), threads=1)
    models = Models(None, _Sleepy(broken.anomaly), broken.card)
    for each in (models, beside(models)):
        (answer,) = ask(each, GOOD)
        assert (answer.status, answer.code) == (500, "inference_failed")
        assert "AnswerError" in answer.document["error"]["message"]


class _Sleepy:
    """An anomaly model that warms up, and fails on every picture that is not black."""

    def __init__(self, model):
        self.card, self.scale, self._model = model.card, model.scale, model

    def judge(self, pixels):
        return self._model.judge(pixels) if pixels[0].any() else []


def test_a_worker_process_gives_each_form_that_a_thread_gives(tmp_path):
    detector, anomaly = detector_folder(tmp_path / "bright"), anomaly_folder(tmp_path / "grey")
    folder = both_folder(tmp_path / "both", detector, anomaly)
    settings = Settings(workers=1)

    async def all_forms(model):
        async with running(model, settings) as app:
            return [
                await call(app, SPOTTED, accept=form, attributes=HEAT_MAP) for form in (JSON, PNG, LOOKOUT)
            ]

    workers = Workers(partial(_worker_predictor, folder, settings), read_card(folder), settings)
    processes, threads = asyncio.run(all_forms(workers)), asyncio.run(all_forms(load(folder, threads=1)))
    assert [answer.headers["content-type"] for answer in processes] == [JSON, PNG, LOOKOUT]
    one, other = processes[0].document, threads[0].document
    assert "heat_map" in one["anomaly"]
    assert one | {"timings_ms": None} == other | {"timings_ms": None}
    assert [answer.body for answer in processes[1:]] == [answer.body for answer in threads[1:]]
