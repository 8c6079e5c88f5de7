"""A person's answer to a run that waits for approval."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contract.keys import APPROVALS
from retraining.documents import Documents
from retraining.errors import NotWaitingError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
_NO_LONGER_WAITING = ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken")


@dataclass(frozen=True)
class Answers:
    """Approves and rejects.

    Attributes:
        documents: The artefacts bucket, where a run that waits has stored its task token.
        states: The Step Functions client.
    """

    documents: Documents
    states: SFNClient

    def approve(self, run: str, by: str) -> dict[str, Any]:
        """Let a run put its model into service.

        Args:
            run: The run's id.
            by: Who approves.

        Returns:
            The run's question: `run`, `version`, `requested_at`.

        Raises:
            NotWaitingError: The run does not wait for an answer, or no longer.
        """
        question = self._question(run)
        output = json.dumps({"approved": True, "by": by})
        return self._answer(
            question, lambda: self.states.send_task_success(taskToken=question["token"], output=output)
        )

    def reject(self, run: str, by: str, comment: str | None) -> dict[str, Any]:
        """Let a run end without its model.

        Args:
            run: The run's id.
            by: Who rejects.
            comment: Why, for the report and the notice.

        Returns:
            The run's question.

        Raises:
            NotWaitingError: The run does not wait for an answer, or no longer.
        """
        question = self._question(run)
        cause = f"rejected by {by}: {comment}" if comment else f"rejected by {by}"
        return self._answer(
            question,
            lambda: self.states.send_task_failure(
                taskToken=question["token"], error="Rejected", cause=cause[:32_000]
            ),
        )

    def find(self, run: str) -> dict[str, Any] | None:
        """Return a run's question: `token`, `run`, `version`, `requested_at`, `evaluation`. None: it has none."""
        try:
            stored = self.documents.find(f"{APPROVALS}{run}.json")
        except ValueError:
            return None
        question = stored[0] if stored else None
        is_question = isinstance(question, dict) and isinstance(question.get("token"), str)
        return question if is_question else None

    def _question(self, run: str) -> dict[str, Any]:
        question = self.find(run)
        if question is None:
            raise NotWaitingError(f"the run {run} does not wait for an answer")
        return question

    def _answer(self, question: dict[str, Any], send: Any) -> dict[str, Any]:
        run = question["run"]
        try:
            send()
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NO_LONGER_WAITING:
                raise
            self._forget(run)
            raise NotWaitingError(
                f"the run {run} no longer waits: it was answered or stopped, or it timed out"
            ) from error
        self._forget(run)
        return {name: value for name, value in question.items() if name != "token"}

    def _forget(self, run: str) -> None:
        """Delete a question whose token is used up."""
        self.documents.s3.delete_object(Bucket=self.documents.bucket, Key=f"{APPROVALS}{run}.json")
