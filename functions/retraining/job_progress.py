"""The progress of a run's SageMaker jobs, with the curves of their training."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sagemaker import SageMakerClient

_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_ENDED = ("Completed", "Failed", "Stopped")
_NOT_FOUND = ("ValidationException", "ResourceNotFound", "ResourceNotFoundException")
_CURVES = ("loss", "val:map", "val:map50", "learning_rate")


@dataclass
class JobProgress:
    """How far a candidate is, or the champion.

    Attributes:
        name: The candidate's id, or `champion`.
        family: Its detector family.
        status: waiting, training, tuning, evaluating, done or failed.
        detail: For people: the reason of a failure, or what was found.
        epoch: The newest epoch.
        epochs: How many there will be.
        curves: Metric → pairs of epoch and value.
    """

    name: str
    family: str | None = None
    status: str = "done"
    detail: str = ""
    epoch: int | None = None
    epochs: int | None = None
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class JobReader:
    """Reads the jobs that a plan names.

    Attributes:
        sagemaker: The SageMaker client.
        logs: The CloudWatch Logs client.
    """

    sagemaker: SageMakerClient
    logs: CloudWatchLogsClient

    def read(self, plan: dict[str, Any]) -> list[JobProgress]:
        """Return the progress of each candidate and of the champion.

        Args:
            plan: The output of the state Plan; empty before it is known.
        """
        subjects = list(plan.get("candidates") or [])
        if plan.get("champion"):
            subjects.append({"id": "champion", **plan["champion"]})
        return [self._read(subject) for subject in subjects]

    def _read(self, subject: dict[str, Any]) -> JobProgress:
        # The champion, and candidates that an earlier run trained, are only evaluated.
        progress = JobProgress(str(subject["id"]), subject.get("family"))
        if subject.get("kind") == "train":
            self._training(progress, subject["name"])
        elif subject.get("kind") == "tune":
            self._tuning(progress, subject["name"])
        if progress.status == "done":
            self._evaluation(progress, subject.get("evaluation") or {})
        return progress

    def _training(self, progress: JobProgress, job_name: str) -> None:
        job: Any = _or_none(lambda: self.sagemaker.describe_training_job(TrainingJobName=job_name))
        if job is None:
            progress.status = "waiting"
            return
        self._add_curves(progress, job_name)
        status = job["TrainingJobStatus"]
        if status in _ENDED and status != "Completed":
            progress.status, progress.detail = "failed", _first_line(job.get("FailureReason") or status)
        elif status != "Completed":
            progress.status, progress.detail = "training", job.get("SecondaryStatus", status)

    def _tuning(self, progress: JobProgress, job_name: str) -> None:
        job: Any = _or_none(
            lambda: self.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=job_name)
        )
        if job is None:
            progress.status = "waiting"
            return
        progress.detail = _tuning_detail(job)
        best = job.get("BestTrainingJob", {}).get("TrainingJobName")
        if best:
            self._add_curves(progress, best)
        status = job["HyperParameterTuningJobStatus"]
        if status in _ENDED and status != "Completed":
            progress.status, progress.detail = (
                "failed",
                _first_line(job.get("FailureReason") or progress.detail),
            )
        elif status != "Completed":
            progress.status = "tuning"

    def _evaluation(self, progress: JobProgress, evaluation: dict[str, Any]) -> None:
        job_name = evaluation.get("name")
        if evaluation.get("done") or not job_name:
            progress.detail = progress.detail or "found from an earlier run"
            return
        job: Any = _or_none(lambda: self.sagemaker.describe_processing_job(ProcessingJobName=job_name))
        status = job["ProcessingJobStatus"] if job else None
        if job and status in ("Failed", "Stopped"):
            reason = _first_line(job.get("ExitMessage") or job.get("FailureReason") or status)
            progress.status, progress.detail = "failed", f"evaluation: {reason}"
        elif status != "Completed":
            progress.status = "evaluating"

    def _add_curves(self, progress: JobProgress, job_name: str) -> None:
        """Add the curves of a training job from its log, which may not exist yet."""
        try:
            for message in self._messages(job_name):
                _add_epoch(progress, message)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOT_FOUND:
                raise

    def _messages(self, job_name: str) -> Iterator[str]:
        # A spot job that was interrupted continues in another stream.
        streams = self.logs.describe_log_streams(logGroupName=_LOG_GROUP, logStreamNamePrefix=f"{job_name}/")
        for stream in streams["logStreams"]:
            token: dict[str, str] = {}
            while True:
                page: Any = self.logs.get_log_events(
                    logGroupName=_LOG_GROUP,
                    logStreamName=stream["logStreamName"],
                    startFromHead=True,
                    **token,  # type: ignore[arg-type]
                )
                yield from (event["message"] for event in page["events"])
                # The stream's end answers with the token that it was asked with.
                if token.get("nextToken") == page["nextForwardToken"]:
                    break
                token = {"nextToken": page["nextForwardToken"]}


def _add_epoch(progress: JobProgress, message: str) -> None:
    try:
        line = json.loads(message)
        if line["event"] != "epoch":
            return
        epoch, epochs = int(line["epoch"]), int(line["epochs"])
    # Other lines are for people, or come from a library.
    except (ValueError, KeyError, TypeError):
        return
    progress.epoch, progress.epochs = epoch, epochs
    for name in _CURVES:
        value = line.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            progress.curves.setdefault(name, []).append((epoch, float(value)))


def _tuning_detail(job: dict[str, Any]) -> str:
    """Return the counts of a tuning's training jobs and its best mAP."""
    counts = job["TrainingJobStatusCounters"]
    limit = job["HyperParameterTuningJobConfig"]["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    failed = counts.get("NonRetryableError", 0)
    ended = counts.get("Completed", 0) + counts.get("Stopped", 0) + failed
    parts = [f"{ended} of {limit or '?'} jobs ended", f"{counts.get('InProgress', 0)} running"]
    if failed:
        parts.append(f"{failed} failed")
    best = job.get("BestTrainingJob", {}).get("FinalHyperParameterTuningJobObjectiveMetric")
    if best:
        parts.append(f"best mAP {best['Value']:.3f}")
    return ", ".join(parts)


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")


def _or_none(describe: Callable[[], Any]) -> Any:
    """Return SageMaker's description of a job; None if there is no job of that name yet."""
    try:
        return describe()
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_FOUND:
            return None
        raise
