"""The program `retile`."""

from dataclasses import replace

from tests.unit.training.conftest import STARTER
from training import retile
from training.model.artefact import pack, unpack
from training.model.scale import ACCEPT
from training.model.tiling import Tiles


def test_tiles_are_added_to_an_artefact_and_removed_again(tmp_path, starter_folder, capsys):
    model = str(tmp_path / "tiled.tar.gz")
    source = str(starter_folder.parent / "none.tar.gz")
    assert retile.main(["--model", source, "--out", model, "--size", "640"]) == 1
    assert "none.tar.gz" in capsys.readouterr().err

    assert retile.main(["--model", str(STARTER), "--out", model, "--size", "640", "--overlap", "0.25"]) == 0
    assert unpack(tmp_path / "tiled.tar.gz", tmp_path / "a").tiles == Tiles(640, 0.25)
    assert retile.main(["--model", model, "--out", model, "--size", "0"]) == 0
    assert unpack(tmp_path / "tiled.tar.gz", tmp_path / "b").tiles is None


def test_without_a_size_tiles_are_as_large_as_what_the_model_has_learned(tmp_path, capsys):
    model = str(tmp_path / "tiled.tar.gz")
    assert retile.main(["--model", str(STARTER), "--out", model]) == 0
    assert unpack(tmp_path / "tiled.tar.gz", tmp_path / "a").tiles == Tiles(200)

    card = unpack(STARTER, tmp_path / "b")
    replace(card, scale=None).write(tmp_path / "b")
    pack(tmp_path / "b", tmp_path / "old.tar.gz")
    assert retile.main(["--model", str(tmp_path / "old.tar.gz"), "--out", model]) == 1
    assert "does not know its scale: set --size" in capsys.readouterr().err


def test_a_model_can_be_told_to_accept_any_scale(tmp_path):
    model = tmp_path / "any.tar.gz"
    assert retile.main(["--model", str(STARTER), "--out", str(model), "--size", "0", "--any-scale"]) == 0
    card = unpack(model, tmp_path / "a")
    assert card.scale is not None
    assert (card.scale.outside, card.tiles) == (ACCEPT, None)
    assert card.version != unpack(STARTER, tmp_path / "b").version
