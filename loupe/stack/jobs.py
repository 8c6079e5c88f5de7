"""What the SageMaker jobs of a retraining are doing, one line each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from loupe.stack.endpoint import described
from loupe.stack.target import Target

_GROUP = "/aws/sagemaker/TrainingJobs"
_ENDED = ("Completed", "Failed", "Stopped")


@dataclass(frozen=True)
class Line:
    """One candidate, or the champion. stage: waiting, training, tuning, evaluating, done or failed."""

    label: str
    stage: str
    detail: str = ""


class Jobs:
    """Follows the jobs that a plan names; what is done is not asked for again."""

    def __init__(self, target: Target) -> None:
        self._sagemaker = target.sagemaker
        self._target = target
        self._settled: dict[str, Line] = {}
        self._logs: dict[str, JobLog] = {}

    def look(self, plan: dict[str, Any]) -> list[Line]:
        """A line for each candidate of Plan's output, and one for the champion."""
        subjects = list(plan.get("candidates") or [])
        if plan.get("champion"):
            subjects.append({"id": "champion", **plan["champion"]})
        return [self._settled.get(each["id"]) or self._line(each) for each in subjects]

    def _line(self, subject: dict[str, Any]) -> Line:
        label, kind = str(subject["id"]), subject.get("kind")
        made = Line(label, "done")  # trained before: the champion, and what an earlier run left
        if kind == "train":
            made = self._training(label, subject["name"])
        elif kind == "tune":
            made = self._tuning(label, subject["name"])
        if made.stage == "done":
            made = self._evaluation(label, subject.get("evaluation") or {}, made.detail)
        if made.stage in ("done", "failed"):
            self._settled[label] = made
        return made

    def _training(self, label: str, name: str) -> Line:
        job = described(lambda: self._sagemaker.describe_training_job(TrainingJobName=name))
        if job is None:
            return Line(label, "waiting")
        log = self._logs.setdefault(name, JobLog(self._target, name))
        log.read()
        status = job["TrainingJobStatus"]
        if status == "Completed":
            return Line(label, "done", log.text)
        if status in _ENDED:
            return Line(label, "failed", job.get("FailureReason", status).strip().splitlines()[0])
        return Line(label, "training", log.text or job.get("SecondaryStatus", status))

    def _tuning(self, label: str, name: str) -> Line:
        job = described(
            lambda: self._sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        )
        if job is None:
            return Line(label, "waiting")
        counts: Any = job["TrainingJobStatusCounters"]
        most = job["HyperParameterTuningJobConfig"]["ResourceLimits"].get("MaxNumberOfTrainingJobs")
        failed = counts.get("NonRetryableError", 0)
        ended = counts.get("Completed", 0) + counts.get("Stopped", 0) + failed
        parts = [f"{ended} of {most or '?'} jobs ended", f"{counts.get('InProgress', 0)} at work"]
        if failed:
            parts.append(f"{failed} failed")
        best = job.get("BestTrainingJob", {}).get("FinalHyperParameterTuningJobObjectiveMetric")
        if best:
            parts.append(f"best mAP {best['Value']:.3f}")
        status, detail = job["HyperParameterTuningJobStatus"], ", ".join(parts)
        if status == "Completed":
            return Line(label, "done", detail)
        if status in _ENDED:
            return Line(label, "failed", job.get("FailureReason", detail))
        return Line(label, "tuning", detail)

    def _evaluation(self, label: str, evaluation: dict[str, Any], detail: str) -> Line:
        name = evaluation.get("name")
        if evaluation.get("done") or not name:
            return Line(label, "done", detail or "found from an earlier run")
        job = described(lambda: self._sagemaker.describe_processing_job(ProcessingJobName=name))
        status = job["ProcessingJobStatus"] if job else None
        if job and status in ("Failed", "Stopped"):
            reason = job.get("ExitMessage") or job.get("FailureReason") or status
            return Line(label, "failed", f"evaluation: {reason.strip().splitlines()[0]}")
        return Line(label, "done" if status == "Completed" else "evaluating", detail)


class JobLog:
    """The epochs that a training job has told of in CloudWatch Logs.

    text: the newest of them, as `epoch 3/20, loss 1.234, mAP 0.312`; empty before the first.
    """

    def __init__(self, target: Target, job: str) -> None:
        self._logs, self._job = target.logs, job
        self._tokens: dict[str, str] = {}
        self._map: float | None = None
        self.text = ""

    def read(self) -> None:
        """Takes in what has come since the last time. Logs that are missing or forbidden cost the detail only."""
        try:
            for message in self._new():
                self._take(message)
        except ClientError:
            return

    def _new(self) -> Iterator[str]:
        # A spot job that was interrupted goes on in another stream.
        streams = self._logs.describe_log_streams(logGroupName=_GROUP, logStreamNamePrefix=f"{self._job}/")
        for stream in streams["logStreams"]:
            name = stream["logStreamName"]
            while True:
                token: Any = {"nextToken": self._tokens[name]} if name in self._tokens else {}
                page = self._logs.get_log_events(
                    logGroupName=_GROUP, logStreamName=name, startFromHead=True, **token
                )
                ended = self._tokens.get(name) == page["nextForwardToken"]
                self._tokens[name] = page["nextForwardToken"]
                yield from (event["message"] for event in page["events"])
                if ended:
                    break

    def _take(self, message: str) -> None:
        try:
            line = json.loads(message)
            if line["event"] != "epoch":
                return
            text = f"epoch {line['epoch']}/{line['epochs']}, loss {line['loss']:.3f}"
            self._map = line.get("val:map", self._map)
        except (ValueError, KeyError, TypeError):  # a line that a person reads, or a library's
            return
        self.text = text + (f", mAP {self._map:.3f}" if self._map is not None else "")
