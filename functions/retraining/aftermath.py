"""What a run leaves that Step Functions ended by itself, where no state of it could act any more.

No state catches States.Runtime and States.DataLimitExceeded, the execution's own timeout, or its end by a person
(https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html). So the notice is sent from outside,
and the jobs are stopped for which nobody waits any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contract.text import plain

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_stepfunctions import SFNClient

# After any other error the state machine has sent its own notice.
_UNCAUGHT = ("States.Runtime", "States.DataLimitExceeded")
_ENDS = {
    "FAILED": "failed",
    "TIMED_OUT": "did not end within two weeks",
    "ABORTED": "was stopped",
}
_CAUSE_CHARACTERS = 2000
# As SageMaker's API names a kind, and as its client does. Tuning jobs first: they would start further trainings.
_KINDS = {
    "HyperParameterTuningJob": "hyper_parameter_tuning_job",
    "TrainingJob": "training_job",
    "ProcessingJob": "processing_job",
}
# SageMaker's codes for a job that has ended meanwhile, or is being stopped.
_ENDED = ("ValidationException", "ResourceNotFound")


@dataclass(frozen=True)
class Aftermath:
    """Tells people why a run ended, and stops its jobs.

    Attributes:
        states: The Step Functions client.
        sagemaker: The SageMaker client.
        sns: Publishes the notice.
        topic_arn: The topic for operators.
        name_prefix: The beginning of the names of the stack's jobs.
    """

    states: SFNClient
    sagemaker: SageMakerClient
    sns: SNSClient
    topic_arn: str
    name_prefix: str

    def clear(self, execution_arn: str) -> None:
        """Stop the jobs of an execution that has ended, and publish a notice if its states could send none.

        Args:
            execution_arn: The execution.
        """
        execution = self.states.describe_execution(executionArn=execution_arn)
        stopped = list(self._stop_jobs(execution["stopDate"]))
        if execution["status"] == "FAILED" and execution.get("error") not in _UNCAUGHT:
            return
        self.sns.publish(
            TopicArn=self.topic_arn,
            Subject=f"Loupe: retraining {'stopped' if execution['status'] == 'ABORTED' else 'failed'}",
            Message=_message(execution, stopped),
        )

    def _stop_jobs(self, ended: datetime) -> Iterator[str]:
        """Stop what still runs, and yield the names. Only one execution runs at a time; a later job is another's.

        What an earlier attempt has stopped is named, too: it could not tell anybody.
        """
        for kind, method in _KINDS.items():
            yield from self._jobs(kind, "Stopping", ended)
            for name in self._jobs(kind, "InProgress", ended):
                try:
                    getattr(self.sagemaker, f"stop_{method}")(**{f"{kind}Name": name})
                except ClientError as error:
                    if error.response["Error"]["Code"] not in _ENDED:
                        raise
                else:
                    yield name

    def _jobs(self, kind: str, status: str, ended: datetime) -> list[str]:
        own = f"{self.name_prefix}-"
        pages = self.sagemaker.get_paginator(f"list_{_KINDS[kind]}s").paginate(  # type: ignore[call-overload]
            NameContains=own, StatusEquals=status, CreationTimeBefore=ended
        )
        summaries = (summary for page in pages for summary in page[f"{kind}Summaries"])
        return [name for summary in summaries if (name := summary[f"{kind}Name"]).startswith(own)]


def _message(execution: Mapping[str, Any], stopped: list[str]) -> str:
    reason = ". ".join(filter(None, (execution.get("error"), execution.get("cause"))))
    lines = [
        f"The retraining {execution['name']} {_ENDS[execution['status']]}: "
        + (plain(reason)[:_CAUSE_CHARACTERS] or "no cause was given"),
        "",
        *([f"Stopped: {', '.join(stopped)}", ""] if stopped else []),
        "`loupe models` says what serves now, and which version this run may have registered.",
        "Start again by `loupe retrain`: jobs that were done are not done again.",
    ]
    return "\n".join(lines)
