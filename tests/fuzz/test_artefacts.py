"""Damaged artefacts and hostile headers: a model that can judge, or an error in words; never a silent pass."""

from __future__ import annotations

import json
import math
import random
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contract.endpoint import ATTRIBUTES_HEADER, bit_depth_of, wants_heat_map
from tests.fuzz.mutation import mutate
from tests.unit.training.model.anomaly_models import (
    SIZE,
    anomaly_folder,
    both_folder,
    detector_folder,
    grey,
)
from training.model.anomaly import AnomalyModel, anomalies
from training.model.artefact import ANOMALY_CARD, CARD, ArtefactError, pack, read_card, unpack
from training.model.models import load
from training.serving.negotiation import Form, asked, form_of
from training.serving.refusals import RefusedError

FEW = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["anomaly", 0, 1, -1, 1e-300, 1e300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return anomaly_folder(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def both(tmp_path_factory, alone):
    folder = tmp_path_factory.mktemp("both")
    return both_folder(folder / "both", detector_folder(folder / "bright"), alone)


@pytest.fixture(scope="module")
def archive(tmp_path_factory, both):
    return pack(both, tmp_path_factory.mktemp("archive") / "model.tar.gz")


@given(seed=st.integers(0, 10**9))
@FEW
def test_a_mutated_archive_is_the_same_model_or_an_error_in_words(both, archive, seed):
    with tempfile.TemporaryDirectory() as target:
        mutated = Path(target) / "mutated.tar.gz"
        mutated.write_bytes(mutate(archive.read_bytes(), random.Random(seed), [archive.read_bytes()]))  # noqa: S311 - not a secret
        try:
            card = unpack(mutated, Path(target) / "model")
        except ArtefactError:
            return
        # What is compressed has a checksum, and the graphs have another one.
        assert card.version == read_card(both).version


@pytest.mark.promise(30)
@given(data=st.data())
@FEW
def test_any_value_in_the_card_of_an_anomaly_model_is_refused_or_judges(alone, data):
    document = json.loads((alone / CARD).read_text())
    place, names = document, list(document)
    if data.draw(st.booleans()):
        place, names = document["anomaly"], [*document["anomaly"], "share"]
    place[data.draw(st.sampled_from(names))] = data.draw(VALUES)
    whole = (alone / CARD).read_text()
    try:
        (alone / CARD).write_text(json.dumps(document))
        model = AnomalyModel(alone, threads=1)
    except ArtefactError:
        return
    finally:
        (alone / CARD).write_text(whole)
    for judgement in model.judge([grey(), grey(SIZE, (1, 1))]):
        assert 0 <= judgement.score <= 1
        assert math.isfinite(judgement.distance)
        scores = anomalies(judgement, model.scale).scores
        assert judgement.foreign or judgement.score < 0.05 or scores[0] == np.float32(judgement.score)


@given(seed=st.integers(0, 10**9), name=st.sampled_from([CARD, ANOMALY_CARD]))
@FEW
def test_a_mutated_card_beside_the_other_is_refused_or_names_it(both, seed, name):
    whole = (both / name).read_bytes()
    try:
        (both / name).write_bytes(mutate(whole, random.Random(seed), [whole]))  # noqa: S311 - not a secret
        models = load(both, threads=1)
    except ArtefactError:
        return
    finally:
        (both / name).write_bytes(whole)
    if models.anomaly is not None:
        named = models.card.anomaly_model
        assert named == {"name": models.anomaly.card.name, "version": models.anomaly.card.version}


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from([*"*/;,= q.", "image", "png", "json", "q=0.5"])).map("".join)
)
@example("image/png;q=nan")
@example("image/png;q=1e999, */*;q=-1")
@FEW
def test_any_accept_is_a_form_or_a_406(alone, both, accept):
    for card in (read_card(alone), replace(read_card(both), anomaly_model=None)):
        try:
            form = form_of(accept, card)
        except RefusedError as refusal:
            form = (refusal.status, refusal.code)
        assert form in (*Form, (406, "not_acceptable"))


@given(st.text(max_size=1100) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
@FEW
def test_any_attributes_are_read_or_ignored(alone, text):
    wanted = asked({ATTRIBUTES_HEADER: text}, read_card(alone), heat_map=False)
    assert (wanted.heat_map, wanted.bit_depth) == (wants_heat_map(text), bit_depth_of(text))
    assert wanted.form is Form.JSON


def test_an_archive_with_a_fifth_file_is_refused(both, tmp_path):
    archive = pack(both, tmp_path / "model.tar.gz")
    with tarfile.open(archive) as source, tarfile.open(tmp_path / "more.tar.gz", "w:gz") as target:
        for member in source:
            target.addfile(member, source.extractfile(member))
        target.addfile(tarfile.TarInfo("anomaly.py"))
    with pytest.raises(ArtefactError, match=r"'anomaly\.py', which is not part of a model artefact"):
        unpack(tmp_path / "more.tar.gz", tmp_path / "target")
