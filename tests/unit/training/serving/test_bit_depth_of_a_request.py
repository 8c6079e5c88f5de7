"""The bit depth of a request reaches the decoder, in a thread and in a worker process alike."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from contract.endpoint import attributes
from tests.unit.training.serving.serving_support import Brightness, ask, models_of
from training.model.artefact import ModelCard
from training.serving.settings import Settings
from training.serving.workers import Workers


def make_predictor():
    from training.serving.inference import ThreadPredictor

    return ThreadPredictor(models_of(Brightness()), Settings())


def workers() -> Workers:
    card: ModelCard = Brightness().card
    return Workers(make_predictor, card, Settings(workers=1))


@pytest.mark.parametrize("make", [Brightness, workers], ids=["thread", "process"])
def test_a_request_states_the_bit_depth_of_its_picture(make):
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 40), 200 << 4, np.uint16)).save(buffer, "PNG")

    (dark,) = ask(make(), buffer.getvalue())
    (bright,) = ask(make(), buffer.getvalue(), attributes=attributes(12))

    assert dark.document["quality"]["exposure"] < 0.1
    assert "bit depth not known" in dark.document["warnings"][0]["message"]
    assert bright.document["quality"]["exposure"] == pytest.approx(200 / 255, abs=0.01)
    assert bright.document["warnings"] == []
