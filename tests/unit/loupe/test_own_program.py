"""The programs of the other rooms that `loupe` asks, each in a process of its own as for a user."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.sources import PACKAGES, REPOSITORY
from loupe.errors import LoupeError
from loupe.stack import rules, trial
from loupe.stack.deployment import STARTER
from loupe.stack.learning import source
from loupe.stack.own_program import ask


@pytest.fixture(autouse=True)
def _programs_in_this_process() -> None:
    """Here they are started."""


@pytest.fixture(autouse=True)
def _other_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where packages have the names of ours: none of them may be imported."""
    for package in ("inspection", "training", "contract"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(
            "raise SystemExit('imported from the current folder')"
        )
    monkeypatch.chdir(tmp_path)


def test_rules_are_checked_by_the_functions_program() -> None:
    document = '{"version": "mine", "default": {"fail_score": 0.5, "review_score": 0.3}}'
    assert rules.check(document).document["version"] == "mine"
    with pytest.raises(LoupeError, match="version: is missing"):
        rules.check("{}")


def test_a_model_is_tried_by_the_containers_program() -> None:
    picture = REPOSITORY / "samples" / "line-2" / "bottom" / "SN1003.jpg"
    assert trial.run(STARTER, [picture], force=False).text == "found defects on 1 of 1 golden pictures"


def test_a_folder_is_surveyed_by_the_containers_program(tmp_path: Path) -> None:
    (empty := tmp_path / "pictures").mkdir()
    with pytest.raises(LoupeError, match="pictures: is empty"):
        source.look(str(empty), tmp_path / "out", None, all_good=True)


def test_a_program_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(LoupeError, match=r"it cannot be asked: .*No module named no_such_program") as caught:
        ask("no_such_program", {}, [PACKAGES], 60, "it cannot be asked")
    assert caught.value.hint
