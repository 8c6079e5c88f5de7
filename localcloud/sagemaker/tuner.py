"""What keeps the children of one tuning job coming."""

import logging
import secrets
import time
from typing import TYPE_CHECKING, Any

from localcloud.sagemaker.children import KIND, best, final_value, parents, request_of
from localcloud.sagemaker.errors import AwsError
from localcloud.sagemaker.store import Record

if TYPE_CHECKING:
    from localcloud.sagemaker.search import Search
    from localcloud.sagemaker.tuning import TuningJobs

logger = logging.getLogger(__name__)

_POLL_S = 0.3
_HOPELESS_AFTER = 5  # children that failed, and none that succeeded


class Tuner:
    """Keeps the children of one tuning job coming until a limit is reached."""

    def __init__(self, owner: "TuningJobs", name: str) -> None:
        self._owner, self._name = owner, name
        self._record = owner.resources.found(KIND, name)
        self._arn = self._record[f"{KIND}Arn"]
        self._config = self._record["HyperParameterTuningJobConfig"]
        self._metric = self._config["HyperParameterTuningJobObjective"]["MetricName"]
        self._running: dict[str, Any] = {}  # child -> Optuna's trial

    def run(self) -> None:
        """From wherever it stands to the end."""
        try:
            self._run()
        except Exception as error:  # a tuning job that never ends is the worst outcome of all
            logger.exception("%s", self._name)
            self._stop_children()
            said = error.message if isinstance(error, AwsError) else f"{type(error).__name__}: {error}"
            self._end("Failed", FailureReason=f"ClientError: {said}"[:1024])

    def _run(self) -> None:
        from localcloud.sagemaker.search import Search

        known = self._owner.children(self._arn)
        search = Search(self._name, self._config, len(known))
        self._remember(search, known)
        limits = self._config["ResourceLimits"]
        until = self._record["CreationTime"] + limits.get("MaxRuntimeInSeconds", float("inf"))
        while not self._owner.closing.wait(_POLL_S):
            children = self._owner.children(self._arn)
            self._collect(search, children)
            stopping = self._owner.resources.found(KIND, self._name)[f"{KIND}Status"] == "Stopping"
            if stopping or time.time() > until or self._satisfied(children):
                self._stop_children()
                enough = True
            else:
                enough = len(children) >= limits["MaxNumberOfTrainingJobs"]
            if not self._running and enough:
                self._conclude(children, stopping)
                return
            if not enough:
                room = limits["MaxParallelTrainingJobs"] - len(self._running)
                left = limits["MaxNumberOfTrainingJobs"] - len(children)
                for number in range(len(children), len(children) + min(room, left)):
                    self._begin(search, number + 1)

    def _remember(self, search: "Search", known: list[Record]) -> None:
        for parent in parents(self._record):
            for child in self._owner.children(self._owner.resources.arn(KIND, parent)):
                if child["TrainingJobStatus"] == "Completed" and final_value(child) is not None:
                    self._add(search, child)
        for child in known:
            if child["TrainingJobStatus"] in ("InProgress", "Stopping"):
                self._running[child["TrainingJobName"]] = search.adopt(child["TunedHyperParameters"])[0]
            else:
                self._add(search, child)

    def _add(self, search: "Search", child: Record) -> None:
        series = self._owner.training.metric(child["TrainingJobName"], self._metric)
        pruned = child["TrainingJobStatus"] == "Stopped" and bool(series)
        value = final_value(child) if child["TrainingJobStatus"] == "Completed" else None
        search.add(child["TunedHyperParameters"], value, series, pruned)

    def _collect(self, search: "Search", children: list[Record]) -> None:
        """Tell the search what has ended, and end what it thinks hopeless."""
        for child in children:
            name, status = child["TrainingJobName"], child["TrainingJobStatus"]
            trial = self._running.get(name)
            if trial is None:
                continue
            series = self._owner.training.metric(name, self._metric)
            hopeless = search.hopeless(trial, series)
            if status == "InProgress":
                if hopeless:
                    self._stop_child(name)
            elif status != "Stopping":
                del self._running[name]
                value = final_value(child) if status == "Completed" else None
                search.tell(trial, value, pruned=status == "Stopped" and bool(series))

    def _begin(self, search: "Search", number: int) -> None:
        trial, tuned = search.ask()
        name = f"{self._name}-{number:03}-{secrets.token_hex(4)}"
        self._owner.training.create(
            request_of(self._record, name, tuned),
            TuningJobArn=self._arn,
            tuned=tuned,
            objective=self._config["HyperParameterTuningJobObjective"],
        )
        self._running[name] = trial

    def _satisfied(self, children: list[Record]) -> bool:
        criteria = self._config.get("TuningJobCompletionCriteria", {})
        objective = self._config["HyperParameterTuningJobObjective"]["Type"]
        sign = 1 if objective == "Maximize" else -1
        ended = [child for child in children if child["TrainingJobStatus"] not in ("InProgress", "Stopping")]
        values = [final_value(child) for child in ended]
        scores = [sign * value if value is not None else float("-inf") for value in values]
        target = criteria.get("TargetObjectiveMetricValue")
        if target is not None and max(scores, default=float("-inf")) >= sign * target:
            return True
        patience = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
        if patience is not None and scores and len(scores) - 1 - scores.index(max(scores)) >= patience:
            return True
        failed = [child for child in ended if child["TrainingJobStatus"] == "Failed"]
        return len(failed) == len(ended) >= _HOPELESS_AFTER

    def _stop_children(self) -> None:
        for name in list(self._running):
            self._stop_child(name)

    def _stop_child(self, name: str) -> None:
        try:
            self._owner.training.stop(name)
        except AwsError:  # it has ended meanwhile
            logger.debug("%s had ended", name)

    def _conclude(self, children: list[Record], stopped: bool) -> None:
        if stopped:
            self._end("Stopped")
        elif best(children) is None:
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
        self._owner.resources.store.change(
            KIND,
            self._name,
            HyperParameterTuningJobStatus=status,
            HyperParameterTuningEndTime=now,
            LastModifiedTime=now,
            **members,
        )
