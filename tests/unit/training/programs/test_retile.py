"""The program `retile`."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.training.model.anomaly_models import anomaly_folder, both_folder, detector_folder
from training import retile
from training.model.artefact import pack, read_anomaly_card, read_card, unpack
from training.model.scale import ACCEPT, Scale
from training.model.tiling import Tiles


@pytest.fixture(scope="module")
def learned(starter_folder, tmp_path_factory) -> Path:
    """A small model that knows the scale of the starter model, packed."""
    folder = tmp_path_factory.mktemp("small")
    return pack(
        detector_folder(folder, input_size=256, scale=read_card(starter_folder).scale),
        folder / "model.tar.gz",
    )


def test_tiles_are_added_to_an_artefact_and_removed_again(tmp_path, learned, capsys):
    model = str(tmp_path / "tiled.tar.gz")
    source = str(tmp_path / "none.tar.gz")
    assert retile.main(["--model", source, "--out", model, "--size", "640"]) == 1
    assert "none.tar.gz" in capsys.readouterr().err

    assert retile.main(["--model", str(learned), "--out", model, "--size", "640", "--overlap", "0.25"]) == 0
    assert unpack(tmp_path / "tiled.tar.gz", tmp_path / "a").tiles == Tiles(640, 0.25)
    assert retile.main(["--model", model, "--out", model, "--size", "0"]) == 0
    assert unpack(tmp_path / "tiled.tar.gz", tmp_path / "b").tiles is None


def test_without_a_size_tiles_are_as_large_as_what_the_model_has_learned(tmp_path, learned, capsys):
    model = str(tmp_path / "tiled.tar.gz")
    assert retile.main(["--model", str(learned), "--out", model]) == 0
    assert unpack(tmp_path / "tiled.tar.gz", tmp_path / "a").tiles == Tiles(200)

    card = unpack(learned, tmp_path / "b")
    replace(card, scale=None).write(tmp_path / "b")
    pack(tmp_path / "b", tmp_path / "old.tar.gz")
    assert retile.main(["--model", str(tmp_path / "old.tar.gz"), "--out", model]) == 1
    assert "does not know its scale: set --size" in capsys.readouterr().err


def test_a_model_can_be_told_to_accept_any_scale(tmp_path, learned):
    model = tmp_path / "any.tar.gz"
    assert retile.main(["--model", str(learned), "--out", str(model), "--size", "0", "--any-scale"]) == 0
    card = unpack(model, tmp_path / "a")
    assert card.scale is not None
    assert (card.scale.outside, card.tiles) == (ACCEPT, None)
    assert card.version != unpack(learned, tmp_path / "b").version


SCALE = Scale((1, 2), (1, 2), (1, 1))


def test_an_anomaly_model_is_not_cut_into_tiles_but_may_accept_any_scale(tmp_path, capsys):
    model, out = tmp_path / "grey.tar.gz", tmp_path / "out.tar.gz"
    pack(anomaly_folder(tmp_path / "grey", scale=SCALE), model)
    assert retile.main(["--model", str(model), "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert "is an anomaly model, which always sees the whole picture" in error
    assert "--size 0 --any-scale" in error
    assert not out.exists()
    assert retile.main(["--model", str(model), "--out", str(out), "--size", "0", "--any-scale"]) == 0
    assert unpack(out, tmp_path / "a").scale.outside == ACCEPT


def test_a_detector_with_an_anomaly_model_beside_it_gets_tiles_and_both_accept_any_scale(tmp_path):
    detector = detector_folder(tmp_path / "bright", scale=SCALE)
    both = both_folder(tmp_path / "both", detector, anomaly_folder(tmp_path / "grey", scale=SCALE))
    model, out = tmp_path / "both.tar.gz", tmp_path / "out.tar.gz"
    pack(both, model)
    assert retile.main(["--model", str(model), "--out", str(out), "--size", "640", "--any-scale"]) == 0
    card, beside = unpack(out, tmp_path / "a"), read_anomaly_card(tmp_path / "a")
    assert card.tiles == Tiles(640)
    assert card.scale.outside == beside.scale.outside == ACCEPT
    assert beside.tiles is None
