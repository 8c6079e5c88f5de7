"""Changes to MiniStack's SQS: after a start, a message that was received but not deleted can be received at once.

Whoever had received it was a function, and ended with the cloud. MiniStack lets the message wait for the rest of its
visibility timeout, which is six minutes, and counts the receive: after five kills it would be a dead letter.
"""

from typing import Any

from ministack.services import sqs


def apply() -> None:
    """Patch MiniStack."""
    restore_state = sqs._restore_state

    def restore_and_give_back(data: dict[str, Any] | None) -> None:
        restore_state(data)
        for _, queue in list(sqs._queues.all_items()):
            for message in queue["messages"]:
                _give_back(message)

    sqs._restore_state = restore_and_give_back


def _give_back(message: dict[str, Any]) -> None:
    # A delayed message has no receipt: it keeps its delay.
    if message.get("receipt_handle"):
        message["visible_at"] = message["sent_at"]
        message["receive_count"] = max(0, message["receive_count"] - 1)
        message["receipt_handle"] = None
