"""Several models on the same images: which is better, how surely, and what it cost."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.conftest import STARTER
from tests.unit.training.model.anomaly_models import detector_folder
from training.compare import main
from training.datasets.generated.synthetic import generate
from training.evaluation import comparison, runner, wording
from training.evaluation.cost import TrainingCost, price_list, training_cost
from training.evaluation.reports.tables import comparison_table
from training.evaluation.seeds import seed_statistics
from training.model.artefact import pack, unpack

DAY = {"seconds": 7200.0, "instance_type": "ml.g5.xlarge", "device": "cuda", "tuned": True}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    generate(root, 12, seed=78, size=120)
    return root


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory) -> Path:
    """The starter model, which knows three classes by other names, and says what its training took."""
    with tempfile.TemporaryDirectory() as folder:
        card = unpack(STARTER, Path(folder))
        labels = (*card.labels[:2], "<img src=x>", "other", "another", card.labels[5])
        points = {label: point for label, point in card.operating_points.items() if label in labels}
        changed = replace(
            card, name="<b>forgetful", labels=labels, metrics={"training": DAY}, operating_points=points
        )
        changed.write(Path(folder))
        return pack(Path(folder), tmp_path_factory.mktemp("model") / "model.tar.gz")


@pytest.fixture(autouse=True, scope="module")
def each_model_is_evaluated_once():
    """The tests compare the same few models on the same images."""
    evaluations: dict[Path, Any] = {}
    evaluate_artefact = comparison.evaluate_artefact

    def cached(path, tests, escape_rate):
        if path not in evaluations:
            evaluations[path] = evaluate_artefact(path, tests, escape_rate)
        return evaluations[path]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "evaluate_artefact", cached)
        yield


def compare(capsys, data, *arguments):
    status = main([*map(str, arguments), "--dataset", str(data), "--split", "all", "--json"])
    captured = capsys.readouterr()
    return status, json.loads(captured.out) if captured.out else None, captured.err


def test_the_better_model_comes_first_with_a_paired_interval_and_a_page(data, forgetful, tmp_path, capsys):
    page = tmp_path / "page.html"
    status, report, _ = compare(capsys, data, forgetful, STARTER, "--html", page)
    assert status == 0
    best, other = report["models"]
    assert (best["name"], other["name"]) == ("starter", "<b>forgetful")
    assert best["difference"]["verdict"] == "the best"
    low, high = other["difference"]["interval"]
    assert 0 < low <= other["difference"]["map"] <= high
    assert other["difference"]["verdict"].startswith("the best is better by 0.")
    assert other["difference"]["map"] == pytest.approx(best["map"] - other["map"], abs=2e-4)
    assert other["unknown_classes"] == ["patches", "pitted_surface", "rolled-in_scale"]
    assert other["per_class"]["patches"] == 0
    assert "does not know 'patches', 'pitted_surface'" in other["warnings"][0]
    assert other["training"]["cost"] == pytest.approx(2 * price_list()["instances"]["ml.g5.xlarge"])
    assert best["training"]["cost"] is None

    text = page.read_text()
    assert "&lt;b&gt;forgetful" in text
    assert "<b>forgetful" not in text
    assert "B does not know this class" in text
    assert "<script" not in text
    assert "http://" not in text.replace("http://www.w3.org/", "")
    assert text.count("data:image/jpeg;base64,") == text.count('<div class="row">') > 0


def test_a_model_compared_with_itself_shows_no_difference(data, capsys):
    _, report, _ = compare(capsys, data, STARTER, STARTER)
    assert [model["difference"]["verdict"] for model in report["models"]] == [
        "the best",
        "no difference shown",
    ]
    assert report["models"][1]["difference"]["interval"] == [0, 0]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory, forgetful) -> list[Path]:
    """The starter model and the forgetful one, as if the same training had made them from seeds 4 and 3."""
    models = []
    for seed, path in ((4, STARTER), (3, forgetful)):
        with tempfile.TemporaryDirectory() as folder:
            card = unpack(path, Path(folder))
            learned = {"training": {"pretrained": None}}
            same = {**card.hyperparameters, "seed": seed, "name": f"seed{seed}", "workers": seed}
            replace(card, hyperparameters=same, metrics=learned).write(Path(folder))
            models.append(pack(Path(folder), tmp_path_factory.mktemp("seed") / "model.tar.gz"))
    return models


def test_models_of_one_recipe_are_reported_as_mean_and_spread_over_their_seeds(data, seeds, tmp_path, capsys):
    page = tmp_path / "page.html"
    _, report, _ = compare(capsys, data, *seeds, "--html", page)
    better, worse = report["models"]
    (spread,) = report["seeds"]
    assert (spread["family"], spread["seeds"]) == ("ssdlite", [3, 4])
    for metric in ("map", "map50"):
        gap = better[metric] - worse[metric]
        assert spread[metric]["mean"] == pytest.approx(worse[metric] + gap / 2, abs=2e-4)
        assert spread[metric]["sd"] == pytest.approx(gap / 2**0.5, abs=2e-4)
    assert "ssdlite</strong>, seeds 3, 4: mAP" in page.read_text()
    main([*map(str, seeds), "--dataset", str(data), "--split", "all"])
    out = capsys.readouterr().out
    assert "seeds 3, 4 of ssdlite: mAP 0." in out
    assert out.index("ssdlite, seed 4") < out.index("ssdlite, seed 3")
    assert [model["seed"] for model in report["models"]] == [4, 3]
    assert page.read_text().index(", seed 4, ") < page.read_text().index(", seed 3, ")


@pytest.mark.parametrize(
    "other",
    [
        {"hyperparameters": {"seed": 1, "learning_rate": 0.1}},
        {"hyperparameters": {}},  # an ensemble
        {"hyperparameters": {"seed": 0, "learning_rate": 0.2}},
        {"family": "ssd"},
        {"dataset": {"snapshot": "another"}},
        {"metrics": {"training": {"pretrained": {"source": "coco.pth", "sha256": "ab"}}}},
    ],
)
def test_models_that_differ_in_more_than_the_seed_are_not_joined(other):
    with tempfile.TemporaryDirectory() as folder:
        card = unpack(STARTER, Path(folder))
    card = replace(card, hyperparameters={"seed": 0, "learning_rate": 0.2})
    alike = {"hyperparameters": {"seed": 1, "learning_rate": 0.2}}
    scores = [{"map": 0.5, "map50": 0.8}] * 2
    assert len(seed_statistics([card, replace(card, **alike)], scores)) == 1
    assert seed_statistics([card, replace(card, **(alike | other))], scores) == []
    assert seed_statistics([card, replace(card, **alike)], [*scores[:1], {"map": None, "map50": None}]) == []


def test_a_model_that_cannot_be_loaded_is_named_and_the_others_compared(data, tmp_path, capsys):
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(b"no archive")
    status, report, error = compare(capsys, data, broken, STARTER)
    assert status == 1
    assert [model["name"] for model in report["models"]] == ["starter"]
    assert [model["path"] for model in report["failed"]] == [str(broken)]
    assert str(broken) in error


def test_without_any_model_there_is_nothing_but_an_error(data, tmp_path, capsys):
    page = tmp_path / "page.html"
    status, report, error = compare(capsys, data, tmp_path / "none.tar.gz", "--html", page)
    assert (status, report, page.exists()) == (1, None, False)
    assert "nothing to compare" in error


def test_the_table_is_for_people_and_fits_a_narrow_terminal(data, forgetful, capsys):
    assert main([str(STARTER), str(forgetful), "--dataset", str(data), "--split", "all"]) == 0
    out = capsys.readouterr().out
    assert "about $2.82 on ml.g5.xlarge" in out
    assert "the best is better by" in out
    assert "overkill 0.0 % (0 of " in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_long_name_is_cut_in_the_table_and_no_figure_is(data, forgetful, capsys):
    status, report, _ = compare(capsys, data, STARTER, forgetful)
    assert status == 0
    (best, other), name = report["models"], "line-2-camera-left-" + "very-" * 20 + "seed-3\x1b[2J"
    table = comparison_table(report | {"models": [best, {**other, "name": name}]})
    (row,) = (line for line in table.splitlines() if line.startswith("line-2"))
    assert len(row) <= 80
    assert f"seed-3 {other['version']}" in row
    assert row.split()[2] == f"{other['map']:.3f}"
    assert "\x1b" not in table


def test_what_is_printed_for_machines_leaves_the_resamples_to_the_file(data, forgetful, tmp_path, capsys):
    _, printed, _ = compare(capsys, data, STARTER, forgetful, "--out", tmp_path / "full.json")
    full = json.loads((tmp_path / "full.json").read_text())
    assert printed["files"] == {"full": str(tmp_path / "full.json")}
    assert len(json.dumps(printed)) < 8000
    assert len(full["models"][0]["confidence"]["map_resamples"]) == 1000
    assert printed["models"][0]["confidence"]["map"] == full["models"][0]["confidence"]["map"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (DAY, TrainingCost(7200.0, "ml.g5.xlarge", "cuda", True, pytest.approx(2.816))),
        (
            {"seconds": 3600, "device": "cpu", "tuned": False},
            TrainingCost(3600, None, "cpu", False, None, "ml.c5.xlarge", 0.204),
        ),
        # The local cloud gives a run on a laptop the name of the instance that it would have.
        (
            DAY | {"device": "cpu", "on_instance": False},
            TrainingCost(7200.0, "ml.g5.xlarge", "cpu", True, None, "ml.g5.xlarge", pytest.approx(2.816)),
        ),
        (
            DAY | {"device": "cpu"},
            TrainingCost(7200.0, "ml.g5.xlarge", "cpu", True, None, "ml.g5.xlarge", pytest.approx(2.816)),
        ),
        (
            {"seconds": 60, "instance_type": "ml.unheard.of"},
            TrainingCost(60, "ml.unheard.of", None, None, None),
        ),
        ({"seconds": "long", "tuned": 1, "instance_type": 5}, TrainingCost()),
        ("none", TrainingCost()),
        (None, TrainingCost()),
    ],
)
def test_the_cost_is_estimated_if_the_instance_has_a_price_and_else_unknown(fields, expected):
    assert training_cost({"training": fields}) == expected


def test_a_run_on_a_laptop_has_no_price_but_the_one_that_it_would_have():
    here, there = ({**DAY, "on_instance": on_instance} for on_instance in (False, True))
    costs = [wording.cost(asdict(training_cost({"training": fields}))) for fields in (here, there)]
    assert costs == ["on AWS this would cost about $2.82 (ml.g5.xlarge)", "about $2.82 on ml.g5.xlarge"]
    assert wording.cost(asdict(training_cost({}))) == ""


def test_the_price_list_has_a_date_and_a_source():
    listed = price_list()
    assert listed["date"]
    assert listed["source"].startswith("https://")
    assert all(price > 0 for price in listed["instances"].values())


def test_all_models_get_the_images_that_can_be_read_and_the_others_are_named(data, tmp_path, capsys):
    few = Path(shutil.copytree(data, tmp_path / "data"))
    cut = min((few / "images").iterdir())
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    model = pack(detector_folder(tmp_path / "small", labels=("patches",)), tmp_path / "model.tar.gz")
    comparisons = [model, shutil.copy(model, tmp_path / "again.tar.gz")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "evaluate_artefact", runner.evaluate_artefact)
        page = tmp_path / "page.html"
        status, report, _ = compare(capsys, few, *comparisons, "--html", page)
    assert status == 0
    assert report["images"] == 11
    assert report["left_out"]["unreadable"] == [f"images/{cut.name}"]
    assert f"Left out: 1 image could not be read: images/{cut.name}" in page.read_text()
    assert {model["difference"]["verdict"] for model in report["models"]} == {
        "the best",
        "no difference shown",
    }
