"""`loupe ensemble` puts an anomaly model beside a detector, and refuses what is not clear."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.training.model.anomaly_models import (
    SIZE,
    anomaly_folder,
    both_folder,
    detector_folder,
    graph,
)
from training.ensemble import main
from training.model.artefact import pack, read_card, unpack


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    detector = detector_folder(tmp_path / "detector")
    anomaly = anomaly_folder(tmp_path / "anomaly")
    newer = anomaly_folder(tmp_path / "newer", graph(SIZE, factor=0.5), name="newer")
    folders = {
        "detector": detector,
        "anomaly": anomaly,
        "newer": newer,
        "both": both_folder(tmp_path / "both", detector, anomaly),
        "other": both_folder(tmp_path / "other", detector, newer),
    }
    return {name: pack(folder, tmp_path / f"{name}.tar.gz") for name, folder in folders.items()}


def ensemble(models: dict[str, Path], names: str, *options: str) -> tuple[int, Path]:
    out = models["detector"].parent / "out.tar.gz"
    return main([*(str(models[name]) for name in names.split()), "--out", str(out), *options]), out


@pytest.mark.parametrize("order", ["detector anomaly", "anomaly detector"])
def test_a_detector_and_an_anomaly_model_are_packed_together_in_either_order(models, order, tmp_path, capsys):
    status, out = ensemble(models, order)
    card = unpack(out, tmp_path / "unpacked")
    assert (status, card.name, card.anomaly_model["name"]) == (0, "brightness", "grey")
    assert (
        capsys.readouterr().out
        == f"{out}: brightness {card.version}, {card.kind}, with the anomaly model grey "
        f"{card.anomaly_model['version']} beside it\n"
    )


def test_the_json_names_both(models, tmp_path, capsys):
    _, out = ensemble(models, "detector anomaly", "--json", "--name", "press")
    document = json.loads(capsys.readouterr().out)
    card = unpack(out, tmp_path / "unpacked")
    assert (document["name"], document["version"]) == ("press", card.version)
    assert (document["anomaly_model"], document["replaced"]) == (card.anomaly_model, [])


def test_an_anomaly_model_given_by_itself_replaces_the_one_that_is_there_and_says_so(
    models, tmp_path, capsys
):
    status, out = ensemble(models, "both newer")
    assert (status, unpack(out, tmp_path / "unpacked").anomaly_model["name"]) == (0, "newer")
    old = read_card(tmp_path / "anomaly").version
    assert f"beside it in place of grey {old}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("anomaly newer", "these are anomaly models"),
        ("detector anomaly newer", "one anomaly model beside it"),
        ("both other", "one anomaly model beside it"),
        ("both", "an ensemble has two models or more"),
    ],
)
def test_what_is_not_clear_is_refused_and_nothing_is_written(models, names, told, capsys):
    status, out = ensemble(models, names)
    error = capsys.readouterr().err
    assert (status, out.exists()) == (1, False)
    assert error.startswith("loupe: ")
    assert told in error


def test_a_data_set_evaluates_nothing_where_nothing_is_averaged(models, capsys):
    status, out = ensemble(models, "detector anomaly", "--dataset", "LABELLED")
    assert (status, out.exists()) == (1, False)
    assert "Leave --dataset out." in capsys.readouterr().err
