"""A run that was ended after any of its tasks is started again: nothing is trained or evaluated twice."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.promises import Tell
from tests.unit.statemachine.account import Account, EndedError
from tests.unit.statemachine.conftest import DEFINITION
from tests.unit.statemachine.engine import ScriptedClients, run
from tests.unit.statemachine.scenarios import (
    Outcome,
    Scenario,
    a_better_model,
    a_person_approves,
)

pytestmark = pytest.mark.promise(18)
Execute = Callable[[Account, str, Scenario], Outcome]


@pytest.fixture
def execute(clients: ScriptedClients, monkeypatch: pytest.MonkeyPatch) -> Execute:
    """Execute the definition on an account that an earlier execution may have left."""

    def execute(account: Account, name: str, scenario: Scenario) -> Outcome:
        request = scenario(account) or {}
        with monkeypatch.context() as patch:
            clients.patch_functions(patch)
            return Outcome(account, run(account, DEFINITION, patch, request, name))

    return execute


def trained(account: Account) -> list[int]:
    """Return how many trainings, tunings and evaluations were made. Each execution registers a version of its own."""
    own = [name for name in account.records["TrainingJob"] if "-hpo-" not in name]
    return [len(own), *(len(account.records[kind]) for kind in ("HyperParameterTuningJob", "ProcessingJob"))]


def restarted(
    clients: ScriptedClients, execute: Execute, scenario: Scenario, tried: Tell, every: int
) -> None:
    undisturbed = execute(clients.open_account(), "one", scenario)
    tasks = list(dict.fromkeys(undisturbed.account.visited))
    wanted, done = trained(undisturbed.account), 0
    for task in tasks[::every]:
        account = clients.open_account()
        account.ends_after = task
        with pytest.raises(EndedError):
            execute(account, "one", scenario)
        account.ends_after, account.has_ended = None, False
        account.settle_endpoint()

        again = execute(account, "two", lambda account: scenario(account) if account.endpoint else None)

        assert again.status == "SUCCEEDED", f"{task}: {again.notice}"
        assert trained(account) == wanted, f"ended after {task}"
        assert again.serves == undisturbed.serves, task
        done += 1
    tried(faults=done)


def tuned_and_approved(account: Account) -> dict[str, Any]:
    return {"tune": True, **(a_person_approves(account))}


@pytest.mark.parametrize(
    ("scenario", "every"),
    [(a_better_model, 4), pytest.param(tuned_and_approved, 1, marks=pytest.mark.slow)],
)
def test_a_run_that_was_ended_after_any_task_trains_nothing_twice(
    clients: ScriptedClients, execute: Execute, tried: Tell, scenario: Scenario, every: int
) -> None:
    restarted(clients, execute, scenario, tried, every)
