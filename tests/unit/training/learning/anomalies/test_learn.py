"""`loupe train` with a family of anomaly models, on generated parts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from PIL import Image

import training.learning.anomalies.run as program
from tests.anomalies import anomaly_artefact, bad_pictures, good_pictures
from training.job.container import Container
from training.job.stopping import Stopped
from training.learning.anomalies.run import learn
from training.model.anomaly import AnomalyModel
from training.model.artefact import unpack
from training.model.pixels import decode
from training.train import main

FAMILY = "patchcore_efficientnet_lite0"
SMALL = ("--set", "input_size=64", "--set", "memory=200")


class Heard:
    """Keeps the events of a job."""

    def __init__(self) -> None:
        self.events: dict[str, dict] = {}

    def event(self, name, fields):
        self.events[name] = dict(fields)


def train(data: Path, out: Path, *options: str) -> int:
    return main(["--family", FAMILY, "--dataset", str(data), "--out", str(out), *SMALL, *options])


def learned(data: Path, root: Path, **settings: str) -> tuple[program.ModelCard, Heard]:
    heard = Heard()
    values = {"family": FAMILY, "input_size": "64", "memory": "100"} | settings
    return learn(Container(root, {"train": data}, values), heard), heard


def scratched(folder: Path, count: int) -> Path:
    """Write bad pictures alone, with their labels in a list. Returns the folder."""
    lines = [json.dumps({"file_name": path.name, "label": "scratch"}) for path in bad_pictures(folder, count)]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


def judged(model: AnomalyModel, paths: list[Path]) -> Iterator[float]:
    size = model.card.input_size
    return (model.judge([decode(path.read_bytes(), size).pixels])[0].score for path in paths)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> AnomalyModel:
    folder = tmp_path_factory.mktemp("model")
    unpack(anomaly_artefact(folder), folder / "unpacked")
    return AnomalyModel(folder / "unpacked")


def test_a_model_that_has_learned_from_good_parts_tells_scratched_ones(model, tmp_path):
    good, bad = good_pictures(tmp_path, 10, seed=7), bad_pictures(tmp_path, 10, seed=7)
    assert max(judged(model, good)) < 0.5 < min(judged(model, bad))
    calibration = model.card.metrics["calibration"]
    assert calibration["overkill"]["count"] == 0
    assert calibration["escape"] is None
    assert model.card.labels == ("anomaly",)
    assert model.card.metrics["export_score_difference"] < 0.01


def test_the_graph_judges_several_pictures_as_it_judges_each(model, tmp_path):
    paths = [*good_pictures(tmp_path, 2, seed=8), *bad_pictures(tmp_path, 3, seed=8)]
    pixels = np.stack([decode(path.read_bytes(), 96).pixels for path in paths])
    distances, maps = model.raw(pixels)
    assert maps.shape == (5, 12, 12)
    for number in range(5):
        alone, places = model.raw(pixels[number][None])
        assert distances[number] == pytest.approx(alone[0], rel=1e-4)
        assert maps[number] == pytest.approx(places[0], rel=1e-3, abs=1e-2)


def test_a_broken_export_is_not_delivered(model, monkeypatch):
    """A graph that forgets a row of its memory's squares would still give numbers."""
    from training.detectors.registry import build_anomaly
    from training.learning.anomalies.export import check_parity
    from training.learning.export import ParityError

    other = build_anomaly(FAMILY, 96)
    other.remember(*(program.torch.zeros(count, other.channels) for count in (10, 2, 0)))
    with pytest.raises(ParityError, match="measures something else"):
        check_parity(other, model, [np.zeros((96, 96, 3), np.uint8)])


def test_rounding_at_a_remembered_place_is_no_broken_export():
    from training.learning.anomalies.export import farthest_off

    exact = np.array([0.0, 8.0, 10.6, 12.0, 53.0])
    rounded = exact + np.array([0.06, 0.0004, 0.0004, 0.0004, 0.0004])
    assert farthest_off(rounded, exact, 12.0) < 1e-3
    for place, fault in enumerate((1.5, 0.2, 0.2, 0.2, 0.2)):
        broken = rounded.copy()
        broken[place] += fault
        assert farthest_off(broken, exact, 12.0) > 5e-3


def test_few_pictures_of_which_all_places_are_remembered_are_no_broken_export():
    """Each distance is 0 then, and the graph's is the root of what rounding leaves."""
    from training.learning.anomalies.export import farthest_off

    assert farthest_off(np.full(64, 0.06), np.zeros(64), 12.0) < 5e-3
    assert farthest_off(np.full(64, 0.3), np.zeros(64), 12.0) > 5e-3


def test_by_hand_bad_pictures_place_the_threshold_and_the_next_commands_are_named(tmp_path, capsys):
    good_pictures(tmp_path / "parts/normal", 16)
    bad_pictures(tmp_path / "parts/anomaly", 8)
    # An earlier model is a start as good as the package, which the other tests start from.
    earlier = anomaly_artefact(tmp_path / "earlier")
    assert train(tmp_path / "parts", tmp_path / "out", "--pretrained", str(earlier)) == 0
    told = capsys.readouterr().out
    assert "good pictures to learn from" in told
    assert "started from model.tar.gz: 165 of 165 tensors loaded" in told
    assert "threshold from good and bad pictures; of the good ones 0 of" in told
    assert f"Made {tmp_path}/out/model.tar.gz: {FAMILY} " in told
    assert "an anomaly model that remembers" in told
    assert "loupe evaluate --model" in told


