"""The answer in the form of Lookout for Vision's DetectAnomalies: the verdict, the kinds of anomaly, the mask."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contract.scores import ANOMALY
from tests.unit.training.model.anomaly_models import SIZE, anomaly_folder, as_png, grey
from tests.unit.training.serving.serving_support import Brightness, ask, beside
from training.model.anomaly import Judgement
from training.model.models import load
from training.model.pixels import Picture
from training.model.scale import Scale
from training.serving import detect_anomalies
from training.serving.judged import Judged
from training.serving.settings import Settings

ACCEPT = "application/vnd.loupe.detect-anomalies+json"
PATH = "/2020-11-20/projects/bottles/models/1/detect"


GOOD, SPOTTED = as_png(grey()), as_png(grey(SIZE, (2, 3), (6, 0)))
WHITE = as_png(np.full((SIZE, SIZE, 3), 255, np.uint8))


def result_of(model, body, **options):
    (answer,) = ask(model, body, **({"path": PATH} | options))
    assert answer.status == 200
    return answer.document["DetectAnomalyResult"]


def mask_of(result):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(result["AnomalyMask"]))))


def colour(entry):
    code = int(entry["PixelAnomaly"]["Color"].removeprefix("#"), 16)
    return [code >> shift & 255 for shift in (16, 8, 0)]


def test_a_good_product_is_not_anomalous_and_has_the_background_alone(alone):
    result = result_of(alone, GOOD)
    assert result.keys() == {"Source", "IsAnomalous", "Confidence", "Anomalies", "AnomalyMask"}
    assert (result["Source"], result["IsAnomalous"]) == ({"Type": "direct"}, False)
    assert result["Confidence"] > 0.99
    assert result["Anomalies"] == [
        {"Name": "background", "PixelAnomaly": {"TotalPercentageArea": 1.0, "Color": "#FFFFFF"}}
    ]
    assert (mask_of(result) == 255).all()


def test_an_anomaly_has_its_share_of_the_pixels_and_its_place_in_the_mask(alone):
    result = result_of(alone, SPOTTED)
    assert (result["IsAnomalous"], result["Confidence"] > 0.9) == (True, True)
    background, anomaly = result["Anomalies"]
    assert (background["Name"], anomaly["Name"]) == ("background", "anomaly")
    mask = mask_of(result)
    assert mask.shape == (SIZE, SIZE, 3)
    is_anomaly = (mask == colour(anomaly)).all(axis=2)
    assert anomaly["PixelAnomaly"]["TotalPercentageArea"] == pytest.approx(is_anomaly.mean())
    assert background["PixelAnomaly"]["TotalPercentageArea"] == pytest.approx(1 - is_anomaly.mean())
    assert is_anomaly[20, 28]
    assert is_anomaly[52, 4]
    assert not is_anomaly[40, 40]
    assert (is_anomaly | (mask == 255).all(axis=2)).all()


def test_the_mask_has_the_size_of_the_upright_picture(alone):
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(grey(SIZE, (2, 3))).resize((300, 200)).save(buffer, "JPEG", exif=exif)
    assert mask_of(result_of(alone, buffer.getvalue())).shape == (300, 200, 3)


def test_the_answer_by_accept_is_that_of_the_path(alone):
    by_path = result_of(alone, SPOTTED)
    assert result_of(alone, SPOTTED, path="/invocations", accept=ACCEPT) == by_path


def test_another_product_is_never_normal_and_its_name_says_why(alone):
    result = result_of(alone, WHITE)
    assert (result["IsAnomalous"], result["Confidence"]) == (True, 1.0)
    assert [entry["Name"] for entry in result["Anomalies"]] == ["background", "anotherProduct"]
    assert [entry["PixelAnomaly"]["TotalPercentageArea"] for entry in result["Anomalies"]] == [0.0, 1.0]
    assert (mask_of(result) == colour(result["Anomalies"][1])).all()


def test_a_picture_that_the_model_may_be_blind_on_is_never_normal(tmp_path):
    model = load(anomaly_folder(tmp_path, scale=Scale((0.5, 1), (0.5, 1), (1, 1))), threads=1)
    large = np.kron(grey(SIZE), np.ones((4, 4, 1), np.uint8))
    result = result_of(model, as_png(large))
    assert (result["IsAnomalous"], result["Confidence"]) == (True, 1.0)
    assert result["Anomalies"][1]["Name"] == "notJudged"


def test_a_detector_answers_with_its_classes_and_their_boxes():
    result = result_of(Brightness(), WHITE)
    _, bright = result["Anomalies"]
    assert (result["IsAnomalous"], bright["Name"]) == (True, "bright")
    is_bright = (mask_of(result) == colour(bright)).all(axis=2)
    assert bright["PixelAnomaly"]["TotalPercentageArea"] == pytest.approx(is_bright.mean())
    assert 0 < is_bright.mean() <= 1


def test_a_class_is_an_anomaly_from_its_operating_point_on():
    body, found = as_png(np.full((SIZE, SIZE, 3), 140, np.uint8)), {}
    for score in (0.5, 0.6):
        detector = Brightness()
        detector.card = replace(detector.card, operating_points={"bright": {"score": score}})
        found[score] = result_of(detector, body)
    assert {score: result["IsAnomalous"] for score, result in found.items()} == {0.5: True, 0.6: False}
    for result in found.values():
        assert 0.5 <= result["Confidence"] < 0.7


def test_both_models_together_answer_with_what_each_has_seen(alone):
    result = result_of(beside(alone, operating_points={"bright": {"score": 0.2}}), SPOTTED)
    names = [entry["Name"] for entry in result["Anomalies"]]
    assert names[0] == "background"
    assert {"anomaly"} <= set(names[1:]) <= {"anomaly", "bright"}
    colours = {entry["PixelAnomaly"]["Color"] for entry in result["Anomalies"]}
    assert len(colours) == len(names)


EDGES = st.floats(0, 40, allow_nan=False)
FOUND = st.tuples(EDGES, EDGES, EDGES, EDGES, st.floats(0, 1), st.sampled_from(["dark", "bright", ANOMALY]))


@given(
    found=st.lists(FOUND, max_size=6),
    score=st.one_of(st.none(), st.floats(0, 1)),
    spots=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.floats(0, 100)), max_size=4),
    size=st.tuples(st.integers(1, 40), st.integers(1, 30)),
    foreign=st.sampled_from([None, "another product: it is far", "no product: it is empty"]),
    warnings=st.sampled_from([[], ["wrong scale"]]),
)
@settings(max_examples=60, deadline=None)
def test_shares_colours_and_mask_agree_whatever_was_found(
    alone, found, score, spots, size, foreign, warnings
):
    places = np.zeros((3, 4), np.float32)
    for row, column, distance in spots:
        places[row, column] = distance
    judgement = None if score is None else Judgement(1.0, score, places, foreign)
    detector = beside(alone).card if judgement else Brightness().card
    items = [
        {
            "label": label,
            "score": own,
            "box": [min(a, c), min(b, d), max(a, c), max(b, d)],
            "model": "brightness",
        }
        for a, b, c, d, own, label in found
        if label != ANOMALY or judgement
    ]
    picture = Picture(np.zeros((1, 1, 3), np.uint8), *size, "PNG")
    judged = Judged(picture, items, judgement, detector, alone.card if judgement else None, list(warnings))
    result = json.loads(detect_anomalies.answer(judged))["DetectAnomalyResult"]
    mask = mask_of(result).reshape(-1, 3)
    assert len(mask) == size[0] * size[1]
    shares = [entry["PixelAnomaly"]["TotalPercentageArea"] for entry in result["Anomalies"]]
    assert sum(shares) == pytest.approx(1)
    for entry, share in zip(result["Anomalies"], shares, strict=True):
        assert (mask == colour(entry)).all(axis=1).mean() == pytest.approx(share)
    assert result["IsAnomalous"] == (len(shares) > 1)
    assert 0.5 <= result["Confidence"] <= 1
    surest = max([score or 0, *(item["score"] for item in items)])
    if not (judgement and foreign) and not warnings:
        assert result["IsAnomalous"] == (surest >= 0.5)
    elif surest < 0.5:
        assert (result["IsAnomalous"], result["Confidence"]) == (True, 1.0)


def test_a_request_is_refused_as_the_api_does(alone):
    cases = [
        (b"no image", {}, 400, "ValidationException"),
        (b"", {}, 400, "ValidationException"),
        (GOOD, {"content_type": "text/plain"}, 400, "ValidationException"),
        (b"x" * 100, {"settings": Settings(max_body_bytes=10)}, 400, "ValidationException"),
        (GOOD, {"path": "/2020-11-20/projects/bottles/models/1/start"}, 404, "ResourceNotFoundException"),
        (b"", {"path": "/2020-11-20/projects", "method": "GET"}, 404, "ResourceNotFoundException"),
    ]
    for body, options, status, name in cases:
        (answer,) = ask(alone, body, **({"path": PATH} | options))
        assert (answer.status, answer.headers["x-amzn-errortype"]) == (status, name)
        assert answer.document["Message"]
        assert answer.headers["x-amzn-requestid"]


def test_a_failure_of_the_model_and_a_backlog_are_errors_of_the_api(alone):
    (busy,) = ask(alone, GOOD, path=PATH, settings=Settings(workers=1, waiting=-1))
    assert (busy.status, busy.headers["x-amzn-errortype"]) == (429, "ThrottlingException")
    assert busy.headers["retry-after"] == "1"

    class Broken(Brightness):
        def detect(self, pixels):
            if pixels[0].any():
                raise RuntimeError
            return super().detect(pixels)

    (failed,) = ask(Broken(), WHITE, path=PATH)
    assert (failed.status, failed.headers["x-amzn-errortype"]) == (500, "InternalServerException")
