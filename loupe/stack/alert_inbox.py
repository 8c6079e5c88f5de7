"""Receive the alerts of the defects topic through an SQS queue, as a subscriber does."""

from __future__ import annotations

import json
from typing import Any

from loupe.stack.target import Target

_QUEUE = "loupe-alert-inbox"


class AlertInbox:
    """A queue on the local cloud that is subscribed to the defects topic and receives every alert."""

    def __init__(self, target: Target) -> None:
        self._sqs = target.sqs
        topic = target.output("DefectsTopicArn")
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
                    "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
                }
            ],
        }
        self._sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": json.dumps(policy)})
        target.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)

    def receive(self, wait_seconds: int = 1) -> list[dict[str, Any]]:
        """Return the alerts that have arrived since the last call, and delete them from the queue.

        Args:
            wait_seconds: How long to wait for the first one.

        Returns:
            SNS envelopes (`Subject`, `Message`, `MessageAttributes`).
        """
        reply = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds
        )
        envelopes = []
        for message in reply.get("Messages", []):
            envelopes.append(json.loads(message["Body"]))
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return envelopes
