"""The search of a tuning job: Optuna proposes hyperparameters, and decides which children to stop early.

After a restart the search is rebuilt from the stored children, so Optuna's study is in memory only.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState, create_trial

from localcloud.sagemaker.aws_errors import invalid

optuna.logging.set_verbosity(optuna.logging.WARNING)
# With ScalingType Auto, a positive range is searched logarithmically from this ratio of its bounds on.
_WIDE = 100
_ROUNDING = 1e-9  # 1 - (1 - x) may differ from x


class Range:
    """The range of one hyperparameter, whose values SageMaker writes as text and Optuna as numbers.

    Attributes:
        name: The hyperparameter.
        distribution: The range for Optuna.
    """

    def __init__(self, definition: Mapping[str, Any], value_type: Callable[[Any], Any] = str) -> None:
        """Read a range of the API.

        Args:
            definition: The range.
            value_type: int, float, or str for a categorical range.

        Raises:
            AwsError: ValidationException, if the range is not valid.
        """
        self.name = definition["Name"]
        self._value_type = value_type
        self._reverse = definition.get("ScalingType") == "ReverseLogarithmic"
        self.distribution: BaseDistribution
        if "Values" in definition:
            self.distribution = CategoricalDistribution(definition["Values"])
        else:
            self.distribution = self._numeric_distribution(definition)

    def text(self, value: Any) -> str:
        """Return Optuna's value as a hyperparameter."""
        return str(1 - value if self._reverse else value)

    def value(self, text: str) -> Any:
        """Return a hyperparameter as Optuna's value; None if it is outside the range."""
        value = self._value_type(text)
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            return value if value in distribution.choices else None
        assert isinstance(distribution, IntDistribution | FloatDistribution)  # noqa: S101 - see __init__
        value = 1 - value if self._reverse else value
        tolerance = _ROUNDING if self._reverse else 0
        if not distribution.low - tolerance <= value <= distribution.high + tolerance:
            return None
        return min(max(value, distribution.low), distribution.high)

    def _numeric_distribution(self, definition: Mapping[str, Any]) -> BaseDistribution:
        try:
            low = self._value_type(definition["MinValue"])
            high = self._value_type(definition["MaxValue"])
        except ValueError as error:
            raise invalid(f"The range of {self.name} is not of numbers: {error}.") from error
        scaling = definition.get("ScalingType", "Auto")
        if low > high:
            raise invalid(f"The range of {self.name} must have MinValue less than or equal to MaxValue.")
        if self._reverse and (self._value_type is int or not 0 <= low <= high < 1):
            raise invalid(f"ReverseLogarithmic needs a continuous range within 0 <= x < 1: {self.name}.")
        if scaling == "Logarithmic" and low <= 0:
            raise invalid(f"Logarithmic needs a range above 0: {self.name}.")
        log = scaling == "Logarithmic" or (scaling == "Auto" and 0 < low * _WIDE <= high)
        if self._value_type is int:
            return IntDistribution(low, high, log=log)
        if self._reverse:
            return FloatDistribution(1 - high, 1 - low, log=True)
        return FloatDistribution(low, high, log=log)


def read_ranges(definition: Mapping[str, Any]) -> list[Range]:
    """Return the ranges in ParameterRanges.

    Raises:
        AwsError: ValidationException, if a range is not valid, or there is none.
    """
    if definition.get("AutoParameters"):
        raise invalid("The local cloud does not choose ranges by itself (AutoParameters).")
    ranges = [
        *(Range(integer, int) for integer in definition.get("IntegerParameterRanges", [])),
        *(Range(continuous, float) for continuous in definition.get("ContinuousParameterRanges", [])),
        *(Range(categorical) for categorical in definition.get("CategoricalParameterRanges", [])),
    ]
    names = [tuned.name for tuned in ranges]
    if not ranges or len(names) != len(set(names)):
        raise invalid("ParameterRanges must name at least one hyperparameter, and each of them once.")
    return ranges


def grid(ranges: Iterable[Range]) -> list[dict[str, str]]:
    """Return every combination of values, in order.

    Raises:
        AwsError: ValidationException, if a range is not categorical.
    """
    choices: list[list[tuple[str, str]]] = []
    for tuned in ranges:
        if not isinstance(tuned.distribution, CategoricalDistribution):
            raise invalid("Grid search takes categorical ranges only.")
        choices.append([(tuned.name, str(value)) for value in tuned.distribution.choices])
    return [dict(combination) for combination in itertools.product(*choices)]


