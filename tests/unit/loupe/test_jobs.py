"""The progress of a retraining's jobs, from SageMaker's descriptions and from CloudWatch Logs."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from loupe.stack.jobs import JobProgress, Jobs
from loupe.stack.target import Target
from tests.unit.loupe.account import RefusedError, answering
from tests.unit.loupe.executions import PLAN

GROUP = "/aws/sagemaker/TrainingJobs"
JOB = PLAN["candidates"][0]["name"]
COUNTERS = {"Completed": 2, "InProgress": 1, "RetryableError": 0, "NonRetryableError": 1, "Stopped": 1}


class SageMaker:
    """Answers three Describe operations from a dict of job descriptions; refuses unknown names as AWS does."""

    def __init__(self, target: Target, stack: ExitStack) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.described: list[str] = []
        kinds = ("TrainingJob", "HyperParameterTuningJob", "ProcessingJob")
        operations = {f"Describe{kind}": self._describe(f"{kind}Name") for kind in kinds}
        stack.enter_context(answering(target, "sagemaker", **operations))

    def _describe(self, member: str) -> Any:
        def answer(request: dict[str, Any]) -> dict[str, Any]:
            self.described.append(request[member])
            if request[member] not in self.jobs:
                raise RefusedError("ValidationException", "Requested resource not found.")
            return self.jobs[request[member]]

        return answer


@pytest.fixture
def sagemaker(stack: Target) -> Iterator[SageMaker]:
    with ExitStack() as context:
        yield SageMaker(stack, context)


def _log(target: Target, *lines: dict[str, Any] | str, stream: str = "algo-1") -> None:
    name = f"{JOB}/{stream}"
    if not target.logs.describe_log_groups()["logGroups"]:
        target.logs.create_log_group(logGroupName=GROUP)
    if not target.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=name)["logStreams"]:
        target.logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
    messages = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    now = int(time.time() * 1000)
    events: Any = [{"timestamp": now, "message": message} for message in messages]
    target.logs.put_log_events(logGroupName=GROUP, logStreamName=name, logEvents=events)


def _epoch(number: int, **more: float) -> dict[str, Any]:
    return {"event": "epoch", "epoch": number, "epochs": 20, "loss": 2.5 / number, **more}


def test_before_its_job_exists_a_candidate_waits(stack: Target, sagemaker: SageMaker):
    assert [job.stage for job in Jobs(stack).read(PLAN)] == ["waiting", "waiting"]
    assert Jobs(stack).read({}) == []


def test_a_training_shows_its_newest_epoch_and_the_last_measured_map(stack: Target, sagemaker: SageMaker):
    sagemaker.jobs[JOB] = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Downloading"}
    jobs = Jobs(stack)
    assert jobs.read(PLAN)[0] == JobProgress("ssdlite", "training", "Downloading")
    _log(stack, {"event": "start"}, _epoch(1, **{"val:map": 0.125}), "epoch=1 loss=2.5", "null", "[1]")
    assert jobs.read(PLAN)[0].detail == "epoch 1/20, loss 2.500, mAP 0.125"
    _log(stack, _epoch(2), {"event": "epoch"}, "Traceback: {")
    assert jobs.read(PLAN)[0].detail == "epoch 2/20, loss 1.250, mAP 0.125"


def test_an_interrupted_spot_job_continues_in_its_next_stream(stack: Target, sagemaker: SageMaker):
    sagemaker.jobs[JOB] = {"TrainingJobStatus": "InProgress"}
    jobs = Jobs(stack)
    _log(stack, _epoch(1), stream="algo-1-100")
    jobs.read(PLAN)
    _log(stack, _epoch(2), stream="algo-1-200")
    assert jobs.read(PLAN)[0].detail.startswith("epoch 2/20")


def test_without_permission_for_logs_only_the_epochs_are_missing(stack: Target, sagemaker: SageMaker):
    sagemaker.jobs[JOB] = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}

    def refuse(_: Any) -> Any:
        raise RefusedError("AccessDeniedException")

    with answering(stack, "logs", DescribeLogStreams=refuse):
        assert Jobs(stack).read(PLAN)[0] == JobProgress("ssdlite", "training", "Training")


def test_a_tuning_shows_its_jobs_and_the_best_objective(stack: Target, sagemaker: SageMaker):
    job: dict[str, Any] = {
        "HyperParameterTuningJobStatus": "InProgress",
        "HyperParameterTuningJobConfig": {"ResourceLimits": {"MaxNumberOfTrainingJobs": 9}},
        "TrainingJobStatusCounters": COUNTERS,
    }
    sagemaker.jobs[PLAN["candidates"][1]["name"]] = job
    jobs = Jobs(stack)
    assert jobs.read(PLAN)[1].detail == "4 of 9 jobs ended, 1 running, 1 failed"
    best = {"FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "val:map", "Value": 0.4567}}
    job["BestTrainingJob"] = best
    assert jobs.read(PLAN)[1].detail.endswith("best mAP 0.457")


def test_a_trained_candidate_is_evaluated_and_then_not_looked_up_again(stack: Target, sagemaker: SageMaker):
    evaluation = PLAN["candidates"][0]["evaluation"]["name"]
    sagemaker.jobs[JOB] = {"TrainingJobStatus": "Completed"}
    jobs = Jobs(stack)
    assert jobs.read(PLAN)[0].stage == "evaluating"
    sagemaker.jobs[evaluation] = {"ProcessingJobStatus": "InProgress"}
    assert jobs.read(PLAN)[0].stage == "evaluating"
    sagemaker.jobs[evaluation] = {"ProcessingJobStatus": "Completed"}
    assert jobs.read(PLAN)[0].stage == "done"
    sagemaker.described.clear()
    assert jobs.read(PLAN)[0].stage == "done"
    assert JOB not in sagemaker.described


@pytest.mark.parametrize(
    ("training", "evaluation", "detail"),
    [
        (
            {"TrainingJobStatus": "Failed", "FailureReason": "LossError: not finite\nTraceback"},
            None,
            "LossError: not finite",
        ),
        ({"TrainingJobStatus": "Stopped"}, None, "Stopped"),
        (
            {"TrainingJobStatus": "Completed"},
            {"ProcessingJobStatus": "Failed", "ExitMessage": "ModelError: damaged"},
            "evaluation: ModelError: damaged",
        ),
    ],
)
def test_a_failure_shows_its_reason(stack: Target, sagemaker: SageMaker, training, evaluation, detail):
    sagemaker.jobs[JOB] = training
    if evaluation:
        sagemaker.jobs[PLAN["candidates"][0]["evaluation"]["name"]] = evaluation
    assert Jobs(stack).read(PLAN)[0] == JobProgress("ssdlite", "failed", detail)


def test_a_candidate_of_an_earlier_run_is_done_at_once_and_the_champion_is_evaluated(
    stack: Target, sagemaker: SageMaker
):
    reused = {"id": "ssdlite", "kind": "reuse", "name": JOB, "evaluation": {"name": "e", "done": True}}
    champion = {
        "kind": "champion",
        "model": "press-1",
        "evaluation": {"name": "champion-eval", "done": False},
    }
    jobs = Jobs(stack).read({"candidates": [reused], "champion": champion})
    assert jobs == [
        JobProgress("ssdlite", "done", "found from an earlier run"),
        JobProgress("champion", "evaluating"),
    ]
