"""Evaluation measures what is served, without torch."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.snapshots import part_of
from inspection.rules import Rules
from tests.unit.training.conftest import MEASURED_IMAGES, ROOT, STARTER
from tests.unit.training.model.anomaly_models import detector_folder
from training.datasets import open_dataset
from training.datasets.generated.synthetic import generate
from training.evaluate import main
from training.evaluation import latency
from training.evaluation.detection import detect, for_metrics
from training.evaluation.latency import measure
from training.model.artefact import pack, read_card
from training.model.models import Models, load
from training.model.onnx_model import OnnxModel
from training.model.pixels import decode
from training.model.tiling import Tiles, detect_in_tiles


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    generate(root, 24, seed=80, size=128)
    return root


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Path:
    """Eight images: some of each part, and some of good products."""
    root = tmp_path_factory.mktemp("few")
    generate(root, 8, seed=1, size=96)
    return root


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory) -> Path:
    """A small model, where what it finds is not the point."""
    return detector_folder(tmp_path_factory.mktemp("small"), labels=("patches",))


@pytest.fixture(scope="module")
def small(small_folder, tmp_path_factory) -> Path:
    """The same, packed."""
    return pack(small_folder, tmp_path_factory.mktemp("packed") / "model.tar.gz")


@pytest.fixture(scope="module")
def report(data, tmp_path_factory) -> dict[str, Any]:
    """What `--out` writes for the starter model; what `--json` prints is `printed`, and its rules are `rules`."""
    folder = tmp_path_factory.mktemp("report")
    arguments = ["--model", str(STARTER), "--dataset", str(data), "--split", "all", "--json"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        files = ["--out", str(folder / "evaluation.json"), "--rules", str(folder / "rules.json")]
        assert main([*arguments, *files, "--escape-rate", "0.1"]) == 0
    full, rules = (json.loads((folder / name).read_text()) for name in ("evaluation.json", "rules.json"))
    return {**full, "printed": out.getvalue(), "rules": rules}


def evaluated(capsys, *arguments: object) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_starter_model_scores_well_on_images_it_has_not_seen(report, data):
    assert report["images"] == 24
    assert report["map50"] > 0.6
    assert set(report["per_class"]) == set(open_dataset(data).labels)
    assert not report["trained_on_this_dataset"]
    assert report["warnings"] == []


def test_every_figure_has_an_interval_that_contains_it(report):
    sure = report["confidence"]
    for name in ("map", "map50", "map75"):
        assert sure[name][0] <= report[name] <= sure[name][1]
    for label, value in report["per_class"].items():
        assert value is None or sure["per_class"][label][0] <= value <= sure["per_class"][label][1]


def test_the_wanted_escape_rate_holds_at_the_escape_point(report):
    points = [point["escape"] for point in report["operating_points"].values() if point["escape"]]
    assert points
    for point in points:
        assert point["escape_rate"]["value"] <= 0.1
        low, high = point["score_interval"]
        assert low <= point["score"] <= high


def test_good_images_count_for_overkill(report, data):
    good = sum(not sample.objects for sample in open_dataset(data).samples)
    assert good == report["good_images"] > 0
    assert report["verdicts"]["overkill_rate"]["of"] == good


def test_the_inspection_reads_the_rules(report):
    rules = Rules.model_validate(report["rules"])
    assert rules.version.startswith("starter-225b706abb67")
    for label, points in report["operating_points"].items():
        if points["escape"]:
            assert rules.rule("any line", label).review_score == points["escape"]["score"]


def test_a_model_with_tiles_is_evaluated_in_tiles(starter_folder, tmp_path, data):
    shutil.copytree(starter_folder, tmp_path / "tiled")
    tiles = Tiles(size=80)
    replace(read_card(tmp_path / "tiled"), tiles=tiles).write(tmp_path / "tiled")
    model, dataset = OnnxModel(tmp_path / "tiled", threads=1), open_dataset(data)
    dataset = replace(dataset, samples=dataset.samples[:3])
    postprocess = for_metrics(model.card.postprocess)
    expected = [
        detect_in_tiles(
            lambda pixels: model.detect(pixels, postprocess),
            decode(dataset.read(sample), 256, full_above=80),
            tiles,
        )
        for sample in dataset.samples
    ]
    for result, expected_result in zip(detect(model, dataset), expected, strict=True):
        assert (result.boxes == expected_result.boxes).all()
    whole = detect(OnnxModel(starter_folder, threads=1), dataset)
    assert any(not np.array_equal(a.boxes, b.boxes) for a, b in zip(whole, expected, strict=True))
    assert measure(Models(model, None, model.card), dataset)["p50_ms"] > 0


def test_latency_names_the_machine(small_folder, data, monkeypatch):
    monkeypatch.setattr(latency, "_MAX_IMAGES", MEASURED_IMAGES)
    speed = measure(load(small_folder, threads=1), open_dataset(data))
    assert 0 < speed["decode_p50_ms"] < speed["p50_ms"] <= speed["p95_ms"]
    assert speed["images"] >= 30  # the 24 images, some of them again
    assert speed["provider"] == "CPUExecutionProvider"
    assert speed["cores"] >= 1


def test_the_table_is_for_people_and_says_what_is_left_out(few, small, tmp_path, capsys):
    shutil.copytree(few, tmp_path / "data")
    document = json.loads((few / "annotations.json").read_text())
    document["annotations"] = [
        annotation for annotation in document["annotations"] if annotation["category_id"] == 3
    ]
    (tmp_path / "data/annotations.json").write_text(json.dumps(document))
    status, out, _ = evaluated(capsys, "--model", small, "--dataset", tmp_path / "data", "--split", "all")
    assert status == 0
    assert "mAP[.5:.95]" in out
    assert "left out: No image here contains 'crazing'" in out.replace("\n  ", " ")
    assert "nan" not in out.lower()


@pytest.mark.parametrize(("validation", "warning"), [(3, "best epoch was chosen on"), (0, "learned from")])
def test_evaluating_on_the_images_that_the_model_learned_from_warns(
    few, tmp_path, capsys, validation, warning
):
    data = Path(shutil.copytree(few, tmp_path / "data"))
    document = json.loads((data / "annotations.json").read_text())
    (patches,) = (each for each in document["categories"] if each["name"] == "patches")
    # The small model knows no other class.
    renamed = [{**each, "category_id": patches["id"]} for each in document["annotations"]]
    document |= {"categories": [patches], "annotations": renamed}
    (data / "annotations.json").write_text(json.dumps(document))
    trained = {"snapshot": open_dataset(data).snapshot(), "validation": validation}
    folder = detector_folder(tmp_path / "unpacked", labels=("patches",), dataset=trained)
    model = pack(folder, tmp_path / "model.tar.gz")
    errors = {}
    for split in ("all", "validation", "test"):
        status, out, errors[split] = evaluated(
            capsys, "--model", model, "--dataset", data, "--split", split, "--json"
        )
        assert status == 0
        assert json.loads(out)["trained_on_this_dataset"]
    assert "WARNING: The model learned from these very images" in errors["all"]
    assert f"{warning} these very images" in errors["validation"]
    assert "WARNING" not in errors["test"]


def test_an_empty_part_is_an_error_that_names_it(tmp_path, capsys):
    generate(tmp_path / "data", 1, seed=1)
    (sample,) = open_dataset(tmp_path / "data").samples
    other = next(part for part in ("train", "test") if part != part_of(sample.sha256))
    status, out, err = evaluated(capsys, "--model", STARTER, "--dataset", tmp_path / "data", "--split", other)
    assert (status, out) == (1, "")
    assert f"its part '{other}' is empty" in err


def test_images_of_good_products_alone_have_no_map_but_an_overkill_rate(tmp_path, few, small, capsys):
    shutil.copytree(few, tmp_path / "data")
    document = json.loads((tmp_path / "data/annotations.json").read_text())
    (tmp_path / "data/annotations.json").write_text(json.dumps({**document, "annotations": []}))
    arguments = ["--model", small, "--dataset", tmp_path / "data", "--split", "all", "--json"]
    status, out, _ = evaluated(capsys, *arguments, "--html", tmp_path / "page.html")
    report = json.loads(out)
    assert status == 0
    assert (report["map"], report["confidence"]["map"]) == (None, None)
    assert report["verdicts"]["escape_rate"] is None
    assert report["verdicts"]["overkill_rate"]["of"] == 8
    assert "NaN" not in out
    assert "nan" not in re.sub(r"base64,[^\"]*", "", (tmp_path / "page.html").read_text()).lower()


@pytest.mark.parametrize("option", ["--html", "--rules", "--out"])
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    data, option, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("training.evaluation.runner.detect", lambda *_: pytest.fail("worked first"))
    target = tmp_path / "nowhere" / "file"
    status, out, err = evaluated(capsys, "--model", STARTER, "--dataset", data, option, target)
    assert (status, out) == (1, "")
    assert str(target) in err


@pytest.mark.parametrize("rate", ["1", "-0.1", "nan", "many"])
def test_an_escape_rate_out_of_range_is_refused(data, rate, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--model", str(STARTER), "--dataset", str(data), f"--escape-rate={rate}"])
    assert f"--escape-rate: '{rate}' is not a number of at least 0" in capsys.readouterr().err


def test_an_error_is_one_line_that_names_the_path_and_gives_status_one(tmp_path, capsys):
    missing = tmp_path / "none.zip"
    assert evaluated(capsys, "--model", STARTER, "--dataset", missing, "--json") == (
        1,
        "",
        f"loupe: {missing}: no such file or folder\n",
    )
    missing = tmp_path / "none.tar.gz"
    status, _, err = evaluated(capsys, "--model", missing, "--dataset", ROOT / "models")
    assert (status, err.splitlines()[0][:7]) == (1, "loupe: ")


def test_what_is_printed_for_machines_is_short_and_names_the_file_with_everything(report):
    printed = json.loads(report["printed"])
    assert len(report["printed"]) < 8000
    assert Path(printed["files"]["full"]).name == "evaluation.json"
    assert len(report["confidence"]["map_resamples"]) == 1000
    assert "map_resamples" not in printed["confidence"]
    for name in ("map", "map50", "per_class", "verdicts"):
        assert printed[name] == report[name]
    for label, points in report["operating_points"].items():
        assert printed["operating_points"][label]["best_f1"]["score"] == points["best_f1"]["score"]


@pytest.mark.parametrize("option", ["--model", "--dataset", "--out"])
def test_an_option_that_an_unset_variable_leaves_empty_is_refused(option, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--model", str(STARTER), "--dataset", "x", option, ""])
    assert capsys.readouterr().err.startswith(f"loupe: argument {option}: it is empty\n       loupe evaluate")


def test_an_evaluation_that_is_stopped_says_after_how_many_images_and_writes_nothing(
    data, small, tmp_path, capsys, monkeypatch
):
    inferred = OnnxModel.detect

    def stopping(model, pixels, postprocess):
        if len(pixels) < 16:  # the second and last batch
            os.kill(os.getpid(), signal.SIGINT)
        return inferred(model, pixels, postprocess)

    monkeypatch.setattr(OnnxModel, "detect", stopping)
    targets = ["--html", tmp_path / "page.html", "--out", tmp_path / "full.json"]
    status, out, err = evaluated(
        capsys, "--model", small, "--dataset", data, "--split", "all", *targets, "--rules", tmp_path / "r"
    )
    assert (status, out) == (130, "")
    assert err == (
        "loupe: stopped after 16 of 24 images; nothing was written\n       The same command starts again.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_by_hand_never_starts_a_job(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--json"])
    err = capsys.readouterr().err
    assert "--model, --dataset" in err
    assert "/opt/ml" not in err


@pytest.mark.parametrize(
    ("programs", "libraries"),
    [
        (["train", "ensemble"], {"torch", "numpy"}),
        (["serve"], {"matplotlib", "jinja2", "pydantic", "torch"}),
        (["evaluate", "compare"], {"torch", "onnxruntime"}),
        (["evaluation.comparison", "evaluation.settings", "evaluation.reports.page"], {"torch"}),
    ],
)
def test_programs_do_not_import_libraries_that_they_do_not_need(programs, libraries):
    modules = ", ".join(f"training.{program}" for program in programs)
    code = f"import sys, {modules}; print(*{libraries!r} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "\n"


def test_images_that_cannot_be_read_are_left_out_and_named_everywhere(few, small, tmp_path, capsys):
    data = Path(shutil.copytree(few, tmp_path / "data"))
    cut, broken = sorted((data / "images").iterdir())[:2]
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    broken.write_bytes(b"no image at all")
    arguments = ["--model", small, "--dataset", data, "--split", "all"]
    status, out, _ = evaluated(capsys, *arguments, "--html", tmp_path / "page.html")
    assert status == 0
    assert out.startswith("6 images, ")
    words = f"left out: 2 images could not be read: images/{broken.name}, images/{cut.name}."
    assert words in " ".join(out.split())
    assert (
        f"Left out: 2 images could not be read: images/{broken.name}" in (tmp_path / "page.html").read_text()
    )
    status, out, _ = evaluated(capsys, *arguments, "--json")
    assert json.loads(out)["left_out"]["unreadable_images"] == 2
    assert json.loads(out)["images"] == 6


def test_a_part_of_which_no_image_can_be_read_is_an_error(few, small, tmp_path, capsys):
    data = Path(shutil.copytree(few, tmp_path / "data"))
    for path in (data / "images").iterdir():
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    status, out, err = evaluated(capsys, "--model", small, "--dataset", data, "--split", "all")
    assert (status, out) == (1, "")
    assert "and all other images of this part cannot be read" in err


def test_an_image_of_a_defect_without_a_box_is_neither_right_nor_wrong(few, small, tmp_path, capsys):
    lines = [
        json.dumps(
            {
                "source-ref": f"s3://factory/{item.name}",
                "anomaly-label": int(number < 4),
                "anomaly-label-metadata": {"class-name": "anomaly" if number < 4 else "normal"},
            }
        )
        for number, item in enumerate(open_dataset(few).samples)
    ]
    data = Path(shutil.copytree(few, tmp_path / "data"))
    (data / "annotations.json").unlink()
    (data / "train.manifest").write_text("\n".join(lines) + "\n")
    status, out, _ = evaluated(capsys, "--model", small, "--dataset", data, "--split", "all", "--json")
    report = json.loads(out)
    assert status == 0
    assert report["left_out"]["images_without_place"] == 4
    assert report["good_images"] == 4
