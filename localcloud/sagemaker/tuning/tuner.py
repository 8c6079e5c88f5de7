"""Runs one tuning job: starts its children, and stops when a limit is reached."""

import logging
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any

from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.jobs.training_jobs import TrainingJobs
from localcloud.sagemaker.resources import Resources
from localcloud.sagemaker.store import Record
from localcloud.sagemaker.tuning.children import (
    KIND,
    best_child,
    child_request,
    children_of,
    objective_value,
    parent_names,
)

if TYPE_CHECKING:  # Optuna takes long to import
    from localcloud.sagemaker.tuning.search import Search

logger = logging.getLogger(__name__)

_POLL_S = 0.3
_MAX_FAILURES = 5  # the job ends when so many children have failed and none has succeeded
_MAX_REASON_LENGTH = 1024


class Tuner:
    """Starts the children of one tuning job until a limit is reached."""

    def __init__(
        self, resources: Resources, training: TrainingJobs, closing: threading.Event, name: str
    ) -> None:
        """Initialize the run of one tuning job.

        Args:
            resources: The records of every kind.
            training: Creates and stops the children.
            closing: Set when the cloud stops; then the run ends, and the next cloud continues it.
            name: The tuning job.
        """
        self._resources, self._training, self._closing, self._name = resources, training, closing, name
        self._record = resources.get(KIND, name)
        self._arn = self._record[f"{KIND}Arn"]
        self._config = self._record["HyperParameterTuningJobConfig"]
        self._limits = self._config["ResourceLimits"]
        self._objective = self._config["HyperParameterTuningJobObjective"]
        self._running: dict[str, Any] = {}  # child -> Optuna's trial

    def run(self) -> None:
        """Continue the tuning job from where it is to its end."""
        try:
            self._run()
        except Exception as error:  # otherwise the tuning job would never end
            logger.exception("%s", self._name)
            self._stop_children()
            reason = error.message if isinstance(error, AwsError) else f"{type(error).__name__}: {error}"
            self._end("Failed", FailureReason=f"ClientError: {reason}"[:_MAX_REASON_LENGTH])

    def _run(self) -> None:
        from localcloud.sagemaker.tuning.search import Search

        children = children_of(self._resources, self._arn)
        search = Search(self._name, self._config, len(children))
        self._tell_previous_results(search, children)
        deadline = self._record["CreationTime"] + self._limits.get("MaxRuntimeInSeconds", float("inf"))
        while not self._closing.wait(_POLL_S):
            children = children_of(self._resources, self._arn)
            self._tell_new_results(search, children)
            stopping = self._resources.get(KIND, self._name)[f"{KIND}Status"] == "Stopping"
            if stopping or time.time() > deadline or self._completion_criteria_met(children):
                self._stop_children()
                enough = True
            else:
                enough = len(children) >= self._limits["MaxNumberOfTrainingJobs"]
            if enough and not self._running:
                self._finish(children, stopping)
                return
            if not enough:
                self._start_children(search, len(children))

    def _tell_previous_results(self, search: "Search", children: list[Record]) -> None:
        """Tell the search the results of parents, and of this job before a restart."""
        for parent in parent_names(self._record):
            for child in children_of(self._resources, self._resources.arn(KIND, parent)):
                if child["TrainingJobStatus"] == "Completed" and objective_value(child) is not None:
                    self._add_to_search(search, child)
        for child in children:
            if child["TrainingJobStatus"] in ("InProgress", "Stopping"):
                trial = search.start_trial(child["TunedHyperParameters"])
                self._running[child["TrainingJobName"]] = trial
            else:
                self._add_to_search(search, child)

    def _add_to_search(self, search: "Search", child: Record) -> None:
        series = self._objective_series(child)
        stopped_early = child["TrainingJobStatus"] == "Stopped" and bool(series)
        value = objective_value(child) if child["TrainingJobStatus"] == "Completed" else None
        search.add_ended(child["TunedHyperParameters"], value, series, stopped_early)

    def _tell_new_results(self, search: "Search", children: list[Record]) -> None:
        """Tell the search the values so far and which children have ended; stop those that are not worth continuing."""
        for child in children:
            name, status = child["TrainingJobName"], child["TrainingJobStatus"]
            trial = self._running.get(name)
            if trial is None:
                continue
            series = self._objective_series(child)
            should_stop = search.should_stop(trial, series)
            if status == "InProgress":
                if should_stop:
                    self._stop_child(name)
            elif status != "Stopping":
                del self._running[name]
                value = objective_value(child) if status == "Completed" else None
                search.end_trial(trial, value, stopped_early=status == "Stopped" and bool(series))

    def _objective_series(self, child: Record) -> list[float]:
        records = self._training.records
        return records.metric_values(child["TrainingJobName"], self._objective["MetricName"])

    def _start_children(self, search: "Search", count: int) -> None:
        """Start as many children as the limits allow; `count` have been created so far."""
        free_slots = self._limits["MaxParallelTrainingJobs"] - len(self._running)
        remaining = self._limits["MaxNumberOfTrainingJobs"] - count
        for number in range(count + 1, count + 1 + min(free_slots, remaining)):
            trial, hyperparameters = search.propose()
            name = f"{self._name}-{number:03}-{secrets.token_hex(4)}"
            self._training.create(
                child_request(self._record, name, hyperparameters),
                counted=True,
                TuningJobArn=self._arn,
                tuned=hyperparameters,
                objective=self._objective,
            )
            self._running[name] = trial

    def _completion_criteria_met(self, children: list[Record]) -> bool:
        criteria = self._config.get("TuningJobCompletionCriteria", {})
        sign = 1 if self._objective["Type"] == "Maximize" else -1
        ended = [child for child in children if child["TrainingJobStatus"] not in ("InProgress", "Stopping")]
        values = [objective_value(child) for child in ended]
        scores = [sign * value if value is not None else float("-inf") for value in values]
        target = criteria.get("TargetObjectiveMetricValue")
        if target is not None and max(scores, default=float("-inf")) >= sign * target:
            return True
        patience = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
        if patience is not None and scores and len(scores) - 1 - scores.index(max(scores)) >= patience:
            return True
        failed = [child for child in ended if child["TrainingJobStatus"] == "Failed"]
        return len(failed) == len(ended) >= _MAX_FAILURES

    def _stop_children(self) -> None:
        for name in list(self._running):
            self._stop_child(name)

    def _stop_child(self, name: str) -> None:
        try:
            self._training.stop(name)
        except AwsError:  # it has ended meanwhile
            logger.debug("%s had ended", name)

    def _finish(self, children: list[Record], stopped: bool) -> None:
        if stopped:
            self._end("Stopped")
        elif best_child(children) is None:
            self._end(
                "Failed",
                FailureReason=f"No training job succeeded after {len(children)} attempts. For additional "
                "details, please take a look at the training job failures by listing training jobs for the "
                "hyperparameter tuning job.",
            )
        else:
            self._end("Completed")

    def _end(self, status: str, **members: Any) -> None:
        now = time.time()
        self._resources.store.change(
            KIND,
            self._name,
            HyperParameterTuningJobStatus=status,
            HyperParameterTuningEndTime=now,
            LastModifiedTime=now,
            **members,
        )
