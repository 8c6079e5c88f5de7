"""Heat maps: what the answer of an endpoint may contain, and how a record refers to it."""

import base64
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from inspection import heat_maps
from inspection.detector import Prediction
from tests.inspection_support import anomaly, heat_map, picture, prediction


def png(mode: str = "L", size: tuple[int, int] = (40, 40)) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, "PNG")
    return buffer.getvalue()


def predicted(**changes: Any) -> Prediction:
    return Prediction.model_validate(prediction(anomaly=anomaly() | changes))


def test_an_answer_has_the_heat_map_as_the_bytes_of_its_png() -> None:
    found = predicted().anomaly
    assert found is not None
    assert (found.score, found.distance, found.model.version) == (0.93, 35.25, "3")
    assert found.heat_map == heat_map()


def test_an_anomaly_model_may_answer_without_a_heat_map_and_a_detector_without_an_anomaly() -> None:
    found = predicted(heat_map=None).anomaly
    assert found is not None
    assert found.heat_map is None
    assert Prediction.model_validate(prediction()).anomaly is None


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (b"no picture", "is no picture"),
        (b"", "is no picture"),
        (heat_map()[:-30], "is no picture"),
        (picture("JPEG"), "no grey PNG"),
        (png("RGB"), "no grey PNG"),
        (png("I;16"), "no grey PNG"),
        (png(size=(1000, 1000)), "at most"),
        (heat_map() + bytes(4096), "at most 4,096 are allowed"),
    ],
)
def test_what_is_no_small_grey_png_does_not_fit_the_contract(wrong: bytes, reason: str) -> None:
    with pytest.raises(ValidationError) as error:
        predicted(heat_map=base64.b64encode(wrong).decode())
    (problem,) = error.value.errors()
    assert problem["loc"] == ("anomaly", "heat_map")
    assert reason in problem["msg"] or "the limit is" in problem["msg"]


@pytest.mark.parametrize("wrong", ["no base64!", "ä", 7, ["a"]])
def test_what_is_no_base64_does_not_fit_the_contract(wrong: object) -> None:
    with pytest.raises(ValidationError, match="PNG in base64"):
        predicted(heat_map=wrong)


@given(st.binary(max_size=300))
def test_damaged_bytes_are_refused_and_nothing_else_happens(tail: bytes) -> None:
    damaged = base64.b64encode(heat_map()[:40] + tail).decode()
    with pytest.raises(ValidationError):
        predicted(heat_map=damaged)


def test_a_score_beyond_1_does_not_fit_the_contract() -> None:
    with pytest.raises(ValidationError):
        predicted(score=1.2)


def test_a_record_without_an_anomaly_has_no_heat_map() -> None:
    assert heat_maps.name_in({"id": "a"}) is None
    assert heat_maps.name_in({"id": "a", "anomaly": {"score": 0.1}}) is None


def test_the_data_url_of_a_heat_map_is_its_png() -> None:
    kind, _, body = heat_maps.data_url(heat_map()).partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(body) == heat_map()
