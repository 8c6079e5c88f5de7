"""The search behind a tuning job: Optuna proposes hyperparameters, and says which child is not worth its time.

Everything is rebuilt from the stored children after a restart, so the study itself lies in memory.
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

from localcloud.sagemaker.errors import invalid

optuna.logging.set_verbosity(optuna.logging.WARNING)
_WIDE = 100  # a positive range that spans this factor is searched logarithmically if SageMaker may choose


class Range:
    """One hyperparameter's range: the values as SageMaker writes them, as texts, and as Optuna has them."""

    def __init__(self, about: Mapping[str, Any]) -> None:
        """`about` is a range of the API. Raises AwsError (ValidationException)."""
        self.name = about["Name"]
        self._kind: Callable[[Any], Any] = about.get("kind", str)
        scaling = about.get("ScalingType", "Auto")
        self._reverse = scaling == "ReverseLogarithmic"
        self.distribution: BaseDistribution
        if "Values" in about:
            self.distribution = CategoricalDistribution(about["Values"])
            return
        try:
            low, high = self._kind(about["MinValue"]), self._kind(about["MaxValue"])
        except ValueError as error:
            raise invalid(f"The range of {self.name} is not of numbers: {error}.") from error
        if low > high:
            raise invalid(f"The range of {self.name} must have MinValue less than or equal to MaxValue.")
        if self._reverse and (self._kind is int or not 0 <= low <= high < 1):
            raise invalid(f"ReverseLogarithmic needs a continuous range within 0 <= x < 1: {self.name}.")
        if scaling == "Logarithmic" and low <= 0:
            raise invalid(f"Logarithmic needs a range above 0: {self.name}.")
        log = scaling == "Logarithmic" or (scaling == "Auto" and 0 < low * _WIDE <= high)
        if self._kind is int:
            self.distribution = IntDistribution(low, high, log=log)
        elif self._reverse:
            self.distribution = FloatDistribution(1 - high, 1 - low, log=True)
        else:
            self.distribution = FloatDistribution(low, high, log=log)

    def text(self, value: Any) -> str:
        """Optuna's value as a hyperparameter."""
        return str(1 - value if self._reverse else value)

    def value(self, text: str) -> Any:
        """A hyperparameter as Optuna's value; None if it lies outside the range."""
        value = self._kind(text)
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            return value if value in distribution.choices else None
        assert isinstance(distribution, IntDistribution | FloatDistribution)  # noqa: S101 - see __init__
        value = 1 - value if self._reverse else value
        near = 1e-9 if self._reverse else 0  # 1 - (1 - x) may miss the bound by a hair
        if not distribution.low - near <= value <= distribution.high + near:
            return None
        return min(max(value, distribution.low), distribution.high)


def ranges(about: Mapping[str, Any]) -> list[Range]:
    """The ranges of ParameterRanges. Raises AwsError (ValidationException)."""
    if about.get("AutoParameters"):
        raise invalid("The local cloud does not choose ranges by itself (AutoParameters).")
    found = [
        *(Range({**each, "kind": int}) for each in about.get("IntegerParameterRanges", [])),
        *(Range({**each, "kind": float}) for each in about.get("ContinuousParameterRanges", [])),
        *(Range(each) for each in about.get("CategoricalParameterRanges", [])),
    ]
    names = [each.name for each in found]
    if not found or len(names) != len(set(names)):
        raise invalid("ParameterRanges must name at least one hyperparameter, and each of them once.")
    return found


def grid(found: Iterable[Range]) -> list[dict[str, str]]:
    """Every combination, in order. Raises AwsError (ValidationException) for ranges that are not categorical."""
    choices: list[list[tuple[str, str]]] = []
    for each in found:
        if not isinstance(each.distribution, CategoricalDistribution):
            raise invalid("Grid search takes categorical ranges only.")
        choices.append([(each.name, str(value)) for value in each.distribution.choices])
    return [dict(combination) for combination in itertools.product(*choices)]


class Search:
    """Proposes trials and learns from them; `told` trials of before are added in their order."""

    def __init__(self, name: str, config: Mapping[str, Any], before: int) -> None:
        """`config` is a HyperParameterTuningJobConfig, `before` how many trials were proposed already."""
        self._ranges = ranges(config["ParameterRanges"])
        self._distributions = {each.name: each.distribution for each in self._ranges}
        self._study = optuna.create_study(
            study_name=name,
            sampler=_sampler(config, before),
            pruner=_pruner(config),
            direction=config["HyperParameterTuningJobObjective"]["Type"].lower(),
        )
        self._grid = grid(self._ranges) if config["Strategy"] == "Grid" else None

    def ask(self) -> tuple[Trial, dict[str, str]]:
        """A new trial, and its hyperparameters as texts."""
        if self._grid is not None:
            return self.adopt(self._grid.pop(0))
        trial = self._study.ask(self._distributions)
        return trial, {each.name: each.text(trial.params[each.name]) for each in self._ranges}

    def adopt(self, texts: Mapping[str, str]) -> tuple[Trial, dict[str, str]]:
        """A trial with these hyperparameters, such as one that runs already."""
        self._seen(texts)
        self._study.enqueue_trial({each.name: each.value(texts[each.name]) for each in self._ranges})
        return self._study.ask(self._distributions), dict(texts)

    def add(
        self, texts: Mapping[str, str], value: float | None, series: Sequence[float], pruned: bool
    ) -> None:
        """A trial that has ended before, of this tuning job or of a parent; value None: it failed."""
        self._seen(texts)
        params = {
            each.name: value_
            for each in self._ranges
            if each.name in texts and (value_ := each.value(texts[each.name])) is not None
        }
        self._study.add_trial(
            create_trial(
                state=_state(value, pruned),
                value=None if pruned else value,
                params=params,
                distributions={name: self._distributions[name] for name in params},
                intermediate_values=dict(enumerate(series, 1)),
            )
        )

    def tell(self, trial: Trial, value: float | None, pruned: bool) -> None:
        """How a trial ended; value None: it failed."""
        state = _state(value, pruned)
        self._study.tell(trial, value if state == TrialState.COMPLETE else None, state)

    def hopeless(self, trial: Trial, series: Sequence[float]) -> bool:
        """Whether a trial with these values of the objective so far should end early."""
        known = self._study.trials[trial.number].intermediate_values
        for step, value in enumerate(series, 1):
            if step not in known:
                trial.report(value, step)
        return bool(series) and trial.should_prune()

    def _seen(self, texts: Mapping[str, str]) -> None:
        if self._grid is not None and dict(texts) in self._grid:
            self._grid.remove(dict(texts))


def _state(value: float | None, pruned: bool) -> TrialState:
    if pruned:
        return TrialState.PRUNED
    return TrialState.FAIL if value is None else TrialState.COMPLETE


def _sampler(config: Mapping[str, Any], before: int) -> BaseSampler:
    # After a restart another seed, or the first proposals would come again.
    seed = config["RandomSeed"] + before if "RandomSeed" in config else None
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
