"""From a folder of good and bad pictures to verdicts, by `loupe learn` alone, on the local cloud."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.anomalies import bad_pictures, good_pictures
from tests.system.test_first_hour import Newcomer

# One lesson, which takes half a minute on a busy machine.
pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(600)]
# A small model; the whole of it is in tests/unit/training.
SMALL = "--set input_size=96 --set memory=500"


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """Somebody with pictures in a folder whose name is not simple, and no local cloud yet."""
    newcomer = Newcomer(tmp_path_factory.mktemp("newcomer"))
    folder = newcomer.folder / "Flaschen [groß]"
    good_pictures(folder / "normal", 20, seed=1)
    bad_pictures(folder / "anomaly", 4, seed=2)
    bad_pictures(folder.with_name("new") / "Flaschen [groß]" / "shift-2", 4, seed=3)
    yield newcomer
    newcomer.down()


@pytest.fixture(scope="module")
def learned(newcomer: Newcomer) -> dict[str, Any]:
    """What the command answers, which also starts the cloud."""
    document: dict[str, Any] = newcomer.json(f"loupe learn 'Flaschen [groß]' --up {SMALL}")
    return document


def test_the_pictures_are_learned_from_measured_served_and_judged(
    newcomer: Newcomer, learned: dict[str, Any]
) -> None:
    assert (learned["line"], learned["trained"]) == ("Flaschen [groß]", True)
    found = learned["pictures"]
    assert (found["good"], found["defective"], found["kept_aside"]) == (20, 4, {"good": 4, "defective": 2})
    assert learned["evaluation"]["image_auroc"] > 0.6
    assert Path(learned["files"], "evaluation.html").is_file()
    assert learned["endpoint_model"] == newcomer.json("loupe models")["endpoint_model"]
    verdicts = learned["verdicts"]
    assert (verdicts["missing"], sum(verdicts["good"].values()), sum(verdicts["defective"].values())) == (
        0,
        20,
        4,
    )
    assert verdicts["good"]["pass"] >= 15
    assert learned["dashboard"].startswith("http://127.0.0.1:")


def test_the_scores_of_the_model_are_in_the_rules(newcomer: Newcomer, learned: dict[str, Any]) -> None:
    rules = newcomer.json("loupe rules show")
    assert rules["version"] == learned["rules"]
    assert 0 < rules["classes"]["anomaly"]["review_score"] < rules["classes"]["anomaly"]["fail_score"] < 1


def test_bad_pictures_that_are_dropped_afterwards_are_anomalies(
    newcomer: Newcomer, learned: dict[str, Any]
) -> None:
    dropped = newcomer.json("loupe drop 'new/Flaschen [groß]/shift-2' --wait")["records"]
    assert [record["line"] for record in dropped] == ["Flaschen [groß]"] * 4
    not_passed = [record for record in dropped if record["verdict"] in ("fail", "review")]
    assert len(not_passed) >= 3
    assert {record["model"]["name"] for record in dropped} == {"Flaschen [groß]"}
    assert any(record["anomaly"]["score"] > 0.5 for record in not_passed)
    listed = newcomer.run("loupe inspections --line 'Flaschen [groß]' --verdict fail")
    assert re.search(r"anomaly \d\.\d+", listed)


def test_the_same_command_again_learns_nothing_twice(newcomer: Newcomer, learned: dict[str, Any]) -> None:
    printed = newcomer.run(f"loupe learn 'Flaschen [groß]' --no-drop {SMALL}")
    assert "Learned before, from the same pictures" in printed
    assert "20 good pictures, 4 defective" in printed
    assert "AUROC" in printed
    assert "loupe drop" in printed
