"""`train` packs the other half of the model that serves beside the new one, in a job and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import training.train as program
from tests.unit.training.model.anomaly_models import anomaly_folder, detector_folder
from training.job.container import Container
from training.model.artefact import ModelCard, pack, read_card, unpack


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that ends at once: the model is there, as a family's training leaves it."""

    def learn(container: Container, *, by_hand: bool = False, json_lines: bool = False) -> ModelCard:
        return read_card(anomaly_folder(container.model, dataset={"train": 24}))

    monkeypatch.setattr(program, "_learn", learn)


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    return pack(detector_folder(tmp_path / "detector"), tmp_path / "serving.tar.gz")


def by_hand(out: Path, *options: str) -> list[str]:
    return ["--dataset", "parts", "--family", "patchcore_efficientnet_lite0", "--out", str(out), *options]


def test_by_hand_the_archive_contains_both(serving, tmp_path, capsys):
    assert program.main(by_hand(tmp_path / "run", "--beside", str(serving))) == 0
    card = unpack(tmp_path / "run" / "model.tar.gz", tmp_path / "unpacked")
    assert (card.name, card.anomaly_model["name"]) == ("brightness", "grey")
    assert (
        f"brightness {card.version}, 1 labels, with the anomaly model grey beside it"
        in capsys.readouterr().out
    )


def test_the_same_folder_without_beside_has_the_new_model_alone(serving, tmp_path):
    assert program.main(by_hand(tmp_path / "run", "--beside", str(serving))) == 0
    assert program.main(by_hand(tmp_path / "run")) == 0
    card = unpack(tmp_path / "run" / "model.tar.gz", tmp_path / "unpacked")
    assert (card.name, card.anomaly_model) == ("grey", None)


def test_a_model_that_is_not_there_is_named_before_anything_is_trained(tmp_path, capsys):
    assert program.main(by_hand(tmp_path / "run", "--beside", str(tmp_path / "gone.tar.gz"))) == 1
    assert "gone.tar.gz: no such file" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_job_finds_the_champion_in_its_channel_and_says_what_it_has_packed(
    serving, tmp_path, monkeypatch, capsys
):
    channel = tmp_path / "ml" / "input" / "data" / "champion"
    channel.mkdir(parents=True)
    serving.rename(channel / "model.tar.gz")
    monkeypatch.setenv("LOUPE_ML_ROOT", str(tmp_path / "ml"))
    assert program.main([]) == 0
    card = read_card(tmp_path / "ml" / "model")
    assert (card.name, card.anomaly_model["name"]) == ("brightness", "grey")
    (event,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (event["event"], event["version"]) == ("both", card.version)
