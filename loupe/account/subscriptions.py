"""Who receives messages by e-mail, and who has not confirmed it yet."""

from __future__ import annotations

from dataclasses import dataclass

from loupe.stack.target import Target

_TOPICS = {"defects": "DefectsTopicArn", "operations": "OperationsTopicArn"}
# What SNS gives instead of an ARN: https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html
_PENDING = "PendingConfirmation"


@dataclass(frozen=True)
class Subscription:
    """An e-mail address that receives messages.

    Attributes:
        address: The address.
        topic: `defects` or `operations`.
        confirmed: Whether the receiver has followed the link in SNS's e-mail.
    """

    address: str
    topic: str
    confirmed: bool


def emails(target: Target) -> list[Subscription]:
    """Return the e-mail subscriptions of the stack's topics."""
    found = []
    for topic, output in _TOPICS.items():
        pages = target.sns.get_paginator("list_subscriptions_by_topic").paginate(
            TopicArn=target.output(output)
        )
        found += [
            Subscription(each["Endpoint"], topic, each["SubscriptionArn"] != _PENDING)
            for page in pages
            for each in page["Subscriptions"]
            if each["Protocol"] in ("email", "email-json")
        ]
    return found
