"""How far a run is: its steps from the events of the execution, its jobs and their curves."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from retraining.executions import Executions, Step
from retraining.job_progress import JobProgress, JobReader
from tests.unit.retraining.account import Account

_MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:press-retrain"
_EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:press-retrain:one"


def _at(second: int) -> datetime:
    return datetime(2026, 3, 2, tzinfo=UTC) + timedelta(seconds=second)


def entered(second: int, name: str, kind: str = "Task") -> dict[str, Any]:
    return {
        "id": second,
        "timestamp": _at(second),
        "type": f"{kind}StateEntered",
        "stateEnteredEventDetails": {"name": name},
    }


def exited(second: int, name: str, output: Any = None, kind: str = "Task") -> dict[str, Any]:
    return {
        "id": second,
        "timestamp": _at(second),
        "type": f"{kind}StateExited",
        "stateExitedEventDetails": {"name": name, "output": json.dumps(output)},
    }


def progress(account: Account, *events: dict[str, Any]) -> Any:
    account.answers["GetExecutionHistory"] = lambda request: {"events": list(events)}
    return Executions(account.states, _MACHINE).progress(_EXECUTION)


def test_the_steps_are_the_states_that_take_time_in_the_order_of_their_beginning(account: Account) -> None:
    found = progress(
        account,
        entered(1, "Plan"),
        exited(2, "Plan", {"run": "0123456789ab"}),
        entered(3, "Wanted", "Choice"),
        entered(4, "Candidates", "Map"),
        entered(5, "Train"),
        exited(6, "Train"),
    )
    assert found.steps == [
        Step("Plan", _at(1), _at(2), "done"),
        Step("Candidates", _at(4), None, "running"),
    ]
    assert found.plan == {"run": "0123456789ab"}
    assert not found.waits_for_approval


def test_a_state_in_a_loop_is_one_step(account: Account) -> None:
    found = progress(account, entered(1, "AwaitSwap"), exited(2, "AwaitSwap"), entered(3, "AwaitSwap"))
    assert found.steps == [Step("AwaitSwap", _at(1), None, "running")]


def test_a_failed_and_a_stopped_execution_say_where_it_was(account: Account) -> None:
    for event, status in (("ExecutionFailed", "failed"), ("ExecutionAborted", "stopped")):
        end = {"id": 9, "timestamp": _at(9), "type": event}
        assert progress(account, entered(1, "Gate"), end).steps == [Step("Gate", _at(1), _at(9), status)]


def test_a_run_waits_while_the_question_is_open(account: Account) -> None:
    assert progress(account, entered(1, "AskApproval")).waits_for_approval
    assert not progress(account, entered(1, "AskApproval"), exited(2, "AskApproval")).waits_for_approval


def test_a_truncated_plan_is_no_plan(account: Account) -> None:
    event = exited(2, "Plan")
    event["stateExitedEventDetails"]["output"] = '{"run": "01234'
    assert progress(account, entered(1, "Plan"), event).plan == {}


class Logs:
    """CloudWatch Logs with the streams of one group."""

    def __init__(self, streams: dict[str, list[str]]) -> None:
        self.streams = streams

    def describe_log_streams(self, **request: Any) -> Any:
        prefix = request["logStreamNamePrefix"]
        return {"logStreams": [{"logStreamName": name} for name in self.streams if name.startswith(prefix)]}

    def get_log_events(self, **request: Any) -> Any:
        events = self.streams[request["logStreamName"]] if "nextToken" not in request else []
        return {"events": [{"message": message} for message in events], "nextForwardToken": "end"}


def _epoch(number: int, **metrics: float) -> str:
    return json.dumps({"event": "epoch", "epoch": number, "epochs": 20, **metrics})


def jobs(account: Account, subject: dict[str, Any], logs: list[str] | None = None) -> JobProgress:
    reader = JobReader(account.sagemaker, Logs({"job-1/algo-1": logs or []}))  # type: ignore[arg-type]
    (found,) = reader.read(
        {"candidates": [{"id": "ssdlite", "family": "ssdlite", "name": "job-1", **subject}]}
    )
    return found


def test_a_training_has_its_epochs_and_curves(account: Account) -> None:
    account.jobs["job-1"] = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}
    lines = [
        "loading",
        _epoch(1, loss=2.5),
        _epoch(2, loss=1.5, **{"val:map": 0.3}),
        '{"event": "epoch"}',
        "[]",
    ]
    found = jobs(account, {"kind": "train"}, lines)
    assert (found.status, found.epoch, found.epochs) == ("training", 2, 20)
    assert found.curves == {"loss": [(1, 2.5), (2, 1.5)], "val:map": [(2, 0.3)]}


def test_a_job_that_does_not_exist_yet_waits(account: Account) -> None:
    assert jobs(account, {"kind": "train"}).status == "waiting"
    assert jobs(account, {"kind": "tune"}).status == "waiting"


def test_a_failed_training_says_why_in_one_line(account: Account) -> None:
    account.jobs["job-1"] = {
        "TrainingJobStatus": "Failed",
        "FailureReason": "AlgorithmError: no image\nTrace",
    }
    found = jobs(account, {"kind": "train"})
    assert (found.status, found.detail) == ("failed", "AlgorithmError: no image")


def test_after_the_training_comes_the_evaluation(account: Account) -> None:
    account.jobs["job-1"] = {"TrainingJobStatus": "Completed"}
    evaluation = {"evaluation": {"name": "eval-1", "done": False}}
    assert jobs(account, {"kind": "train", **evaluation}).status == "evaluating"
    account.jobs["eval-1"] = {"ProcessingJobStatus": "Failed", "ExitMessage": "damaged artefact"}
    failed = jobs(account, {"kind": "train", **evaluation})
    assert (failed.status, failed.detail) == ("failed", "evaluation: damaged artefact")
    account.jobs["eval-1"] = {"ProcessingJobStatus": "Completed"}
    assert jobs(account, {"kind": "train", **evaluation}).status == "done"


def test_a_tuning_counts_its_jobs(account: Account) -> None:
    account.jobs["job-1"] = {
        "HyperParameterTuningJobStatus": "InProgress",
        "TrainingJobStatusCounters": {"Completed": 2, "InProgress": 1, "NonRetryableError": 1},
        "HyperParameterTuningJobConfig": {"ResourceLimits": {"MaxNumberOfTrainingJobs": 8}},
    }
    found = jobs(account, {"kind": "tune"})
    assert (found.status, found.detail) == ("tuning", "3 of 8 jobs ended, 1 running, 1 failed")
