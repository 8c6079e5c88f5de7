"""The tuning jobs of a plan: what each strategy needs, and the ranges of each family."""

from typing import Any

import pytest

from contract.families import ANOMALY_FAMILIES
from retraining.errors import InvalidRequestError
from retraining.families import FAMILIES
from retraining.job_requests import HYPERBAND_EPOCHS
from tests.unit.retraining.account import Account
from tests.unit.retraining.planning import job, planned
from training.detectors.registry import families, recipe
from training.learning.hyperparameters import Hyperparameters

STRATEGIES = ["Bayesian", "Hyperband", "Random"]


def tuning(account: Account, strategy: str, **options: Any) -> dict[str, Any]:
    plan = planned(account, tune=True, settings={"tuning_strategy": strategy}, **options)
    return job(plan, "ssdlite-tuned")


@pytest.mark.parametrize(
    ("strategy", "early"), [("Bayesian", "Auto"), ("Random", "Auto"), ("Hyperband", "Off")]
)
def test_hyperband_stops_jobs_itself_and_the_others_let_sagemaker(
    account: Account, strategy: str, early: str
) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HyperParameterTuningJobConfig.html"""
    config = tuning(account, strategy)["HyperParameterTuningJobConfig"]
    assert (config["Strategy"], config["TrainingJobEarlyStoppingType"]) == (strategy, early)
    assert ("StrategyConfig" in config) == (strategy == "Hyperband")


@pytest.mark.parametrize(
    ("hyperparameters", "epochs"),
    [
        ({}, HYPERBAND_EPOCHS),
        ({"epochs": "0"}, HYPERBAND_EPOCHS),
        ({"epochs": "27"}, 27),
        ({"epochs": "1"}, 1),
    ],
)
def test_hyperband_s_largest_resource_is_the_number_of_epochs(
    account: Account, hyperparameters: dict[str, str], epochs: int
) -> None:
    """A training is stopped without a model once it has reported more values of the objective than that."""
    request = tuning(account, "Hyperband", hyperparameters=hyperparameters)
    band = request["HyperParameterTuningJobConfig"]["StrategyConfig"]["HyperbandStrategyConfig"]
    static = request["TrainingJobDefinition"]["StaticHyperParameters"]
    assert band["MaxResource"] == int(static["epochs"]) == epochs
    assert static["validate_every"] == "1"
    assert 1 <= band["MinResource"] <= band["MaxResource"]


def test_hyperband_s_default_number_of_epochs_is_enough_for_every_family() -> None:
    assert max(recipe(family).epochs for family in families("detector")) == HYPERBAND_EPOCHS


def test_a_tuning_job_maximizes_map_within_its_limits(account: Account) -> None:
    plan = planned(account, tune=True, tuning_jobs=1)
    config = job(plan, "ssdlite-tuned")["HyperParameterTuningJobConfig"]
    assert config["HyperParameterTuningJobObjective"] == {"Type": "Maximize", "MetricName": "val:map"}
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    metrics = job(plan, "ssdlite-tuned")["TrainingJobDefinition"]["AlgorithmSpecification"][
        "MetricDefinitions"
    ]
    assert "val:map" in [metric["Name"] for metric in metrics]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_hyperparameter_of_the_request_is_not_tuned(account: Account, strategy: str) -> None:
    request = tuning(account, strategy, hyperparameters={"learning_rate": "0.01"})
    config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    ranges = [tuned["Name"] for tuned in config["ParameterRanges"]["ContinuousParameterRanges"]]
    assert "learning_rate" not in ranges
    assert ranges
    static = definition["StaticHyperParameters"]
    assert (static["learning_rate"], static["tuned"], static["name"]) == ("0.01", "true", "ssdlite-tuned")
    assert not set(ranges) & set(static)


def test_a_request_that_sets_every_tuned_hyperparameter_is_refused(account: Account) -> None:
    everything = dict.fromkeys(FAMILIES["ssdlite"], "0.1")
    with pytest.raises(InvalidRequestError, match="leave nothing to tune"):
        planned(account, tune=True, hyperparameters=everything)


def test_families_json_names_the_families_of_training() -> None:
    assert sorted(FAMILIES) == sorted(families())
    assert sorted(ANOMALY_FAMILIES) == families("anomaly")


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in ANOMALY_FAMILIES])
def test_each_range_contains_the_family_s_default(family: str) -> None:
    defaults = Hyperparameters(family=family).completed()
    assert FAMILIES[family]
    for name, limits in FAMILIES[family].items():
        assert limits["min"] <= getattr(defaults, name) <= limits["max"], name
        assert limits["min"] < limits["max"]
        assert limits["scaling"] == "Linear" or limits["min"] > 0


@pytest.mark.parametrize("epochs", ["many", "-1", "1.5", ""])
def test_hyperband_needs_a_whole_number_of_epochs(account: Account, epochs: str) -> None:
    with pytest.raises(InvalidRequestError, match="hyperparameters.epochs: .*" + repr(epochs)):
        tuning(account, "Hyperband", hyperparameters={"epochs": epochs})
