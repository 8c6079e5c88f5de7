"""Training learns, goes on after a kill, stops on nonsense, and exports what it learned."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict

import numpy as np
import pytest

torch = pytest.importorskip("torch")


from tests.unit.training.conftest import STARTER  # noqa: E402
from training.datasets import DatasetError  # noqa: E402
from training.datasets.generated.synthetic import draw, generate  # noqa: E402
from training.detectors import Target  # noqa: E402
from training.detectors.registry import (  # noqa: E402
    UnknownFamilyError,
    build,
    recipe,
)
from training.job.container import Container, HyperparameterError, run  # noqa: E402
from training.learning.checkpoints import CheckpointError, Checkpoints  # noqa: E402
from training.learning.engine import MovingAverage, NonFiniteLossError, Schedule, optimiser_of, train_epoch  # noqa: E402
from training.learning.export import ParityError, check_parity, export  # noqa: E402
from training.learning.hyperparameters import Hyperparameters  # noqa: E402
from training.learning.weights import start_from  # noqa: E402
from training.model.artefact import ModelCard, file_sha256, pack, read_card, unpack  # noqa: E402
from training.model.onnx_model import OnnxModel  # noqa: E402
from training.train import main, train  # noqa: E402

SIZE = 128
torch.set_num_threads(1)  # small tensors: threads would only wait for each other


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    generate(folder, 24, seed=5, size=128)
    return folder


def container(root, data, **hyperparameters):
    channel = root / "input/data/train"
    if not channel.exists():
        channel.parent.mkdir(parents=True)
        channel.symlink_to(data)
    config = root / "input/config/hyperparameters.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    settings = {"input_size": SIZE, "epochs": 2, "batch_size": 8, "validate_every": 1, "workers": 0}
    config.write_text(json.dumps({name: str(value) for name, value in (settings | hyperparameters).items()}))
    return Container(root)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build("ssdlite", 6, SIZE)


def images(count=2):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 255, (count, SIZE, SIZE, 3), dtype=np.uint8))


def some(boxes=((0.1, 0.1, 0.6, 0.6),), classes=(1,)):
    return Target(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(classes, dtype=torch.int64)
    )


def test_an_image_without_boxes_trains(model):
    losses = model.losses(images(), [some((), ()), some((), ())])
    total = sum(losses.values())
    assert torch.isfinite(total)
    assert total > 0
    total.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.head.parameters())


def test_a_box_survives_the_encoding_round_trip(model):
    anchors = model.get_buffer("anchors")
    wanted = torch.rand(len(anchors), 4).sort(dim=1).values[:, [0, 1, 2, 3]]
    wanted = torch.stack([wanted[:, 0], wanted[:, 1], wanted[:, 2] + 0.01, wanted[:, 3] + 0.01], dim=1).clamp(
        0, 1
    )
    decoded = model._decode(model._coder.encode_single(wanted, anchors)[None])[0]
    assert torch.allclose(decoded, wanted, atol=1e-4)


def test_a_batch_equals_its_singles(model):
    model.eval()
    with torch.no_grad():
        boxes, scores = model(images(3))
        for index in range(3):
            alone = model(images(3)[index : index + 1])
            assert torch.allclose(alone[0][0], boxes[index], atol=1e-4)
            assert torch.allclose(alone[1][0], scores[index], atol=1e-4)


def test_a_few_steps_on_one_batch_lower_the_loss(model):
    optimiser = optimiser_of(model, 1e-3, 0.01)
    batch = [(images(2), [some()] * 2)] * 4
    average = MovingAverage(model, 0.9, Schedule(1e-3, 1, 1000))
    device = torch.device("cpu")
    first = train_epoch(model, average, optimiser, Schedule(1e-3, 1, 1000), batch, 0, device)
    second = train_epoch(model, average, optimiser, Schedule(1e-3, 1, 1000), batch, first.step, device)
    assert second.step == 8
    assert second.loss < first.loss


def test_without_a_gradient_only_what_multiplies_is_decayed(model):
    optimiser = optimiser_of(model, 0.1, 0.5)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, value in model.named_parameters():
        assert torch.allclose(value, before[name] * (0.95 if value.ndim > 1 else 1.0)), name


def test_the_time_spent_waiting_for_data_is_told(model):
    def slow():
        time.sleep(0.5)
        yield images(2), [some()] * 2

    optimiser = optimiser_of(model, 1e-3, 0.01)
    average = MovingAverage(model, 0.9, Schedule(1e-3, 1, 1000))
    done = train_epoch(model, average, optimiser, Schedule(1e-3, 1, 9), slow(), 0, torch.device("cpu"))
    assert 0.5 <= done.waiting < done.seconds


def test_a_non_finite_loss_stops_with_the_step_and_the_parts(model):
    with torch.no_grad():
        next(model.head.parameters()).fill_(float("nan"))
    optimiser = optimiser_of(model, 1e-3, 0.01)
    average, device = MovingAverage(model, 0.9, Schedule(1e-3, 1, 1000)), torch.device("cpu")
    with pytest.raises(NonFiniteLossError, match=r"nan at step 3.*classes"):
        train_epoch(model, average, optimiser, Schedule(1e-3, 1, 10), [(images(), [some()] * 2)], 3, device)


def test_the_learning_rate_warms_up_then_falls():
    schedule = Schedule(peak=1.0, warm_up=5, total=50)
    rates = [schedule.at(step) for step in range(50)]
    assert rates[:5] == sorted(rates[:5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert max(rates) == 1.0


def test_in_a_cycle_the_learning_rate_falls_again_from_half_its_peak():
    schedule = Schedule(peak=1.0, warm_up=5, total=50, cycle=10)
    first, second = ([schedule.at(step) for step in range(start, start + 10)] for start in (50, 60))
    assert first == second == sorted(first, reverse=True)
    assert first[0] == 0.5
    assert schedule.at(49) < first[-1] < 0.05


def test_the_average_becomes_the_mean_of_the_weights_at_the_ends_of_cycles(model):
    average = MovingAverage(model, 0.9, Schedule(1e-3, 1, total=4, cycle=2))
    (name, weight), *_ = model.named_parameters()
    seen = []
    for step in range(10):
        with torch.no_grad():
            weight.fill_(float(step))
        average.update(model, step)
        seen.append(average.model.state_dict()[name].flatten()[0].item())
    assert 0 < seen[3] < 3  # it lags behind
    assert seen[4] == seen[3]  # within a cycle it stays
    assert seen[5:] == [5.0, 5.0, 6.0, 6.0, 7.0]


def test_an_unknown_family_or_hyperparameter_is_named_with_the_known_ones(tmp_path, data):
    with pytest.raises(UnknownFamilyError, match=r"'yolo'.*ssdlite"):
        build("yolo", 1, SIZE)
    with pytest.raises(HyperparameterError, match=r"'epoch'.*epochs"):
        container(tmp_path / "a", data, epoch=3).hyperparameters(Hyperparameters)
    with pytest.raises(HyperparameterError, match="epochs='many'"):
        container(tmp_path / "b", data, epochs="many").hyperparameters(Hyperparameters)


def test_hyperparameters_come_as_strings_and_sagemakers_own_are_passed_over(tmp_path, data):
    settings = container(tmp_path, data, learning_rate="2e-3", sagemaker_program="x").hyperparameters(
        Hyperparameters
    )
    assert settings.learning_rate == 0.002
    assert settings.input_size == SIZE
    assert asdict(settings)["seed"] == 0


def test_a_job_without_data_fails_with_the_reason_in_output_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("LOUPE_ML_ROOT", str(tmp_path))
    assert run(train) == 1
    assert "channel train is missing" in (tmp_path / "output/failure").read_text()


def test_an_export_that_differs_is_refused(model, tmp_path, starter_folder):
    twin = build("ssdlite", 6, 256)
    start_from(twin, pack(starter_folder, tmp_path / "model.tar.gz"))
    pixels = [np.asarray(draw(8, i, kind="patches")[0].resize((256, 256)).convert("RGB")) for i in range(4)]
    assert check_parity(twin, OnnxModel(starter_folder), pixels) < 0.001
    with torch.no_grad():
        for parameter in twin.head.classification_head.parameters():
            parameter.mul_(0.8)
    with pytest.raises(ParityError, match="differ"):
        check_parity(twin, OnnxModel(starter_folder), pixels)


def train_killed_after(epoch, job, monkeypatch):
    original = Checkpoints.save

    def kill(*arguments):
        original(*arguments)
        if arguments[-1].epoch == epoch:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", kill)
        with pytest.raises(KeyboardInterrupt):
            train(job)


def assert_same_average(*jobs):
    first, second = (torch.load(job.checkpoints / "last.pt", weights_only=True) for job in jobs)
    for name, value in first["average"].items():
        assert torch.allclose(value.float(), second["average"][name].float(), atol=1e-5), name


@pytest.mark.slow
def test_a_resumed_run_continues_from_the_last_epoch_and_ends_with_the_same_weights(
    tmp_path, data, capsys, monkeypatch
):
    whole, killed = container(tmp_path / "whole", data), container(tmp_path / "killed", data)
    train(whole)
    train_killed_after(1, killed, monkeypatch)
    capsys.readouterr()
    train(killed)

    lines = capsys.readouterr().out.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    assert [e["epoch"] for e in events if e["event"] == "epoch"] == [2]
    assert any(line.startswith("epoch=2 loss=") and " val:map=" in line for line in lines)
    assert_same_average(whole, killed)

    card = read_card(killed.model)
    assert card.labels[0] == "crazing"
    assert card.metrics["validation"]["images"] > 0
    assert card.dataset["split"].startswith("by image hash")
    with pytest.raises(CheckpointError, match="other hyperparameters"):
        train(container(tmp_path / "killed", data, seed=1))


@pytest.mark.slow
def test_the_exported_graph_takes_any_batch_and_equals_torch(model, tmp_path):
    path = export(model, tmp_path)
    ModelCard(
        "m",
        "ssdlite",
        tuple("abcdef"),
        SIZE,
        model.normalisation,
        model.postprocess,
        onnx_sha256=file_sha256(path),
    ).write(tmp_path)
    exported = OnnxModel(tmp_path, threads=1)
    for count in (1, 3):
        boxes, scores = exported.raw(images(count).numpy())
        with torch.no_grad():
            expected = model(images(count))
        assert np.allclose(boxes, expected[0].numpy(), atol=1e-4)
        assert np.allclose(scores, expected[1].numpy(), atol=1e-4)


def test_a_validation_channel_with_labels_unknown_to_training_is_refused(tmp_path, data):
    job = container(tmp_path, data)
    other = tmp_path / "input/data/validation"
    shutil.copytree(data, other)
    document = json.loads((data / "annotations.json").read_text())
    document["categories"].append({"id": 99, "name": "rust"})
    (other / "annotations.json").write_text(json.dumps(document))
    with pytest.raises(DatasetError, match="rust"):
        train(job)


def test_the_instance_that_a_job_runs_on_is_known(tmp_path, data):
    job = container(tmp_path, data)
    assert job.instance_type is None
    (tmp_path / "input/config/resourceconfig.json").write_text('{"current_instance_type": "ml.g5.xlarge"}')
    assert job.instance_type == "ml.g5.xlarge"


def test_what_is_not_set_comes_from_the_familys_recipe(tmp_path, data):
    given = container(tmp_path, data, input_size=0, epochs=0, learning_rate=0).hyperparameters(
        Hyperparameters
    )
    settings, suits = given.completed(), recipe("ssdlite")
    assert (settings.input_size, settings.epochs) == (suits.input_size, suits.epochs)
    assert settings.learning_rate == suits.learning_rate
    assert settings.batch_size == 8


@pytest.mark.slow
def test_a_run_without_progress_stops_early_and_keeps_its_best_epoch(tmp_path, data, capsys):
    job = container(tmp_path, data, epochs=50, patience=2, learning_rate=1e-12)
    train(job)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    (stop,) = [event for event in events if event["event"] == "early_stop"]
    assert stop["epoch"] == stop["best_epoch"] + 2
    assert read_card(job.model).metrics["training"]["epochs"] == stop["epoch"]


@pytest.mark.slow
def test_a_run_killed_within_a_cycle_ends_with_the_mean_of_all_cycles(tmp_path, data, capsys, monkeypatch):
    settings = {"cycles": 2, "patience": 1, "mosaic": 0.5}
    whole, killed = (container(tmp_path / name, data, **settings) for name in ("whole", "killed"))
    train(whole)
    train_killed_after(5, killed, monkeypatch)
    capsys.readouterr()
    train(killed)
    lines = capsys.readouterr().out.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    assert [(e["epoch"], e["epochs"]) for e in events if e["event"] == "epoch"] == [(6, 6)]
    assert_same_average(whole, killed)


@pytest.mark.parametrize("wrong", [{"cycles": -1}, {"cycles": 2, "tuned": "true"}])
def test_cycles_are_counted_from_none_and_nothing_to_tune_with(tmp_path, data, wrong):
    with pytest.raises(HyperparameterError, match="tune first"):
        train(container(tmp_path, data, **wrong))


@pytest.mark.slow
def test_a_refit_learns_from_the_validation_part_too_and_keeps_its_last_epoch(tmp_path, data, capsys):
    refit, usual = tmp_path / "refit", tmp_path / "usual"
    train(container(refit, data, refit="true", patience=1))
    printed = capsys.readouterr().out
    assert "val:map" not in printed
    train(container(usual, data))
    new, old = (read_card(root / "model") for root in (refit, usual))
    assert new.dataset["train"] == old.dataset["train"] + old.dataset["validation"]
    assert new.dataset["validation"] == 0
    assert "validation part learned from" in new.dataset["split"]
    assert new.metrics["best_epoch"] == 2
    assert "validation" not in new.metrics
    assert new.operating_points == {}
    images = [np.zeros((SIZE, SIZE, 3), np.uint8)]
    assert len(OnnxModel(refit / "model").detect(images)) == 1


@pytest.mark.slow
def test_a_refit_by_hand_says_that_it_was_validated_on_nothing(tmp_path, data, capsys):
    settings = [part for each in ("batch_size=8", "workers=0", "refit=true") for part in ("--set", each)]
    settings += ["--set", f"input_size={SIZE}", "--epochs", "1"]
    assert (
        main(["--dataset", str(data), "--family", "ssdlite", "--out", str(tmp_path / "out"), *settings]) == 0
    )
    assert "validated on nothing" in capsys.readouterr().out


def test_a_refit_is_nothing_to_tune_by(tmp_path, data):
    with pytest.raises(HyperparameterError, match="tune first"):
        train(container(tmp_path, data, refit="true", tuned="true"))


def test_a_refit_needs_both_parts_in_one_data_set(tmp_path, data):
    job = container(tmp_path, data, refit="true")
    shutil.copytree(data, tmp_path / "input/data/validation")
    with pytest.raises(HyperparameterError, match="leave the validation out"):
        train(job)


@pytest.mark.slow
def test_by_hand_a_run_leaves_a_packed_model_and_says_what_it_cost(tmp_path, data, capsys):
    out = tmp_path / "out"
    settings = ["--set", f"input_size={SIZE}", "--set", "batch_size=8", "--set", "workers=1"]
    command = ["--dataset", str(data), "--family", "ssdlite", "--out", str(out), "--epochs", "1", *settings]
    command += ["--pretrained", str(STARTER)]
    assert main(command) == 0
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
    assert main([*command, "--set", "seed=1"]) == 1
    assert "other hyperparameters" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--epochs", "many"], "invalid int"),
        (["--family", "yolo"], "invalid choice"),
    ],
)
def test_a_wrong_option_is_refused_with_the_usage(tmp_path, options, reason, capsys):
    with pytest.raises(SystemExit):
        main(["--dataset", "x", "--family", "ssdlite", "--out", str(tmp_path), *options])
    assert reason in capsys.readouterr().err


def test_a_data_set_that_is_not_there_is_named(tmp_path, capsys):
    command = ["--dataset", str(tmp_path / "none"), "--family", "ssdlite", "--out", str(tmp_path / "out")]
    assert main(command) == 1
    assert "none: no such file or folder" in capsys.readouterr().err
    assert main([*command, "--set", "epochs"]) == 1
    assert "NAME=VALUE" in capsys.readouterr().err


def test_a_share_of_the_train_part_is_the_same_every_time_and_part_of_a_larger_one(tmp_path, data, capsys):
    counts = []
    for share in (0.4, 0.8, 1.0):
        job = container(tmp_path / str(share), data, train_share=share, epochs=1)
        train(job)
        counts.append(read_card(job.model).dataset["train"])
    assert counts[0] < counts[1] < counts[2]


def test_the_first_layers_of_the_small_data_family_stay_as_they_were():
    detector = build("fcos_efficientnet_lite0", 2, SIZE)
    frozen = [name for name, each in detector.named_parameters() if not each.requires_grad]
    assert frozen
    assert all(name.startswith("backbone.body.") for name in frozen)
    detector.losses(images(), [some()] * 2)["classification"].backward()
    assert detector.get_parameter(frozen[0]).grad is None
    assert detector.head.classification_head.cls_logits.weight.grad is not None
