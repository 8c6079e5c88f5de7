"""A detector and an anomaly model become one artefact, and a new model keeps the champion's other half."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.model.anomaly_models import (
    SIZE,
    anomaly_folder,
    both_folder,
    detector_folder,
    graph,
    grey,
)
from training.learning.pairing import PairingError, forget_other_half, keep_other_half, pair
from training.model.artefact import ArtefactError, pack, read_anomaly_card, read_card, unpack
from training.model.models import load

SPOTTED = grey(SIZE, (2, 3), (2, 4))


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return detector_folder(tmp_path / "detector", operating_points={"bright": {"score": 0.4}})


@pytest.fixture
def anomaly(tmp_path: Path) -> Path:
    return anomaly_folder(tmp_path / "anomaly", operating_points={"anomaly": {"score": 0.5}})


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    return anomaly_folder(tmp_path / "newer", graph(SIZE, factor=0.5), name="newer")


def archive(folder: Path) -> Path:
    return pack(folder, folder.parent / f"{folder.name}.tar.gz")


# ---------------------------------------------------------------- both together


def test_both_answer_in_one_artefact_as_they_did_alone(detector, anomaly, tmp_path):
    card = pair(detector, anomaly, tmp_path / "both")
    unpacked = unpack(archive(tmp_path / "both"), tmp_path / "again")
    models, alone = load(tmp_path / "again"), load(anomaly)
    assert (unpacked.version, models.card.version) == (card.version, card.version)
    assert models.detector
    assert models.anomaly
    assert alone.anomaly
    np.testing.assert_array_equal(models.anomaly.raw(SPOTTED[None])[1], alone.anomaly.raw(SPOTTED[None])[1])
    for got, expected in zip(
        models.detector.raw(SPOTTED[None]), load(detector).detector.raw(SPOTTED[None]), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


def test_the_card_names_both_and_has_the_operating_points_of_both(detector, anomaly, tmp_path):
    card = pair(detector, anomaly, tmp_path / "both", "press 4")
    beside = read_card(anomaly)
    assert (card.name, card.family) == ("press 4", "ssdlite")
    assert card.anomaly_model == {"name": beside.name, "version": beside.version}
    assert card.operating_points == {"bright": {"score": 0.4}, "anomaly": {"score": 0.5}}
    assert card.answered_labels == ("bright", "anomaly")


def test_the_golden_pictures_are_those_of_both_and_not_of_a_former_anomaly_model(tmp_path):
    def golden(label: str, picture: str) -> list[dict[str, object]]:
        return [{"picture": picture, "labels": [label]}]

    detector = detector_folder(tmp_path / "detector", golden=golden("bright", "a"))
    anomaly = anomaly_folder(tmp_path / "anomaly", golden=golden("anomaly", "b"))
    newer = anomaly_folder(tmp_path / "newer", name="newer", golden=golden("anomaly", "c"))
    first = pair(detector, anomaly, tmp_path / "first")
    second = pair(tmp_path / "first", newer, tmp_path / "second")
    assert [[picture["picture"] for picture in card.golden] for card in (first, second)] == [
        ["a", "b"],
        ["a", "c"],
    ]


def test_another_anomaly_model_makes_another_version(detector, anomaly, newer, tmp_path):
    versions = {
        read_card(detector).version,
        pair(detector, anomaly, tmp_path / "one").version,
        pair(detector, newer, tmp_path / "two").version,
    }
    assert len(versions) == 3


def test_the_halves_of_two_pairs_make_a_third(detector, anomaly, newer, tmp_path):
    first = both_folder(tmp_path / "first", detector, anomaly)
    second = both_folder(tmp_path / "second", detector_folder(tmp_path / "other", name="other"), newer)
    card = pair(first, second, tmp_path / "third")
    assert (card.name, card.anomaly_model["name"]) == ("brightness", "newer")
    assert read_anomaly_card(tmp_path / "third").version == read_card(newer).version


def test_an_anomaly_model_is_no_detector_and_a_detector_no_anomaly_model(detector, anomaly, newer, tmp_path):
    with pytest.raises(PairingError, match="is an anomaly model, and no detector"):
        pair(anomaly, newer, tmp_path / "both")
    with pytest.raises(ArtefactError, match="a detector without an anomaly model"):
        pair(detector, detector, tmp_path / "both")
    assert not (tmp_path / "both").exists()


# ---------------------------------------------------------------- the champion's other half


def test_a_new_anomaly_model_gets_the_champion_s_detector(detector, anomaly, newer, tmp_path):
    new, expected = read_card(newer), read_card(detector)
    card = keep_other_half(newer, archive(detector))
    assert card == read_card(newer)
    assert card.onnx_sha256 == expected.onnx_sha256
    assert card.anomaly_model == {"name": "newer", "version": new.version}
    # The champion may have one already, which the new one replaces.
    again = anomaly_folder(tmp_path / "again", graph(SIZE, factor=0.25), name="again")
    champion = archive(both_folder(tmp_path / "champion", detector, anomaly))
    assert keep_other_half(again, champion).anomaly_model["name"] == "again"


def test_a_new_detector_gets_the_champion_s_anomaly_model(detector, anomaly, tmp_path):
    champion = both_folder(tmp_path / "champion", detector_folder(tmp_path / "old", name="old"), anomaly)
    for number, other in enumerate((champion, anomaly)):
        new = detector_folder(tmp_path / f"new{number}")
        card = keep_other_half(new, archive(other))
        assert (card.name, card.anomaly_model["name"]) == ("brightness", "grey")


def test_a_champion_of_the_same_kind_has_nothing_to_keep(detector, anomaly, newer, tmp_path):
    before = read_card(newer)
    assert keep_other_half(newer, archive(anomaly)) is None
    assert keep_other_half(detector_folder(tmp_path / "new"), archive(detector)) is None
    assert read_card(newer) == before


def test_the_champion_lies_in_the_folder_of_its_channel(detector, newer, tmp_path):
    (tmp_path / "channel").mkdir()
    pack(detector, tmp_path / "channel" / "model.tar.gz")
    assert keep_other_half(newer, tmp_path / "channel").name == "brightness"


@pytest.mark.parametrize("content", [None, b"no archive"])
def test_a_champion_that_is_missing_or_damaged_is_named(newer, tmp_path, content):
    champion = tmp_path / "champion.tar.gz"
    if content is not None:
        champion.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"champion.tar.gz"):
        keep_other_half(newer, champion)


def test_what_an_earlier_run_packed_beside_a_model_does_not_stay(detector, newer):
    keep_other_half(newer, archive(detector))
    forget_other_half(newer)
    replace(read_card(detector), name="new").write(newer)
    assert read_card(newer).anomaly_model is None
