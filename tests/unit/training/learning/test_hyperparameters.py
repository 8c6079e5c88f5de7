"""Hyperparameters are read from strings; an error gives the name of the wrong one."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from training.detectors.registry import UnknownFamilyError, recipe  # noqa: E402
from training.job.hyperparameters import HyperparameterError, parse  # noqa: E402
from training.learning.hyperparameters import Hyperparameters  # noqa: E402


def test_values_are_read_from_strings():
    settings = parse(Hyperparameters, {"learning_rate": "2e-3", "input_size": "128", "refit": "true"})
    assert settings.learning_rate == 0.002
    assert settings.input_size == 128
    assert settings.refit is True
    assert settings.seed == 0


def test_names_that_sagemaker_adds_are_ignored():
    added = {"sagemaker_program": "x", "_tuning_objective_metric": "val:map"}
    assert parse(Hyperparameters, added) == Hyperparameters()


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(
        HyperparameterError,
        match=r"hyperparameter epoch='3' is unknown, did you mean epochs\? known are .*views",
    ):
        parse(Hyperparameters, {"epoch": "3"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", "many"),
        ("epochs", "-1"),
        ("epochs", "0"),
        ("input_size", "0"),
        ("batch_size", "0"),
        ("learning_rate", "0"),
        ("weight_decay", "-0.1"),
        ("batch_size", "1.5"),
        ("learning_rate", "-1e-3"),
        ("learning_rate", "nan"),
        ("warmup_epochs", "inf"),
        ("train_share", "0"),
        ("train_share", "1.01"),
        ("ema_decay", "1.5"),
        ("mosaic", "-0.1"),
        ("cycles", "-1"),
        ("validate_every", "0"),
        ("patience", "-1"),
        ("seed", str(2**64)),
        ("workers", "-2"),
        ("refit", "maybe"),
    ],
)
def test_a_value_of_the_wrong_type_or_out_of_its_bounds_is_refused_by_name(name, value):
    with pytest.raises(HyperparameterError, match=f"^hyperparameter {name}='{value}': must be "):
        parse(Hyperparameters, {name: value})


def test_every_wrong_value_is_named_at_once():
    with pytest.raises(HyperparameterError, match=r"epochs='-1'.*; hyperparameter mosaic='2'"):
        parse(Hyperparameters, {"epochs": "-1", "mosaic": "2"})


@pytest.mark.parametrize("setting", [{"refit": "true"}, {"cycles": "2"}])
def test_tuning_refuses_what_it_cannot_compare(setting):
    with pytest.raises(HyperparameterError, match=f"^{next(iter(setting))}.*tune first"):
        parse(Hyperparameters, {"tuned": "true", **setting})


def test_the_familys_recipe_decides_what_is_not_set():
    settings, defaults = Hyperparameters(batch_size=8).completed(), recipe("ssdlite")
    assert (settings.input_size, settings.epochs) == (defaults.input_size, defaults.epochs)
    assert settings.learning_rate == defaults.learning_rate
    assert settings.batch_size == 8


def test_a_value_of_zero_that_is_given_is_not_replaced():
    assert recipe("ssdlite").weight_decay > 0
    assert parse(Hyperparameters, {"weight_decay": "0"}).completed().weight_decay == 0


def test_an_unknown_family_is_refused_with_the_known_ones():
    with pytest.raises(UnknownFamilyError, match=r"'yolo'.*ssdlite"):
        Hyperparameters(family="yolo").completed()