class Search:
    """Proposes trials and learns from their results."""

    def __init__(self, name: str, config: Mapping[str, Any], proposed: int) -> None:
        """Initialize the search of one tuning job.

        Args:
            name: The tuning job.
            config: Its HyperParameterTuningJobConfig.
            proposed: How many trials were proposed before a restart.

        Raises:
            AwsError: ValidationException, if a range is not valid.
        """
        self._ranges = read_ranges(config["ParameterRanges"])
        self._distributions = {tuned.name: tuned.distribution for tuned in self._ranges}
        self._study = optuna.create_study(
            study_name=name,
            sampler=_sampler(config, proposed),
            pruner=_pruner(config),
            direction=config["HyperParameterTuningJobObjective"]["Type"].lower(),
        )
        # The combinations that are still to be tried.
        self._grid = grid(self._ranges) if config["Strategy"] == "Grid" else None

    def propose(self) -> tuple[Trial, dict[str, str]]:
        """Return a new trial and its hyperparameters."""
        if self._grid is not None:
            hyperparameters = self._grid[0]
            return self.start_trial(hyperparameters), hyperparameters
        trial = self._study.ask(self._distributions)
        return trial, {tuned.name: tuned.text(trial.params[tuned.name]) for tuned in self._ranges}

    def start_trial(self, hyperparameters: Mapping[str, str]) -> Trial:
        """Return a new trial with these hyperparameters, such as those of a child that is already running."""
        self._remove_from_grid(hyperparameters)
        values = {tuned.name: tuned.value(hyperparameters[tuned.name]) for tuned in self._ranges}
        self._study.enqueue_trial(values)
        return self._study.ask(self._distributions)

    def add_ended(
        self,
        hyperparameters: Mapping[str, str],
        value: float | None,
        series: Sequence[float],
        stopped_early: bool,
    ) -> None:
        """Add a trial that has ended before, of this tuning job or of a parent.

        Args:
            hyperparameters: Its hyperparameters.
            value: The final value of its objective; None if it failed.
            series: Every value of its objective.
            stopped_early: Whether it was stopped.
        """
        self._remove_from_grid(hyperparameters)
        values = {
            tuned.name: value_in_range
            for tuned in self._ranges
            if tuned.name in hyperparameters
            and (value_in_range := tuned.value(hyperparameters[tuned.name])) is not None
        }
        self._study.add_trial(
            create_trial(
                state=_state(value, stopped_early),
                value=None if stopped_early else value,
                params=values,
                distributions={name: self._distributions[name] for name in values},
                intermediate_values=dict(enumerate(series, 1)),
            )
        )

    def end_trial(self, trial: Trial, value: float | None, stopped_early: bool) -> None:
        """Tell the result of a trial.

        Args:
            trial: The trial.
            value: The final value of its objective; None if it failed.
            stopped_early: Whether it was stopped.
        """
        state = _state(value, stopped_early)
        self._study.tell(trial, value if state == TrialState.COMPLETE else None, state)

    def should_stop(self, trial: Trial, series: Sequence[float]) -> bool:
        """Return whether to stop a trial early, given the values of its objective so far."""
        reported = self._study.trials[trial.number].intermediate_values
        for step, value in enumerate(series, 1):
            if step not in reported:
                trial.report(value, step)
        return bool(series) and trial.should_prune()

    def _remove_from_grid(self, hyperparameters: Mapping[str, str]) -> None:
        if self._grid is not None and dict(hyperparameters) in self._grid:
            self._grid.remove(dict(hyperparameters))


def _state(value: float | None, stopped_early: bool) -> TrialState:
    if stopped_early:
        return TrialState.PRUNED
    return TrialState.FAIL if value is None else TrialState.COMPLETE


def _sampler(config: Mapping[str, Any], proposed: int) -> BaseSampler:
    # Another seed after a restart: otherwise the first proposals would be repeated.
    seed = config["RandomSeed"] + proposed if "RandomSeed" in config else None
    if config["Strategy"] == "Random":
        return RandomSampler(seed=seed)
    jobs = config["ResourceLimits"].get("MaxNumberOfTrainingJobs", 10)
    return TPESampler(seed=seed, n_startup_trials=max(2, min(10, jobs // 3)), constant_liar=True)


def _pruner(config: Mapping[str, Any]) -> BasePruner:
    if config["Strategy"] == "Hyperband":
        limits = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
        return HyperbandPruner(
            min_resource=limits.get("MinResource", 1), max_resource=limits.get("MaxResource", "auto")
        )
    if config.get("TrainingJobEarlyStoppingType") == "Auto":
        return MedianPruner()
    return NopPruner()
