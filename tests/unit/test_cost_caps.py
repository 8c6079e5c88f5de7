"""Nothing costs without a limit: the time and the number of jobs, machines and runs at once are bounded."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.sources import REPOSITORY
from retraining.job_requests import JobRequests
from retraining.request import Request
from retraining.settings import Settings
from tests.permissions import grants
from tests.unit.retraining.memory import MemoryDocuments
from tests.unit.retraining.planning import SETTINGS
from tests.unit.test_template import TEMPLATE, Template, as_list, at, statements

# The most that somebody can set each parameter to which decides about costs.
CAPS = {
    "TrainingMaxSeconds": 172_800,
    "TrainingVolumeGiB": 1000,
    "TuningJobs": 100,
    "TuningParallelJobs": 10,
    "EndpointMaxInstances": 100,
    "InspectConcurrency": 1000,
}
DEFINITION: dict[str, Any] = json.loads((REPOSITORY / "statemachine/retrain.asl.json").read_text())
pytestmark = pytest.mark.promise(19)


def parameters_without_a_cap(template: Template) -> Iterator[str]:
    for name, most in CAPS.items():
        if template["Parameters"][name].get("MaxValue", float("inf")) > most:
            yield name


def jobs_without_an_end(definition: dict[str, Any]) -> Iterator[str]:
    """Yield the tasks of a state machine that start a job whose time is not bounded, and machines without a timeout."""
    if "TimeoutSeconds" not in definition:
        yield "the execution"
    for name, state in states_of(definition):
        if state["Type"] == "Task" and "TimeoutSeconds" not in state:
            yield name
        arguments = state.get("Arguments")
        if "createProcessingJob" in state.get("Resource", "") and not bounded(arguments):
            yield name
        if state["Type"] == "Map" and not 0 < state.get("MaxConcurrency", 0) <= 40:
            yield name


def states_of(definition: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in definition["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states_of(state["ItemProcessor"])


def bounded(request: Any) -> bool:
    """Return whether SageMaker ends a job by itself."""
    seconds = request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 0)
    return 0 < seconds <= CAPS["TrainingMaxSeconds"]


def test_what_decides_about_costs_has_a_cap_and_every_job_ends() -> None:
    assert list(parameters_without_a_cap(TEMPLATE)) == []
    assert list(jobs_without_an_end(DEFINITION)) == []
    started = [
        state for _, state in states_of(DEFINITION) if ":createProcessingJob" in state.get("Resource", "")
    ]
    assert started


INNER = ("Candidates", "ItemProcessor", "States")


def change(*path: Any, to: Any = None) -> Callable[[dict[str, Any]], None]:
    """Return a change of the definition; without `to` it removes."""

    def apply(definition: dict[str, Any]) -> None:
        *parents, last = path
        node: Any = definition if path[0] in definition else definition["States"]
        for step in parents:
            node = node[step]
        if to is None:
            del node[last]
        else:
            node[last] = to

    return apply


@pytest.mark.parametrize(
    "worsen",
    [
        change(*INNER, "Evaluate", "Arguments", "StoppingCondition"),
        change(*INNER, "Evaluate", "Arguments", "StoppingCondition", "MaxRuntimeInSeconds", to=999_999),
        change(*INNER, "Train", "TimeoutSeconds"),
        change("Candidates", "MaxConcurrency"),
        change("TimeoutSeconds"),
        change("Plan", "TimeoutSeconds"),
    ],
)
def test_a_job_without_an_end_is_found(worsen: Callable[[dict[str, Any]], None], tried: Any) -> None:
    worse = copy.deepcopy(DEFINITION)
    worsen(worse)
    tried(faults=1)
    assert list(jobs_without_an_end(worse)) != []


@pytest.mark.parametrize("name", CAPS)
def test_a_parameter_without_a_cap_is_found(name: str, tried: Any) -> None:
    for worsen in (at("Parameters", name, "MaxValue"), at("Parameters", name, "MaxValue", to=10**7)):
        worse = copy.deepcopy(TEMPLATE)
        worsen(worse)
        tried(faults=1)
        assert list(parameters_without_a_cap(worse)) == [name]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seconds=st.integers(60, CAPS["TrainingMaxSeconds"]),
    jobs=st.integers(1, CAPS["TuningJobs"]),
    parallel=st.integers(1, CAPS["TuningParallelJobs"]),
    spot=st.booleans(),
    asked=st.none() | st.integers(1, CAPS["TuningJobs"]),
    strategy=st.sampled_from(["Bayesian", "Hyperband", "Random"]),
)
def test_whatever_is_set_a_training_ends_and_a_tuning_has_no_more_of_them_than_wanted(
    seconds: int, jobs: int, parallel: int, spot: bool, asked: int | None, strategy: str
) -> None:
    chosen = Settings.model_validate(
        SETTINGS
        | {
            "training_max_seconds": seconds,
            "tuning_jobs": jobs,
            "tuning_parallel_jobs": parallel,
            "spot": spot,
            "tuning_strategy": strategy,
        }
    )
    requests = JobRequests(chosen, MemoryDocuments({}), Request(tuning_jobs=asked), "run")
    hyperparameters = {"family": "ssdlite"}
    training, tuning = (
        requests.training_job("t", dict(hyperparameters), []),
        requests.tuning_job("t", dict(hyperparameters), []),
    )
    for job in (training, tuning["TrainingJobDefinition"]):
        assert bounded(job)
        assert job["StoppingCondition"].get("MaxWaitTimeInSeconds", seconds) <= 2 * seconds
        assert job["ResourceConfig"]["InstanceCount"] == 1
    limits = tuning["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert limits["MaxNumberOfTrainingJobs"] == (asked or jobs) <= CAPS["TuningJobs"]
    assert limits["MaxParallelTrainingJobs"] <= min(parallel, asked or jobs)


def test_no_function_has_written_or_may_write_where_an_object_starts_one(tried: Any) -> None:
    """By the calls that the local cloud recorded, and by the roles."""
    recorded = grants.read(REPOSITORY / "tests/permissions/recorded.json")
    written = {grant for grant in recorded if " s3:PutObject " in grant}
    tried(inputs=len(written))
    assert len(written) > 8
    assert [grant for grant in written if "ImagesBucket" in grant] == []
    writes = ("s3:PutObject", "s3:RestoreObject", "s3:ReplicateObject")
    for role, statement in statements(TEMPLATE):
        if set(writes) & set(as_list(statement["Action"])):
            assert "ImagesBucket" not in str(statement["Resource"]), role
