"""The queue of announced images: messages that must wait, and messages that failed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# All in seconds.
_FIRST_DELAY = 5
_LONGEST_DELAY = 900  # SQS's own limit
# Below the age that raises OldestMessageAlarm by default (OldestMessageAlarmSeconds in template.yaml).
_LONGEST_REST = 540
_SPREAD = 10.0
_FIRST_RETRY, _LONGEST_RETRY = 10, 360  # four retries span ten minutes of trouble with AWS


@dataclass(frozen=True, slots=True)
class Message:
    """One SQS message as Lambda delivers it.

    Attributes:
        id: SQS's message id.
        receipt_handle: SQS's handle of this delivery.
        body: The S3 event, as JSON.
        receive_count: How often the message was received, this time included.
        deferrals: How often the message was deferred before.
    """

    id: str
    receipt_handle: str
    body: str
    receive_count: int
    deferrals: int

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Message:
        """Return the message of one of the event's `Records`."""
        deferrals = record.get("messageAttributes", {}).get("deferrals", {}).get("stringValue", "0")
        return cls(
            record["messageId"],
            record["receiptHandle"],
            record["body"],
            int(record.get("attributes", {}).get("ApproximateReceiveCount", 1)),
            int(deferrals) if deferrals.isdecimal() else 0,
        )


class Queue:
    """Defers messages that cannot be processed yet, and shortens the wait of messages that failed."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def defer(self, message: Message) -> int:
        """Send the message again with a delay. The caller then acknowledges the message that it received.

        A wait must not count as a receive, or an outage would move good images to the dead-letter queue. If the
        function dies before it acknowledges the message, there are two messages, and the second has no effect.

        Returns:
            The delay in seconds. It doubles from 5 to 900, with jitter so that messages do not all return at once.
        """
        longest: int = min(_LONGEST_DELAY, _FIRST_DELAY << min(message.deferrals, 10))
        delay = round(longest * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
        self._send(message, delay, message.deferrals + 1)
        return delay

    def rest(self, message: Message, seconds: float) -> None:
        """Send the message again, so that it comes back at the beginning of the shift, or once before it.

        It does not count as a deferral: the delays during the shift begin anew.

        Args:
            message: The message, which the caller then acknowledges.
            seconds: The time until the shift begins.
        """
        if seconds > _LONGEST_REST:
            delay = _LONGEST_REST * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        else:
            delay = seconds + random.uniform(0.0, _SPREAD)  # noqa: S311 - jitter, no secret
        self._send(message, round(delay), message.deferrals)

    def _send(self, message: Message, delay: int, deferrals: int) -> None:
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=message.body,
            DelaySeconds=delay,
            MessageAttributes={"deferrals": {"DataType": "Number", "StringValue": str(deferrals)}},
        )

    def hasten(self, message: Message) -> None:
        """Make a failed message visible again in seconds, longer each time, not after the whole visibility timeout."""
        self._client.change_message_visibility(
            QueueUrl=self._url,
            ReceiptHandle=message.receipt_handle,
            VisibilityTimeout=min(_LONGEST_RETRY, _FIRST_RETRY * 4 ** min(message.receive_count - 1, 5)),
        )
