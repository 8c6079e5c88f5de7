"""The notebook's jobs: none is run twice, several run at once, and a failed one says why.

The name of a job begins with what it does, and with a digest of its data and settings. So the job of an earlier run of
the notebook, or of one that was interrupted, is found again, and continues or is finished already.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from place import NotebookError, Place, split

# What the container prints after each epoch, as SageMaker's metric definitions read it.
METRICS = {"loss": r"\bloss=([0-9.]+)", "val:map": r"val:map=([0-9.]+)", "val:map50": r"val:map50=([0-9.]+)"}
_EPOCH = re.compile(r"\bepoch=(\d+) ")
_ENDED = ("Completed", "Failed", "Stopped")
# How boto3's operations call each kind: list_…s, describe_…, stop_….
OPERATIONS = {
    "HyperParameterTuningJob": "hyper_parameter_tuning_job",
    "TrainingJob": "training_job",
    "ProcessingJob": "processing_job",
}
_LOGS = {"TrainingJob": "/aws/sagemaker/TrainingJobs", "ProcessingJob": "/aws/sagemaker/ProcessingJobs"}


@dataclass(frozen=True)
class Job:
    """A job of the notebook.

    Attributes:
        kind: TrainingJob, HyperParameterTuningJob or ProcessingJob.
        name: SageMaker's name of it.
        again: Whether an earlier run has started it.
    """

    kind: str
    name: str
    again: bool = False

    def describe(self, place: Place) -> dict[str, Any]:
        """Return SageMaker's description."""
        return dict(_describe(place, self.kind, self.name))


def digest(*settings: object) -> str:
    """Return eight characters that stand for settings.

    >>> digest({"epochs": 2}) == digest({"epochs": 2}) != digest({"epochs": 3})
    True
    """
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def base_name(place: Place, what: str, *settings: object) -> str:
    """Return what the name of a job begins with."""
    return f"{place.name}-{what.replace('_', '-')}-{digest(*settings)}"


def tuning_name(place: Place, label: str, *settings: object) -> str:
    """Return what the name of a tuning job begins with; SageMaker's limit is 32 characters."""
    short = "".join(letter for letter in label.lower() if letter.isalnum())[:6]
    return f"{place.name}-{short}-{digest(*settings)}"


def train(place: Place, trainer: Any) -> Job:
    """Start the trainer's job, unless there is one of the same data and settings; do not wait for it."""
    earlier = _earlier(place, "TrainingJob", f"{trainer.base_job_name}-")
    if earlier:
        return earlier
    _submit(place, lambda: trainer.train(wait=False, logs=False))
    return Job("TrainingJob", trainer._latest_training_job.training_job_name)


def tune(place: Place, tuner: Any, name: str, inputs: Any) -> Job:
    """Start the tuner's job, unless there is one of this name; do not wait for it.

    Args:
        place: Where.
        tuner: The HyperparameterTuner.
        name: What the name of the job begins with, 30 characters at most.
        inputs: The channels, as `tuner.tune` takes them.
    """
    return _named(
        place, "HyperParameterTuningJob", name, lambda free: tuner.tune(inputs, job_name=free, wait=False)
    )


def process(place: Place, processor: Any, name: str, **arguments: Any) -> Job:
    """Start the processor's job, unless there is one of this name; do not wait for it."""
    start = processor.run
    return _named(
        place, "ProcessingJob", name, lambda free: start(job_name=free, wait=False, logs=False, **arguments)
    )


def _named(place: Place, kind: str, name: str, start: Callable[[str], object]) -> Job:
    if earlier := _earlier(place, kind, name):
        return earlier
    used = {found for found, _ in listed(place, kind, name)}
    free = next(free for free in (name, *(f"{name}-{number}" for number in range(2, 99))) if free not in used)
    _submit(place, lambda: start(free))
    return Job(kind, free)


def _earlier(place: Place, kind: str, beginning: str) -> Job | None:
    """Return the newest job whose name begins so, and that runs or has left what it was for."""
    for name, status in listed(place, kind, beginning):
        if status == "InProgress" or (status == "Completed" and _is_kept(place, kind, name)):
            return Job(kind, name, again=True)
    return None


