"""A person's answer to a run that waits for approval."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contract.keys import APPROVALS
from retraining.documents import Documents
from retraining.errors import NotWaitingError
from retraining.executions import REJECTED

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
_NO_LONGER_WAITING = ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken")


@dataclass(frozen=True)
class Answer:
    """What a person answers.

    Attributes:
        approve: Whether the model goes into service.
        by: Who answers.
        comment: Why it does not, for the report and the notice.
    """

    approve: bool
    by: str
    comment: str | None = None

    @property
    def text(self) -> str:
        """What the run receives, and keeps in its events: the output of the state that asks, or the error's cause."""
        if self.approve:
            return json.dumps({"approved": True, "by": self.by})
        cause = f"rejected by {self.by}: {self.comment}" if self.comment else f"rejected by {self.by}"
        return cause[:32_000]


@dataclass(frozen=True)
class Answers:
    """Approves and rejects.

    Attributes:
        documents: The artefacts bucket, where a run that waits has stored its task token.
        states: The Step Functions client.
    """

    documents: Documents
    states: SFNClient

    def give(
        self, run: str, answer: Answer, given: str | None, note: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """Answer a run. Whoever was interrupted repeats the answer.

        Args:
            run: The run's id.
            answer: The answer.
            given: The answer that the run has received already; None if there is none.
            note: Writes down who has answered. It is called with the question, and may be called again.

        Returns:
            The run's question: `run`, `version`, `requested_at`.

        Raises:
            NotWaitingError: The run does not wait for an answer, or no longer.
        """
        stored = self.find(run)
        if stored is None:
            raise NotWaitingError(f"the run {run} does not wait for an answer")
        question = {name: value for name, value in stored.items() if name != "token"}
        try:
            self._send(stored["token"], answer)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NO_LONGER_WAITING:
                raise
            if given != answer.text:
                self._forget(run)
                raise NotWaitingError(
                    f"the run {run} no longer waits: it was answered or stopped, or it timed out"
                ) from error
        # The question stays until that is written, so that who repeats the answer gets so far.
        note(question)
        self._forget(run)
        return question

    def _send(self, token: str, answer: Answer) -> None:
        if answer.approve:
            self.states.send_task_success(taskToken=token, output=answer.text)
        else:
            self.states.send_task_failure(taskToken=token, error=REJECTED, cause=answer.text)

    def find(self, run: str) -> dict[str, Any] | None:
        """Return a run's question: `token`, `run`, `version`, `requested_at`, `evaluation`. None: it has none."""
        try:
            stored = self.documents.find(f"{APPROVALS}{run}.json")
        except ValueError:
            return None
        question = stored[0] if stored else None
        is_question = isinstance(question, dict) and isinstance(question.get("token"), str)
        return question if is_question else None

    def _forget(self, run: str) -> None:
        """Delete a question whose token is used up."""
        self.documents.s3.delete_object(Bucket=self.documents.bucket, Key=f"{APPROVALS}{run}.json")
