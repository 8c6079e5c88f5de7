"""The queue of announced images, as the inspector uses it beside reading."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_FIRST_DELAY = 5  # seconds
_LONGEST_DELAY = 900  # SQS's own limit
_FIRST_RETRY, _LONGEST_RETRY = 10, 360  # seconds; four retries span ten minutes of trouble with AWS


@dataclass(frozen=True, slots=True)
class Message:
    """One SQS message as Lambda hands it over.

    receive_count: how often it was received, this time included.
    deferrals: how often it was parked before.
    """

    id: str
    receipt_handle: str
    body: str
    receive_count: int
    deferrals: int

    @classmethod
    def of(cls, record: dict[str, Any]) -> Message:
        """From one of the event's `Records`."""
        deferrals = record.get("messageAttributes", {}).get("deferrals", {}).get("stringValue", "0")
        return cls(
            record["messageId"],
            record["receiptHandle"],
            record["body"],
            int(record.get("attributes", {}).get("ApproximateReceiveCount", 1)),
            int(deferrals) if deferrals.isdecimal() else 0,
        )


class Queue:
    """Parks messages while nothing can be judged, and brings failed ones back sooner than the queue would."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def park(self, message: Message) -> int:
        """Send the message again, to be delivered later, in place of the one in hand.

        Waiting must not use up receives, or an outage would move good images to the dead-letter queue. If the
        function dies between this and its acknowledgement there are two messages, and the second has no effect.

        Returns:
            Seconds until it is delivered: doubling from 5 to 900, with jitter so that they do not all come at once.
        """
        longest: int = min(_LONGEST_DELAY, _FIRST_DELAY << min(message.deferrals, 10))
        delay = round(longest * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=message.body,
            DelaySeconds=delay,
            MessageAttributes={
                "deferrals": {"DataType": "Number", "StringValue": str(message.deferrals + 1)}
            },
        )
        return delay

    def hasten(self, message: Message) -> None:
        """Let a failed message come back in seconds, longer each time, not after the whole visibility timeout."""
        self._client.change_message_visibility(
            QueueUrl=self._url,
            ReceiptHandle=message.receipt_handle,
            VisibilityTimeout=min(_LONGEST_RETRY, _FIRST_RETRY * 4 ** min(message.receive_count - 1, 5)),
        )