def test_a_bad_picture_among_the_good_is_named_and_not_remembered(tmp_path):
    good_pictures(tmp_path / "parts/train/normal", 14)
    mistake = tmp_path / "parts/train/normal/mistake.png"
    # As after a fault of the camera: half of the picture is white.
    broken = np.asarray(Image.open(tmp_path / "parts/train/normal/good-0-3.png")).copy()
    broken[:, 80:] = 255
    Image.fromarray(broken).save(mistake)
    card, heard = learned(tmp_path / "parts", tmp_path / "job")
    names = heard.events["outliers"]["names"]
    assert [Path(name).name for name in names] == ["mistake.png"]
    assert heard.events["outliers"]["left_out"] is True
    assert card.metrics["outliers"]["left_out"] == names
    assert card.metrics["memory"]["pictures"] == card.dataset["train"] - 1
    model = AnomalyModel(tmp_path / "job/model")
    assert next(judged(model, [mistake])) > 0.5


def test_pictures_of_several_shapes_are_learned_and_told_in_lines_for_machines(tmp_path, capsys):
    folder = tmp_path / "parts/train/normal"
    # Of so few, most places are remembered.
    good_pictures(folder, 6)
    for path in good_pictures(folder, 2, seed=1):
        Image.open(path).resize((60, 120)).save(path)
    assert train(tmp_path / "parts", tmp_path / "out", "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = {event["event"]: event for event in events if event["event"] != "pictures"}
    assert list(told) == ["start", "shapes", "pretrained", "few", "done", "artefact"]
    assert (told["shapes"]["narrowest"], told["shapes"]["widest"]) == (0.5, 1.33)
    assert (told["few"]["good"], told["few"]["same"]) == (told["start"]["dataset"]["train"], 0)
    assert told["pretrained"]["loaded"] == told["pretrained"]["of"] == 165
    assert told["artefact"]["path"] == f"{tmp_path}/out/model.tar.gz"


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "has one good picture"), (4, "has 4 good pictures that all show exactly the same,")],
)
def test_one_good_picture_is_not_enough_to_know_what_is_usual(tmp_path, count, words, capsys):
    """Neither are copies of it. They are other files, since the compression is another one."""
    folder = tmp_path / "parts/good"
    [path] = good_pictures(folder, 1)
    # With a validation channel, all of the train channel is learned from.
    others = scratched(tmp_path / "others", 1)
    for level in range(count):
        Image.open(path).save(folder / f"copy-{level}.png", compress_level=level)
    path.unlink()
    assert train(tmp_path / "parts", tmp_path / "out", "--validation", str(others)) == 1
    told = capsys.readouterr().err
    assert (
        f"loupe: {tmp_path}/parts: {words} to learn from; what is usual shows only in the differences" in told
    )
    assert "about twenty are a good start" in told


def test_bad_pictures_alone_are_refused(tmp_path, capsys):
    scratched(tmp_path / "parts", 4)
    assert train(tmp_path / "parts", tmp_path / "out") == 1
    told = capsys.readouterr().err
    assert "has no good picture to learn from: all of its 4 pictures show a defective product" in told
    assert "An anomaly model learns from pictures of good products" in told


def test_a_file_that_is_no_picture_is_named(tmp_path, capsys):
    good_pictures(tmp_path / "parts/normal", 3)
    (tmp_path / "parts/normal/broken.png").write_bytes(b"this is not a picture")
    assert train(tmp_path / "parts", tmp_path / "out") == 1
    assert "broken.png: is not a readable image" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ["--epochs", "3"],
            "--epochs 3 is for detectors, and patchcore_efficientnet_lite0 is an anomaly model",
        ),
        (["--set", "refit=true"], "it remembers good pictures in one pass, and trains no weights"),
        (["--set", "views=2"], "--set views=2 is for detectors"),
        (["--set", "tuned=true"], "it has nothing to tune"),
        (["--set", "memroy=100"], "did you mean memory?"),
        (["--set", "overkill_rate=2"], "--set overkill_rate=2: must be less than or equal to 0.5"),
        (["--set", "seed=-1"], "--set seed=-1: must be greater than or equal to 0"),
    ],
)
def test_settings_without_a_meaning_are_refused_in_words(tmp_path, options, reason, capsys):
    assert train(tmp_path, tmp_path / "out", *options) == 1
    assert reason in capsys.readouterr().err


def test_an_input_size_that_the_network_does_not_take_is_refused(tmp_path, capsys):
    good_pictures(tmp_path / "parts/normal", 4)
    assert (
        main(
            [
                "--family",
                FAMILY,
                "--dataset",
                f"{tmp_path}/parts",
                "--out",
                f"{tmp_path}/out",
                "--set",
                "input_size=100",
            ]
        )
        == 1
    )
    assert "takes an input_size from 64 to 1024 pixels in steps of 16, not 100" in capsys.readouterr().err


def test_a_job_that_is_stopped_says_how_far_it_got(tmp_path, monkeypatch):
    good_pictures(tmp_path / "parts/normal", 6)

    def stop(*_):
        raise Stopped

    monkeypatch.setattr(program.MemoryBank, "reduced", stop)
    with pytest.raises(Stopped) as raised:
        learned(tmp_path / "parts", tmp_path / "job")
    assert raised.value.done.startswith("after it had remembered ")
    assert raised.value.outcome == "the same command starts again"
    shutil.rmtree(tmp_path / "job", ignore_errors=True)
