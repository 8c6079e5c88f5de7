"""What the options of `loupe retrain` ask of a run."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loupe.errors import LoupeError
from loupe.stack.retrain_request import RetrainRequest, parse_families, parse_hyperparameters


def test_without_options_everything_is_left_to_the_stack():
    request = RetrainRequest(parse_families(None), hyperparameters=parse_hyperparameters(None, []))
    assert request == RetrainRequest()
    assert request.document() == {"tune": False, "force": False, "trigger": "manual"}


def test_every_option_reaches_the_execution():
    request = RetrainRequest(
        families=parse_families("ssdlite, dfine_nano,ssdlite"),
        tune=True,
        tuning_jobs=9,
        hyperparameters=parse_hyperparameters(3, ["patience=5", "weights=a=b"]),
        approval=False,
        force=True,
        dataset="bottles",
    )
    assert request.document() == {
        "families": ["ssdlite", "dfine_nano"],
        "tune": True,
        "tuning_jobs": 9,
        "hyperparameters": {"epochs": "3", "patience": "5", "weights": "a=b"},
        "approval": False,
        "dataset": "bottles",
        "force": True,
        "trigger": "manual",
    }


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_setting_is_split_at_its_first_equals_sign(name: str, value: str):
    name = name.replace("=", "_")
    if name != "family":
        assert parse_hyperparameters(None, [f"{name}={value}"]) == {name: value}


@pytest.mark.parametrize(
    ("families", "message"),
    [
        ("yolo", "unknown family 'yolo'"),
        ("ssdlite,_shared", "unknown family '_shared'"),
        (" ,", "does not name a family"),
    ],
)
def test_unknown_families_are_refused_with_a_hint(families: str, message: str):
    with pytest.raises(LoupeError, match=message) as caught:
        parse_families(families)
    assert "ssdlite" in caught.value.hint


@pytest.mark.parametrize(
    ("epochs", "settings", "message"),
    [
        (None, ["patience"], "not NAME=VALUE"),
        (None, ["=5"], "not NAME=VALUE"),
        (None, ["patience="], "not NAME=VALUE"),
        (None, ["family=ssdlite"], "cannot set the family"),
        (3, ["epochs=4"], "epochs is given twice"),
        (None, ["patience=4", "patience=5"], "patience is given twice"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_a_hint(epochs: Any, settings: list[str], message: str):
    with pytest.raises(LoupeError, match=message) as caught:
        parse_hyperparameters(epochs, settings)
    assert caught.value.hint


def test_the_families_are_those_of_the_detectors_and_are_listed_without_torch():
    # In a new process, because another test may have imported torch into this one.
    program = (
        "import sys; from loupe.stack.retrain_request import known_families; print(*known_families()); "
        "assert not {'torch', 'training'} & set(sys.modules)"
    )
    from training.detectors.registry import families

    listed = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True)
    assert listed.stdout.split() == families() != []
