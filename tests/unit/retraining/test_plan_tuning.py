"""The plan's tuning jobs: what each strategy wants, and ranges that hold what is known to work."""

from typing import Any

import pytest

from retraining.errors import InvalidRequestError
from retraining.plan import _EPOCHS
from retraining.request import FAMILIES
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
    ("given_", "epochs"),
    [({}, _EPOCHS), ({"epochs": "0"}, _EPOCHS), ({"epochs": "27"}, 27), ({"epochs": "1"}, 1)],
)
def test_hyperband_s_resource_is_what_a_job_has_when_it_ends(
    account: Account, given_: dict[str, str], epochs: int
) -> None:
    """A job is stopped, with no model, once it has given more values of the objective than that."""
    request = tuning(account, "Hyperband", hyperparameters=given_)
    band = request["HyperParameterTuningJobConfig"]["StrategyConfig"]["HyperbandStrategyConfig"]
    static = request["TrainingJobDefinition"]["StaticHyperParameters"]
    assert band["MaxResource"] == int(static["epochs"]) == epochs
    assert static["validate_every"] == "1"
    assert 1 <= band["MinResource"] <= band["MaxResource"]


def test_hyperband_s_own_number_of_epochs_is_enough_for_every_family() -> None:
    assert max(recipe(family).epochs for family in families()) == _EPOCHS


def test_a_tuning_job_looks_for_the_best_mean_precision_within_its_limits(account: Account) -> None:
    plan = planned(account, tune=True, tuning_jobs=1)
    config = job(plan, "ssdlite-tuned")["HyperParameterTuningJobConfig"]
    assert config["HyperParameterTuningJobObjective"] == {"Type": "Maximize", "MetricName": "val:map"}
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    metrics = job(plan, "ssdlite-tuned")["TrainingJobDefinition"]["AlgorithmSpecification"][
        "MetricDefinitions"
    ]
    assert "val:map" in [each["Name"] for each in metrics]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_hyperparameter_that_is_given_wins_over_its_range(account: Account, strategy: str) -> None:
    request = tuning(account, strategy, hyperparameters={"learning_rate": "0.01"})
    config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    ranges = [each["Name"] for each in config["ParameterRanges"]["ContinuousParameterRanges"]]
    assert "learning_rate" not in ranges
    assert ranges
    static = definition["StaticHyperParameters"]
    assert (static["learning_rate"], static["tuned"], static["name"]) == ("0.01", "true", "ssdlite-tuned")
    assert not set(ranges) & set(static)


def test_where_everything_is_given_there_is_nothing_to_tune(account: Account) -> None:
    everything = dict.fromkeys(FAMILIES["ssdlite"], "0.1")
    with pytest.raises(InvalidRequestError, match="leave nothing to tune"):
        planned(account, tune=True, hyperparameters=everything)


def test_families_json_names_the_families_of_training() -> None:
    assert sorted(FAMILIES) == sorted(families())


@pytest.mark.parametrize("family", FAMILIES)
def test_each_range_holds_the_family_s_own_value(family: str) -> None:
    own = Hyperparameters(family=family).completed()
    assert FAMILIES[family]
    for name, about in FAMILIES[family].items():
        assert about["min"] <= getattr(own, name) <= about["max"], name
        assert about["min"] < about["max"]
        assert about["scaling"] == "Linear" or about["min"] > 0


@pytest.mark.parametrize("epochs", ["many", "-1", "1.5", ""])
def test_hyperband_needs_whole_epochs(account: Account, epochs: str) -> None:
    with pytest.raises(InvalidRequestError, match="hyperparameters.epochs: .*" + repr(epochs)):
        tuning(account, "Hyperband", hyperparameters={"epochs": epochs})
