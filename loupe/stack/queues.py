"""How many messages the stack's queues hold."""

from __future__ import annotations

from typing import NamedTuple

from loupe.stack.target import Target


class Messages(NamedTuple):
    """The messages of a queue.

    Attributes:
        waiting: Ready to be received.
        in_work: Received, and not deleted yet.
        delayed: To be tried again later.
    """

    waiting: int
    in_work: int
    delayed: int


def count(target: Target, output: str) -> Messages:
    """Return how many messages are in the queue whose URL a stack output names."""
    attributes = target.sqs.get_queue_attributes(
        QueueUrl=target.output(output),
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ],
    )["Attributes"]
    return Messages(
        int(attributes["ApproximateNumberOfMessages"]),
        int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        int(attributes["ApproximateNumberOfMessagesDelayed"]),
    )
