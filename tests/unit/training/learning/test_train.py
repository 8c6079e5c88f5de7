"""The program `train`: its data, its epochs, a restart after a kill, and the model that it leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import training.detectors.families as families  # noqa: E402
import training.learning.run as program  # noqa: E402
from tests.unit.training.conftest import STARTER  # noqa: E402
from tests.unit.training.learning import learning_support  # noqa: E402
from tests.unit.training.learning.learning_support import SIZE  # noqa: E402
from training.datasets import DatasetError  # noqa: E402
from training.datasets.generated.synthetic import generate  # noqa: E402
from training.job.container import run  # noqa: E402
from training.job.hyperparameters import HyperparameterError  # noqa: E402
from training.learning.checkpoints import CheckpointError, Checkpoints  # noqa: E402
from training.learning.data import open_training_data  # noqa: E402
from training.learning.engine import Epoch  # noqa: E402
from training.learning.hyperparameters import Hyperparameters  # noqa: E402
from training.learning.loading import Loader  # noqa: E402
from training.learning.run import train  # noqa: E402
from training.model.artefact import ModelCard, file_sha256, read_card, unpack  # noqa: E402
from training.model.decoding import Postprocess  # noqa: E402
from training.model.onnx_model import OnnxModel  # noqa: E402
from training.model.scale import measure  # noqa: E402
from training.train import main  # noqa: E402

SMALL = {"train_share": 0.5, "batch_size": 4}  # two steps in an epoch
TINY = 64  # pixels


def job(root, data, **settings):
    return learning_support.job(root, data, **({"family": "tiny", "input_size": TINY} | settings))


@pytest.fixture(autouse=True)
def tiny_family(monkeypatch):
    """The family `tiny` beside those of the product."""
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(Path(__file__).parent / "families")])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    generate(folder, 24, seed=5, size=SIZE)
    return folder


@pytest.fixture
def no_export(monkeypatch):
    """Leave out the export at the end of a run, for tests of what comes before it."""

    def bare_card(model, folder, settings, data, loader):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes(b"not exported")
        return ModelCard(
            name=settings.name,
            family=settings.family,
            labels=data.train.labels,
            input_size=model.input_size,
            normalisation=model.normalisation,
            postprocess=Postprocess(),
            onnx_sha256=file_sha256(folder / "model.onnx"),
            dataset=data.description,
        )

    monkeypatch.setattr(program, "export_with_card", bare_card)


def stopped_after(epoch, signal_number, monkeypatch):
    """Let a run get a real signal right after the checkpoint of an epoch."""
    original = Checkpoints.save

    def save(*arguments):
        original(*arguments)
        if arguments[-1].epoch == epoch:
            os.kill(os.getpid(), signal_number)

    monkeypatch.setattr(Checkpoints, "save", save)


def events(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def train_killed_after(epoch, container, monkeypatch):
    original = Checkpoints.save

    def kill(*arguments):
        original(*arguments)
        if arguments[-1].epoch == epoch:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", kill)
        with pytest.raises(KeyboardInterrupt):
            train(container)


def assert_same_average(*containers):
    first, second = (
        torch.load(container.checkpoints / "last.pt", weights_only=True) for container in containers
    )
    for name, value in first["average"].items():
        assert torch.allclose(value.float(), second["average"][name].float(), atol=1e-5), name


def by_hand(data, out, *options, epochs=1, family="tiny", size=TINY):
    defaults = ["batch_size=8", f"input_size={size}", *([] if "workers=1" in options else ["workers=0"])]
    settings = [part for setting in defaults for part in ("--set", setting)]
    command = ["--dataset", str(data), "--family", family, "--out", str(out), "--epochs", str(epochs)]
    return main([*command, *settings, *options])


# The data


def test_a_job_without_data_fails_with_the_reason_in_output_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("LOUPE_ML_ROOT", str(tmp_path))
    assert run(train) == 1
    assert "channel train is missing" in (tmp_path / "output/failure").read_text()


def test_a_validation_channel_with_labels_unknown_to_training_is_refused(tmp_path, data):
    container = job(tmp_path, data)
    other = tmp_path / "input/data/validation"
    shutil.copytree(data, other)
    document = json.loads((data / "annotations.json").read_text())
    document["categories"].append({"id": 99, "name": "rust"})
    (other / "annotations.json").write_text(json.dumps(document))
    with pytest.raises(DatasetError, match="rust"):
        train(container)


def test_a_refit_needs_both_parts_in_one_data_set(tmp_path, data):
    container = job(tmp_path, data, refit="true")
    shutil.copytree(data, tmp_path / "input/data/validation")
    with pytest.raises(HyperparameterError, match="leave the validation out"):
        train(container)


@pytest.mark.usefixtures("no_export")
def test_a_share_of_the_train_part_is_the_same_every_time_and_part_of_a_larger_one(
    tmp_path, data, monkeypatch
):
    monkeypatch.setattr(program, "train_epoch", lambda *arguments: Epoch(1, 1.0, 0.1, 0.0))
    names = []
    for run_number, share in enumerate((0.4, 0.8, 0.8, 1.0)):
        shares = []
        original = Loader.__init__

        def record(loader, dataset, *arguments, shares=shares, original=original, **options):
            shares.append({sample.name for sample in dataset.samples})
            original(loader, dataset, *arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(Loader, "__init__", record)
            container = job(tmp_path / str(run_number), data, train_share=share, epochs=1, refit="true")
            train(container)
        names.append(shares[0])
        assert read_card(container.model).dataset["train"] == len(shares[0])
    assert names[0] < names[1] == names[2] < names[3]


def test_the_instance_that_a_job_runs_on_is_known(tmp_path, data):
    container = job(tmp_path, data)
    assert container.instance_type is None
    (tmp_path / "input/config/resourceconfig.json").write_text('{"current_instance_type": "ml.g5.xlarge"}')
    assert container.instance_type == "ml.g5.xlarge"


# The epochs


@pytest.mark.usefixtures("no_export")
def test_mosaics_stop_for_the_last_fifth_of_the_epochs_and_return_in_cycles(tmp_path, data, monkeypatch):
    shares = {}
    original = Loader.batches

    def record(loader, epoch, batch_size, workers, mosaic=0.0):
        shares[epoch] = mosaic
        return original(loader, epoch, batch_size, workers, mosaic)

    monkeypatch.setattr(Loader, "batches", record)
    monkeypatch.setattr(program, "train_epoch", lambda *arguments: Epoch(1, 1.0, 0.1, 0.0))
    train(job(tmp_path, data, epochs=10, cycles=1, mosaic=0.5, refit="true"))
    del shares[0]  # counts the steps only
    assert list(shares.values()) == [0.5] * 8 + [0.0] * 2 + [0.5] * 2


def test_a_resumed_run_continues_from_the_last_epoch_and_ends_with_the_same_weights(
    tmp_path, data, capsys, monkeypatch
):
    whole, killed = (job(tmp_path / name, data, **SMALL) for name in ("whole", "killed"))
    with monkeypatch.context() as patch:  # its checkpoints are compared, not its export
        patch.setattr(program, "_finish", lambda training: None)
        train(whole)
    train_killed_after(1, killed, monkeypatch)
    capsys.readouterr()
    train(killed)

    output = capsys.readouterr().out
    assert [event["epoch"] for event in events(output) if event["event"] == "epoch"] == [2]
    assert any(line.startswith("epoch=2 loss=") and " val:map=" in line for line in output.splitlines())
    assert_same_average(whole, killed)

    card = read_card(killed.model)
    assert card.labels[0] == "crazing"
    assert card.scale == measure([(SIZE, SIZE)], TINY)
    assert card.bit_depth is None
    assert card.metrics["validation"]["images"] > 0
    assert card.dataset["split"].startswith("by image hash")
    with pytest.raises(CheckpointError, match="other hyperparameters"):
        train(job(tmp_path / "killed", data, seed=1, **SMALL))


@pytest.mark.usefixtures("no_export")
def test_a_run_killed_within_a_cycle_ends_with_the_mean_of_all_cycles(tmp_path, data, capsys, monkeypatch):
    settings = SMALL | {"epochs": 1, "cycles": 2, "patience": 1, "mosaic": 0.5}
    whole, killed = (job(tmp_path / name, data, **settings) for name in ("whole", "killed"))
    train(whole)
    train_killed_after(4, killed, monkeypatch)
    capsys.readouterr()
    train(killed)
    epochs = [event for event in events(capsys.readouterr().out) if event["event"] == "epoch"]
    assert [(event["epoch"], event["epochs"]) for event in epochs] == [(5, 5)]
    assert_same_average(whole, killed)


@pytest.mark.usefixtures("no_export")
def test_a_run_without_progress_stops_early_and_keeps_its_best_epoch(tmp_path, data, capsys):
    container = job(tmp_path, data, epochs=50, patience=2, learning_rate=1e-12)
    train(container)
    (stop,) = [event for event in events(capsys.readouterr().out) if event["event"] == "early_stop"]
    assert stop["epoch"] == stop["best_epoch"] + 2
    assert read_card(container.model).metrics["training"]["epochs"] == stop["epoch"]


# The model


def test_a_refit_learns_from_the_validation_part_too_and_keeps_its_last_epoch(tmp_path, data, capsys):
    usual = open_training_data(job(tmp_path / "usual", data), Hyperparameters()).description
    container = job(tmp_path / "refit", data, refit="true", patience=1)
    train(container)
    assert "val:map" not in capsys.readouterr().out
    card = read_card(container.model)
    assert card.dataset["train"] == usual["train"] + usual["validation"]
    assert card.dataset["validation"] == 0
    assert "validation part learned from" in card.dataset["split"]
    assert card.metrics["best_epoch"] == 2
    assert "validation" not in card.metrics
    assert card.operating_points == {}
    images = [np.zeros((TINY, TINY, 3), np.uint8)]
    assert len(OnnxModel(container.model).detect(images)) == 1


def test_by_hand_a_run_leaves_a_packed_model_and_says_what_it_cost(tmp_path, data, capsys):
    out = tmp_path / "out"
    options = ["--pretrained", str(STARTER), "--set", "workers=1", "--set", "train_share=0.5"]
    assert by_hand(data, out, *options, family="ssdlite", size=SIZE) == 0
    text = capsys.readouterr().out
    assert "started from model.tar.gz" in text
    assert "epoch   1/1" in text
    assert "waiting for data" in text
    assert "peak memory" in text
    card = unpack(out / "model.tar.gz", tmp_path / "unpacked")
    assert card.family == "ssdlite"
    assert card.metrics["training"]["seconds"] > 0
    assert card.metrics["training"]["pretrained"]["source"] == "model.tar.gz"
    assert len(card.metrics["training"]["pretrained"]["sha256"]) == 64
    assert by_hand(data, out, *options, "--set", "seed=1", family="ssdlite", size=SIZE) == 1
    assert "other hyperparameters" in capsys.readouterr().err


@pytest.mark.usefixtures("no_export")
def test_a_run_that_is_stopped_says_after_which_epoch_and_the_same_command_continues_it(
    tmp_path, data, capsys, monkeypatch
):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stopped_after(1, signal.SIGINT, patch)
        assert by_hand(data, out, "--set", "refit=true", epochs=2) == 130
    captured = capsys.readouterr()
    assert captured.err == "loupe: stopped after epoch 1 of 2; the same command continues\n"
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == ["last.pt"]
    assert not (out / "model.tar.gz").exists()

    assert by_hand(data, out, "--set", "refit=true", epochs=2) == 0
    text = capsys.readouterr().out
    assert "continuing after epoch 1" in text
    assert "not validated" in text
    assert f"loupe evaluate --model {out}/model.tar.gz --dataset {data}" in text
    assert f"loupe deploy {out}/model.tar.gz" in text


@pytest.mark.usefixtures("no_export")
def test_a_run_that_is_stopped_in_its_first_epoch_says_that_nothing_is_kept(
    tmp_path, data, capsys, monkeypatch
):
    monkeypatch.setattr(program, "train_epoch", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    assert by_hand(data, tmp_path / "out") == 130
    assert "stopped before the end of epoch 1 of 1; the same command starts again" in capsys.readouterr().err


@pytest.mark.usefixtures("no_export")
def test_by_hand_every_line_for_machines_is_json_and_the_last_one_names_the_model(tmp_path, data, capsys):
    assert by_hand(data, tmp_path / "out", "--set", "refit=true", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["start", "epoch", "done", "artefact"]
    assert lines[-1]["path"] == str(tmp_path / "out/model.tar.gz")


@pytest.mark.usefixtures("no_export")
def test_a_job_that_is_stopped_keeps_its_checkpoint_and_is_no_failure(tmp_path, data, capsys, monkeypatch):
    container = job(tmp_path, data, epochs=2, refit="true")
    monkeypatch.setenv("LOUPE_ML_ROOT", str(tmp_path))
    stopped_after(1, signal.SIGTERM, monkeypatch)
    assert main([]) == 143
    assert "after epoch 1 of 2" in capsys.readouterr().err
    assert (container.checkpoints / "last.pt").exists()
    assert not (container.output / "failure").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--epochs", "many"], "argument --epochs: 'many' is not a whole number of 1 or more"),
        (["--epochs", "0"], "argument --epochs: '0' is not a whole number of 1 or more"),
        (["--pretrained", ""], "argument --pretrained: it is empty"),
    ],
)
def test_a_wrong_option_is_refused_with_where_to_look(tmp_path, options, reason, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--dataset", "x", "--family", "ssdlite", "--out", str(tmp_path), *options])
    assert capsys.readouterr().err == f"loupe: {reason}\n       loupe train --help lists the options.\n"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--set", "epochs=0"], "--set epochs=0: must be greater than or equal to 1"),
        (["--set", "epochs=many"], "--set epochs=many: must be a valid integer"),
        (["--set", "learning_rate=0"], "--set learning_rate=0: must be greater than 0"),
        (["--set", "epoch=3"], "--set epoch=3 is unknown, did you mean epochs? known are family, "),
        (["--set", "epochs"], "--set 'epochs' is not of the form NAME=VALUE"),
        (["--epochs", "1", "--set", "epochs=2"], "--epochs and --set epochs=2 both set epochs"),
        (["--family", "yolo"], "unknown family 'yolo'; known are "),
        (["--pretrained", "imagenat"], "imagenat is not a file, a folder, or the name of published weights"),
    ],
)
def test_a_wrong_setting_by_hand_is_named_as_it_was_given(tmp_path, data, options, reason, capsys):
    command = ["--dataset", str(data), "--family", "ssdlite", "--out", str(tmp_path / "out")]
    assert main([*command, *options]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"loupe: {reason}")
    for word in ("hyperparameter", "channel", "/opt/ml"):
        assert word not in err


def test_options_alone_never_start_a_job(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--epochs", "3"])
    assert "--dataset, --family, --out" in capsys.readouterr().err


def test_a_data_set_that_does_not_exist_is_named(tmp_path, capsys):
    command = ["--dataset", str(tmp_path / "none"), "--family", "ssdlite", "--out", str(tmp_path / "out")]
    assert main(command) == 1
    assert capsys.readouterr().err == f"loupe: {tmp_path / 'none'}: no such file or folder\n"
