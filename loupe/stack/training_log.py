"""The epochs of a training job, from its log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from loupe.stack import log_groups
from loupe.stack.target import Target


class TrainingLog:
    """The epochs that a training job has written to CloudWatch Logs.

    Attributes:
        text: The newest epoch, as `epoch 3/20, loss 1.234, mAP 0.312`; empty before the first.
    """

    def __init__(self, target: Target, job: str) -> None:
        self._logs, self._job = target.logs, job
        self._tokens: dict[str, str] = {}
        self._map: float | None = None
        self.text = ""

    def read(self) -> None:
        """Read the lines that were added since the last call.

        A log that does not exist yet, or that the user may not read, leaves `text` as it is.
        """
        try:
            for message in self._new_messages():
                self._apply(message)
        except ClientError:
            return

    def _new_messages(self) -> Iterator[str]:
        # A spot job that was interrupted continues in another stream.
        streams = self._logs.describe_log_streams(
            logGroupName=log_groups.TRAINING, logStreamNamePrefix=f"{self._job}/"
        )
        for stream in streams["logStreams"]:
            name = stream["logStreamName"]
            while True:
                token: Any = {"nextToken": self._tokens[name]} if name in self._tokens else {}
                page = self._logs.get_log_events(
                    logGroupName=log_groups.TRAINING, logStreamName=name, startFromHead=True, **token
                )
                # The stream's end answers with the token that it was asked with.
                ended = self._tokens.get(name) == page["nextForwardToken"]
                self._tokens[name] = page["nextForwardToken"]
                yield from (event["message"] for event in page["events"])
                if ended:
                    break

    def _apply(self, message: str) -> None:
        try:
            document = json.loads(message)
            if document["event"] != "epoch":
                return
            text = f"epoch {document['epoch']}/{document['epochs']}, loss {document['loss']:.3f}"
            self._map = document.get("val:map", self._map)
        # Other lines are for people, or come from a library.
        except (ValueError, KeyError, TypeError):
            return
        self.text = text + (f", mAP {self._map:.3f}" if self._map is not None else "")
