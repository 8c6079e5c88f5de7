"""The program `retile`."""

from tests.unit.training.conftest import STARTER
from training import retile
from training.model.artefact import unpack
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
