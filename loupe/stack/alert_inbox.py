"""Receive what the defects topic and the operations topic publish, through an SQS queue, as a subscriber does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contract.alarms import short_name
from loupe.stack.target import Target

_QUEUE = "loupe-alert-inbox"


@dataclass(frozen=True)
class DefectAlert:
    """An alert about a defective part.

    Attributes:
        document: The alert for machines (docs/alerts.md).
        envelope: The SNS message: `Subject`, `Message`, `MessageAttributes`.
    """

    document: dict[str, Any]
    envelope: dict[str, Any]


@dataclass(frozen=True)
class AlarmMessage:
    """An alarm that has changed its state.

    Attributes:
        name: Without the stack's name.
        state: ALARM, OK or INSUFFICIENT_DATA.
        reason: CloudWatch's.
        at: When the message was published.
    """

    name: str
    state: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Notice:
    """A notice about the system, such as the outcome of a retraining run.

    Attributes:
        subject: One line.
        text: Lines.
        at: When it was published.
    """

    subject: str
    text: str
    at: datetime


Message = DefectAlert | AlarmMessage | Notice


class AlertInbox:
    """A queue on the local cloud that is subscribed to both topics and receives every message."""

    def __init__(self, target: Target) -> None:
        """Create the queue, and subscribe it."""
        self._sqs, self._stack = target.sqs, target.name
        self._defects = target.output("DefectsTopicArn")
        topics = [self._defects, target.output("OperationsTopicArn")]
        self._url = self._sqs.create_queue(QueueName=_QUEUE, Attributes={"SqsManagedSseEnabled": "true"})[
            "QueueUrl"
        ]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": topics}},
                }
            ],
        }
        self._sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": json.dumps(policy)})
        for topic in topics:
            target.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)

    def receive(self, wait_seconds: int = 1) -> list[Message]:
        """Return the messages that have arrived since the last call, and delete them from the queue.

        Args:
            wait_seconds: How long to wait for the first one.
        """
        reply = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds
        )
        messages = []
        for message in reply.get("Messages", []):
            messages.append(self._parse(json.loads(message["Body"])))
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return messages

    def _parse(self, envelope: dict[str, Any]) -> Message:
        try:
            document = json.loads(envelope["Message"])
        except ValueError:
            document = None
        if envelope["TopicArn"] == self._defects and isinstance(document, dict):
            return DefectAlert(document, envelope)
        at = datetime.fromisoformat(envelope["Timestamp"])
        if isinstance(document, dict) and "AlarmName" in document:
            name = short_name(document["AlarmName"], self._stack)
            return AlarmMessage(name, document["NewStateValue"], document["NewStateReason"], at)
        return Notice(envelope.get("Subject") or "notice", envelope["Message"], at)
