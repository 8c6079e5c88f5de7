"""The progress of a retraining's SageMaker jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loupe.stack.endpoint import describe_or_none
from loupe.stack.target import Target
from loupe.stack.training_log import TrainingLog

_ENDED = ("Completed", "Failed", "Stopped")


@dataclass(frozen=True)
class JobProgress:
    """How far a candidate is, or the champion.

    Attributes:
        subject: The candidate's id, or `champion`.
        stage: waiting, training, tuning, evaluating, done or failed.
        detail: For people: the newest epoch, the reason of a failure …
    """

    subject: str
    stage: str
    detail: str = ""


class Jobs:
    """Follows the jobs that a plan names. A subject that is done is not looked up again."""

    def __init__(self, target: Target) -> None:
        self._sagemaker = target.sagemaker
        self._target = target
        self._ended: dict[str, JobProgress] = {}
        self._logs: dict[str, TrainingLog] = {}

    def read(self, plan: dict[str, Any]) -> list[JobProgress]:
        """Return the progress of each candidate and of the champion.

        Args:
            plan: The output of the state Plan; empty before it is known.
        """
        subjects = list(plan.get("candidates") or [])
        if plan.get("champion"):
            subjects.append({"id": "champion", **plan["champion"]})
        return [self._ended.get(subject["id"]) or self._read(subject) for subject in subjects]

    def _read(self, subject: dict[str, Any]) -> JobProgress:
        name, kind = str(subject["id"]), subject.get("kind")
        # The champion, and candidates that an earlier run trained, are only evaluated.
        progress = JobProgress(name, "done")
        if kind == "train":
            progress = self._training(name, subject["name"])
        elif kind == "tune":
            progress = self._tuning(name, subject["name"])
        if progress.stage == "done":
            progress = self._evaluation(name, subject.get("evaluation") or {}, progress.detail)
        if progress.stage in ("done", "failed"):
            self._ended[name] = progress
        return progress

    def _training(self, subject: str, job_name: str) -> JobProgress:
        job = describe_or_none(lambda: self._sagemaker.describe_training_job(TrainingJobName=job_name))
        if job is None:
            return JobProgress(subject, "waiting")
        log = self._logs.setdefault(job_name, TrainingLog(self._target, job_name))
        log.read()
        status = job["TrainingJobStatus"]
        if status == "Completed":
            return JobProgress(subject, "done", log.text)
        if status in _ENDED:
            return JobProgress(subject, "failed", job.get("FailureReason", status).strip().splitlines()[0])
        return JobProgress(subject, "training", log.text or job.get("SecondaryStatus", status))

    def _tuning(self, subject: str, job_name: str) -> JobProgress:
        job: Any = describe_or_none(
            lambda: self._sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=job_name)
        )
        if job is None:
            return JobProgress(subject, "waiting")
        status, detail = job["HyperParameterTuningJobStatus"], _tuning_detail(job)
        if status == "Completed":
            return JobProgress(subject, "done", detail)
        if status in _ENDED:
            return JobProgress(subject, "failed", job.get("FailureReason", detail))
        return JobProgress(subject, "tuning", detail)

    def _evaluation(self, subject: str, evaluation: dict[str, Any], detail: str) -> JobProgress:
        job_name = evaluation.get("name")
        if evaluation.get("done") or not job_name:
            return JobProgress(subject, "done", detail or "found from an earlier run")
        job = describe_or_none(lambda: self._sagemaker.describe_processing_job(ProcessingJobName=job_name))
        status = job["ProcessingJobStatus"] if job else None
        if job and status in ("Failed", "Stopped"):
            reason = job.get("ExitMessage") or job.get("FailureReason") or status
            return JobProgress(subject, "failed", f"evaluation: {reason.strip().splitlines()[0]}")
        return JobProgress(subject, "done" if status == "Completed" else "evaluating", detail)


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
