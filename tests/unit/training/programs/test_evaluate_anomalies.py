"""Anomaly models are evaluated and compared by whole images, alone and beside a detector; no figure hides a gap."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contract.scores import ANOMALY
from inspection.rules import Rules
from retraining.evaluation import Evaluation
from tests.unit.training.evaluation.test_page import Elements
from tests.unit.training.model.anomaly_models import (
    SCALE,
    anomaly_folder,
    blind_to_empty_places,
    both_folder,
    detector_folder,
)
from tests.unit.training.serving.serving_support import ask
from training.compare import main as compare
from training.evaluate import main as evaluate
from training.evaluation.options import Rates
from training.evaluation.runner import evaluate_artefact, select
from training.model.anomaly import AnomalyModel
from training.model.artefact import pack, read_card, unpack
from training.model.models import load

SIZE = (96, 64)
HOSTILE = "<img src=x onerror=alert(1)>"


def picture(path: Path, spot: int | None, *, mask: Path | None = None, level: int = 128) -> None:
    """Write a grey part; `spot` is how much brighter a square of it is. The models take grey for good."""
    noise = np.random.default_rng(zlib.crc32(f"{path.parent.name}/{path.name}".encode())).integers(
        -4, 5, (SIZE[1], SIZE[0])
    )
    pixels = np.clip(level + noise, 0, 255)
    marks = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    if spot is not None:
        pixels[24:40, 36:60] += spot
        marks[24:40, 36:60] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    if mask is not None:
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(marks).save(mask)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """The layout of MVTec AD: good parts, and scratched ones with masks."""
    root = tmp_path_factory.mktemp("parts")
    for name in (HOSTILE, *range(7)):
        picture(root / f"test/good/{name}.png", None)
    for number in range(6):
        mask = root / f"ground_truth/scratch/{number}_mask.png"
        picture(root / f"test/scratch/{number}.png", 20 + 15 * number, mask=mask)
    return root


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    """A model of each kind. The detector calls every picture scratched, the brighter the surer."""
    root = tmp_path_factory.mktemp("models")
    anomaly = anomaly_folder(root / "a", name=f"grey{HOSTILE}")
    detector = detector_folder(root / "d", labels=("scratch",))
    folders = {"anomaly": anomaly, "detector": detector, "both": both_folder(root / "b", detector, anomaly)}
    return {kind: pack(folder, root / f"{kind}.tar.gz") for kind, folder in folders.items()}


def run(capsys, program, *arguments: object) -> tuple[dict[str, Any], str]:
    assert program([*map(str, arguments), "--split", "all", "--json"]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


@pytest.fixture(scope="module")
def reports(models, data, tmp_path_factory) -> dict[str, dict[str, Any]]:
    """What `--out` writes for each kind, and under `files` the folder with the page and the rules."""
    found = {}
    for kind, model in models.items():
        folder = tmp_path_factory.mktemp(kind)
        names = {"--out": "full.json", "--html": "page.html", "--rules": "rules.json"}
        options = [f"{option}={folder / name}" for option, name in names.items()]
        arguments = ["--model", str(model), "--dataset", str(data), "--split", "all"]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert evaluate([*arguments, *options]) == 0
        found[kind] = json.loads((folder / "full.json").read_text())
        found[kind] |= {"files": folder, "printed": out.getvalue()}
    return found


def test_the_figures_of_an_anomaly_model_come_first_and_are_about_images(models, data, capsys):
    report, _ = run(capsys, evaluate, "--model", models["anomaly"], "--dataset", data)
    assert list(report)[:5] == ["image_auroc", "caught_at_zero_overkill", "f1_max", "pixel_ap", "pro"]
    assert (report["image_auroc"], report["caught_at_zero_overkill"]) == (1, 1)
    assert report["kind"] == "anomaly"
    assert (report["good_images"], report["defective_images"], report["masks"]["counted"]) == (8, 6, 6)
    assert 0.5 < report["pixel_ap"] <= 1
    assert 0.9 < report["pro"] <= 1
    for name in ("image_auroc", "caught_at_zero_overkill", "f1_max", "pixel_ap", "pro"):
        low, high = report["confidence"][name]
        assert 0 < low <= report[name] <= high


def test_an_anomaly_model_has_no_precision_rather_than_none_of_it(reports):
    report = reports["anomaly"]
    assert (report["map"], report["map50"], report["map75"]) == (None, None, None)
    assert report["per_class"] == {"scratch": None}
    assert report["unknown_classes"] == []
    assert report["confidence"]["map_resamples"] == []
    assert len(report["confidence"]["image_auroc_resamples"]) == 1000


@pytest.mark.parametrize("kind", ["anomaly", "detector", "both"])
def test_the_gate_and_the_rules_read_the_report_of_every_kind(reports, kind):
    report = reports[kind]
    evaluation = Evaluation.read(report)
    assert (evaluation.kind, evaluation.image_auroc) == (kind, report["image_auroc"])
    rules = Rules.model_validate_json((report["files"] / "rules.json").read_text())
    assert (ANOMALY in rules.classes) == (kind != "detector")
    assert set(report["operating_points"]) == {"anomaly": {ANOMALY}, "detector": {"scratch"}}.get(
        kind, {ANOMALY, "scratch"}
    )
    assert len(report["golden"]) == 12
    assert {label for image in report["golden"] for label in image["labels"]} == {"scratch"}


def test_both_together_answer_as_one_and_each_has_its_own_figures(reports):
    report = reports["both"]
    parts = {kind: reports[kind] for kind in ("anomaly", "detector")}
    assert report["map"] == parts["detector"]["map"]
    assert report["pro"] == parts["anomaly"]["pro"]
    for kind, alone in parts.items():
        assert report["parts"][kind]["image_auroc"] == alone["image_auroc"]
        assert report["operating_points"].items() >= alone["operating_points"].items()
    found = [{detection["label"] for detection in image["detections"]} for image in report["golden"]]
    assert {"scratch", ANOMALY} in found
    for image in report["golden"]:
        scores = [detection["score"] for detection in image["detections"]]
        assert scores == sorted(scores, reverse=True)
    assert report["verdicts"]["escape_rate"]["value"] <= parts["anomaly"]["verdicts"]["escape_rate"]["value"]


@pytest.mark.parametrize("kind", ["anomaly", "both"])
def test_the_golden_set_is_what_the_endpoint_answers(models, data, tmp_path, kind):
    tests = select(data, "all")
    evaluation, _ = evaluate_artefact(models[kind], tests, Rates())
    unpack(models[kind], tmp_path)
    answers = ask(load(tmp_path), *(tests.images.read(sample) for sample in tests.images.samples))
    for index, answer in enumerate(answers):
        found = answer.document["detections"]
        assert evaluation.answer(index) == [
            {name: item[name] for name in ("label", "score", "box")} for item in found
        ]


def test_an_anomaly_model_judges_one_picture_at_a_time(models, data, tmp_path, monkeypatch):
    """Sixteen at once would take 0.8 GB: each place is compared with thousands."""
    counts, judged = [], AnomalyModel.judge
    monkeypatch.setattr(
        AnomalyModel, "judge", lambda self, pixels: [counts.append(len(pixels)), *judged(self, pixels)][1:]
    )
    evaluate_artefact(models["anomaly"], select(data, "all"), Rates())
    assert set(counts) == {1}


def test_images_that_cannot_be_read_are_left_out_and_named(models, data, tmp_path, capsys):
    shutil.copytree(data, tmp_path / "parts")
    (tmp_path / "parts/test/good/0.png").write_bytes(b"no picture")
    for kind in ("anomaly", "both"):
        report, _ = run(capsys, evaluate, "--model", models[kind], "--dataset", tmp_path / "parts")
        assert (report["images"], report["good_images"]) == (13, 7)
        assert report["left_out"]["texts"][0] == "1 image could not be read: test/good/0.png."


def test_good_images_alone_give_the_overkill_rate_and_a_warning_says_why_no_more(
    models, data, tmp_path, capsys
):
    shutil.copytree(data / "test/good", tmp_path / "parts/good")
    shutil.copytree(data / "test/good", tmp_path / "parts/normal")
    for number, path in enumerate(sorted((tmp_path / "parts/normal").iterdir())):
        picture(path, None, level=127 - number % 2)
    page = tmp_path / "page.html"
    report, err = run(
        capsys, evaluate, "--model", models["anomaly"], "--dataset", tmp_path / "parts", "--html", page
    )
    assert [
        report[name] for name in ("image_auroc", "caught_at_zero_overkill", "f1_max", "pixel_ap", "pro")
    ] == [None] * 5
    assert report["verdicts"]["escape_rate"] is None
    assert report["verdicts"]["overkill_rate"]["value"] == 0
    assert report["operating_points"][ANOMALY]["overkill"]["score"] == 0.05
    assert (
        "WARNING: There is no image of a defective product here: only the overkill rate is measurable" in err
    )
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page.read_text()).lower()


def test_defective_images_alone_give_the_escape_rate_and_a_warning_says_why_no_more(
    models, data, tmp_path, capsys
):
    shutil.copytree(data, tmp_path / "parts")
    shutil.rmtree(tmp_path / "parts/test/good")
    report, err = run(capsys, evaluate, "--model", models["anomaly"], "--dataset", tmp_path / "parts")
    assert report["image_auroc"] is None
    assert report["verdicts"]["overkill_rate"] is None
    assert report["verdicts"]["escape_rate"]["of"] == 6
    assert report["operating_points"][ANOMALY]["overkill"] is None
    assert "WARNING: There is no image of a good product here: AUROC, F1, what is caught" in err


def test_a_picture_of_another_product_is_told_and_goes_to_review(models, data, tmp_path, capsys):
    shutil.copytree(data, tmp_path / "parts")
    picture(tmp_path / "parts/test/good/other.png", None, level=250)
    report, err = run(capsys, evaluate, "--model", models["anomaly"], "--dataset", tmp_path / "parts")
    assert report["foreign_images"] == 1
    assert "The model takes 1 good image for another product or for none, which goes to review" in err
    assert "test/good/other.png" in err
    assert report["verdicts"]["review_rate"]["count"] == 1
    assert report["verdicts"]["overkill_rate"]["count"] == 0
    assert report["image_auroc"] < 1


def test_empty_places_are_told_apart_by_their_labels_and_go_to_review(data, tmp_path, capsys):
    model = pack(blind_to_empty_places(tmp_path / "model"), tmp_path / "model.tar.gz")
    shutil.copytree(data, tmp_path / "parts")
    for kind in ("good", "scratch"):
        picture(tmp_path / f"parts/test/{kind}/empty.png", None, level=250)
    arguments = ["--model", model, "--dataset", tmp_path / "parts", "--html", tmp_path / "page.html"]
    report, err = run(capsys, evaluate, *arguments)
    assert report["foreign_images"] == 2
    for kind, name in (("good", "good"), ("defective", "scratch")):
        words = f"takes 1 {kind} image for another product or for none, which goes to review whatever its distance"
        assert f"{words}: test/{name}/empty.png" in err
    assert report["verdicts"]["review_rate"]["count"] == 2
    assert "taken for no product: review (distance 1.2)" in (tmp_path / "page.html").read_text()


def test_the_overkill_rate_that_is_wanted_moves_the_overkill_point(models, data, capsys, tmp_path):
    noisy = tmp_path / "parts"
    shutil.copytree(data, noisy)
    for number, path in enumerate(sorted((noisy / "test/good").iterdir())):
        picture(path, 22 + 2 * number)
    arguments = ["--model", models["anomaly"], "--dataset", noisy]
    strict, _ = run(capsys, evaluate, *arguments, "--overkill-rate", "0")
    loose, _ = run(capsys, evaluate, *arguments, "--overkill-rate", "0.5")
    points = [report["operating_points"][ANOMALY]["overkill"] for report in (strict, loose)]
    assert points[0]["score"] > points[1]["score"]
    assert points[0]["overkill_rate"]["count"] == 0
    assert 0 < points[1]["overkill_rate"]["value"] <= 0.5
    with pytest.raises(SystemExit, match="2"):
        evaluate([*map(str, arguments), "--overkill-rate", "1"])
    assert "--overkill-rate: '1' is not a number of at least 0" in capsys.readouterr().err


def test_the_table_has_the_figures_of_the_kind(reports):
    for kind, present, absent in (
        ("anomaly", ["image AUROC", "caught at zero overkill", "PRO", "the model's own"], ["mAP"]),
        ("detector", ["mAP[.5:.95]", "image AUROC"], ["caught at zero", "the model's own"]),
        ("both", ["mAP[.5:.95]", "image AUROC", "caught at zero overkill", "the model's own", "scratch"], []),
    ):
        out = reports[kind]["printed"]
        assert all(text in out for text in present), kind
        assert not any(text in out for text in absent), kind
        assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("kind", ["anomaly", "both"])
def test_the_page_shows_the_heat_maps_and_hostile_names_are_text(reports, kind):
    text = (reports[kind]["files"] / "page.html").read_text()
    elements = Elements(text).elements
    assert {tag for tag, _ in elements}.isdisjoint({"script", "iframe", "object", "img", "link"})
    assert "&lt;img src=x onerror" in text
    assert "Defective images with the lowest scores" in text
    assert "Good images with the highest scores" in text
    assert text.count('class="pair"') == 6 + 8
    assert "var(--good)" in text
    for _, attributes in elements:
        href = attributes.get("href")
        assert href is None or href.startswith(("data:image/jpeg;base64,", "#"))


def test_an_evaluation_job_writes_its_files_and_logs_the_figures_that_there_are(
    models, data, tmp_path, capsys, monkeypatch
):
    channels = tmp_path / "input/data"
    (channels / "model").mkdir(parents=True)
    shutil.copy(models["anomaly"], channels / "model/model.tar.gz")
    shutil.copytree(data, channels / "test")
    (tmp_path / "input/config").mkdir()
    settings = {"split": "all", "escape_rate": "0.1", "overkill_rate": "0.2"}
    (tmp_path / "input/config/hyperparameters.json").write_text(json.dumps(settings))
    monkeypatch.setenv("LOUPE_ML_ROOT", str(tmp_path))
    assert evaluate([]) == 0
    out = capsys.readouterr().out
    assert "test:image_auroc=1.0\n" in out
    assert "test:map" not in out
    assert "image_auroc_resamples" not in out
    folder = tmp_path / "output/data"
    assert {path.name for path in folder.iterdir()} == {"evaluation.json", "evaluation.html", "rules.json"}
    report = json.loads((folder / "evaluation.json").read_text())
    assert (report["wanted_escape_rate"], report["wanted_overkill_rate"]) == (0.1, 0.2)
    assert report["operating_points"][ANOMALY]["overkill"]["overkill_rate"]["value"] <= 0.2


def test_evaluating_on_what_an_anomaly_model_remembers_warns(reports, data, tmp_path, capsys):
    folder = anomaly_folder(tmp_path / "a")
    trained = {"snapshot": reports["anomaly"]["dataset"]["snapshot"], "validation": 3}
    replace(read_card(folder), dataset=trained).write(folder)
    model = pack(folder, tmp_path / "model.tar.gz")
    report, err = run(capsys, evaluate, "--model", model, "--dataset", data)
    assert report["trained_on_this_dataset"]
    assert "WARNING: The model learned from these very images" in err


def test_models_of_different_kinds_are_compared_by_whole_images(models, data, tmp_path, capsys):
    page = tmp_path / "page.html"
    report, _ = run(capsys, compare, *models.values(), "--dataset", data, "--html", page)
    assert report["measure"] == "image_auroc"
    assert {model["kind"] for model in report["models"]} == {"anomaly", "detector", "both"}
    for model in report["models"]:
        assert set(model["difference"]) == {"image_auroc", "interval", "verdict"}
        assert model["verdicts"]["escape_rate"]["of"] == 6
    assert "finds anomalies, and knows no classes" in page.read_text()
    assert "<img src=x" not in page.read_text()


def test_the_seeds_of_an_anomaly_model_have_a_spread_of_its_own_figures(data, tmp_path, capsys):
    paths = []
    for seed, spread in ((1, 4.0), (2, 5.0)):
        folder = anomaly_folder(
            tmp_path / str(seed), anomaly=replace(SCALE, spread=spread), hyperparameters={"seed": seed}
        )
        paths.append(pack(folder, tmp_path / f"{seed}.tar.gz"))
    report, _ = run(capsys, compare, *paths, "--dataset", data)
    (repeated,) = report["seeds"]
    assert repeated["seeds"] == [1, 2]
    assert repeated["image_auroc"] == {"mean": 1, "sd": 0}
    assert set(repeated) == {
        "family", "seeds", "image_auroc", "caught_at_zero_overkill", "f1_max", "pixel_ap", "pro"
    }  # fmt: skip
    assert compare([*map(str, paths), "--dataset", str(data), "--split", "all"]) == 0
    out = capsys.readouterr().out
    assert "image AUROC 1.000 ± 0.000" in " ".join(out.split())
    assert "AUROC caught" in out


def test_images_that_give_no_figure_are_still_compared_by_their_rates(models, data, tmp_path, capsys):
    shutil.copytree(data / "test/good", tmp_path / "parts/good")
    (tmp_path / "parts/bad").mkdir()
    paths = [models["anomaly"], models["both"]]
    report, _ = run(
        capsys, compare, *paths, "--dataset", tmp_path / "parts", "--html", tmp_path / "page.html"
    )
    assert report["measure"] is None
    assert {model["difference"]["verdict"] for model in report["models"]} == {
        "these images give no figure to compare by"
    }
    assert report["models"][0]["verdicts"]["overkill_rate"]["of"] == 8
    assert "no figure to compare them by" in (tmp_path / "page.html").read_text()