def _is_kept(place: Place, kind: str, name: str) -> bool:
    """Whether the objects are there that a job has written; the clean-up deletes them, and SageMaker keeps the job."""
    description = _describe(place, kind, name)
    if kind == "HyperParameterTuningJob":
        best = description.get("BestTrainingJob", {}).get("TrainingJobName")
        return bool(best) and _is_kept(place, "TrainingJob", best)
    if kind == "TrainingJob":
        uri = description["ModelArtifacts"]["S3ModelArtifacts"]
    else:
        uri = description["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    bucket, key = split(uri)
    return bool(place.s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents"))


def listed(place: Place, kind: str, beginning: str) -> list[tuple[str, str]]:
    """Return name and status of the jobs of a kind whose names begin so, the newest first."""
    pages = place.sagemaker.get_paginator(f"list_{OPERATIONS[kind]}s").paginate(
        NameContains=beginning, SortBy="CreationTime", SortOrder="Descending"
    )
    found = [summary for page in pages for summary in next(v for v in page.values() if isinstance(v, list))]
    return [
        (summary[f"{kind}Name"], summary[f"{kind}Status"])
        for summary in found
        if summary[f"{kind}Name"].startswith(beginning)
    ]


def _describe(place: Place, kind: str, name: str) -> Mapping[str, Any]:
    describe = getattr(place.sagemaker, f"describe_{OPERATIONS[kind]}")
    return dict(describe(**{f"{kind}Name": name}))


def _submit(place: Place, start: Callable[[], object]) -> None:
    """Start a job. Where the account's quota is used up by jobs of this notebook, wait until one has ended.

    Raises:
        NotebookError: The quota leaves no room for one job.
    """
    while True:
        try:
            start()
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceLimitExceeded":
                raise
            running = [
                name
                for name, status in listed(place, "TrainingJob", f"{place.name}-")
                if status == "InProgress"
            ]
            if not running:
                raise NotebookError(
                    error.response["Error"]["Message"],
                    "Ask for a higher quota, or choose another instance type (docs/deploy.md).",
                ) from error
            print(f"The quota is used up; waiting for {running[-1]} to end.")
            wait(place, {"": Job("TrainingJob", running[-1])}, quiet=True)
        else:
            return


def wait(place: Place, jobs: Mapping[str, Job], *, quiet: bool = False) -> None:
    """Wait until all jobs have ended; print a line whenever one of them goes on.

    Args:
        place: Where.
        jobs: By the name to print.
        quiet: Print nothing, and take any end.

    Raises:
        NotebookError: A job has failed or was stopped. The others go on.
    """
    began, said, open_jobs = time.monotonic(), dict.fromkeys(jobs, ""), dict(jobs)
    ended: dict[str, dict[str, Any]] = {}
    try:
        while open_jobs:
            for label, job in list(open_jobs.items()):
                description = job.describe(place)
                status = description[f"{job.kind}Status"]
                text = _progress(job, description, status)
                if text != said[label] and not quiet:
                    print(f"{_clock(time.monotonic() - began)}  {label}: {text}", flush=True)
                    said[label] = text
                if status in _ENDED:
                    ended[label] = description
                    del open_jobs[label]
            if open_jobs:
                time.sleep(place.poll_seconds)
    except KeyboardInterrupt:
        names = ", ".join(job.name for job in open_jobs.values())
        raise NotebookError(
            f"stopped waiting; the jobs go on: {names}",
            "Run this cell again to wait for them. The clean-up stops them.",
        ) from None
    for label, description in ended.items():
        if not quiet and description[f"{jobs[label].kind}Status"] != "Completed":
            _explain(place, label, jobs[label], description)


def _progress(job: Job, description: Mapping[str, Any], status: str) -> str:
    if job.kind == "HyperParameterTuningJob":
        counters = description.get("TrainingJobStatusCounters", {})
        best = description.get("BestTrainingJob", {}).get("FinalHyperParameterTuningJobObjectiveMetric", {})
        value = f", best mAP {best['Value']:.3f}" if best else ""
        return f"{status}, {counters.get('Completed', 0)} trainings completed{value}"
    again = " (of an earlier run)" if job.again else ""
    return f"{status}{again}" if status in _ENDED else f"{description.get('SecondaryStatus', status)}{again}"


def _explain(place: Place, label: str, job: Job, description: Mapping[str, Any]) -> None:
    reason = description.get("FailureReason") or "it was stopped"
    if job.kind == "HyperParameterTuningJob":
        hint = f"Its trainings: loupe logs, or CloudWatch, group {_LOGS['TrainingJob']}, streams {job.name}-…"
    else:
        hint = f"Its log: CloudWatch, group {_LOGS[job.kind]}, stream {job.name}/…"
    said = description.get("ExitMessage", "")
    raise NotebookError(" ".join(f"{label}: {job.name} did not complete: {reason} {said}".split()), hint)


def best_of(place: Place, tuning: Job) -> Job:
    """Return the best training of a tuning."""
    return Job("TrainingJob", tuning.describe(place)["BestTrainingJob"]["TrainingJobName"])


def trainings_of(place: Place, tuning: Job) -> list[dict[str, Any]]:
    """Return the descriptions of all trainings of a tuning."""
    pages = place.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=tuning.name
    )
    names = [summary["TrainingJobName"] for page in pages for summary in page["TrainingJobSummaries"]]
    return [dict(_describe(place, "TrainingJob", name)) for name in names]


def artefact(place: Place, training: Job) -> str:
    """Return the S3 address of the model.tar.gz that a training has made."""
    return str(training.describe(place)["ModelArtifacts"]["S3ModelArtifacts"])


def epochs(place: Place, training: Job) -> list[dict[str, Any]]:
    """Return the metrics of each epoch from the job's log, by the expressions of METRICS.

    CloudWatch's metrics, which `TrainingJobAnalytics` reads, are means of a minute; the log has every epoch.

    Returns:
        Rows of `epoch`, `metric_name` and `value`.
    """
    rows = []
    for line in _log_lines(place, training):
        if found := _EPOCH.search(line):
            for metric, pattern in METRICS.items():
                if value := re.search(pattern, line):
                    rows.append({"epoch": int(found[1]), "metric_name": metric, "value": float(value[1])})
    return rows


def _log_lines(place: Place, job: Job) -> Iterable[str]:
    logs, group = place.session.boto_session.client("logs"), _LOGS[job.kind]
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=group, logStreamNamePrefix=f"{job.name}/"
    )
    for stream in [stream["logStreamName"] for page in pages for stream in page["logStreams"]]:
        token: dict[str, str] = {}
        while True:
            page = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **token)
            yield from (event["message"] for event in page["events"])
            # The end of a stream is a token that stays the same.
            if token.get("nextToken") == page["nextForwardToken"]:
                break
            token = {"nextToken": page["nextForwardToken"]}


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:3d}:{int(seconds) % 60:02d}"
