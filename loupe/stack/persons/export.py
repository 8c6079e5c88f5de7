"""Everything that a stack has about a person, as one document."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from contract.s3 import join
from loupe.stack import users
from loupe.stack.inspections import to_json_types
from loupe.stack.persons.person import Person
from loupe.stack.persons.places import Found

if TYPE_CHECKING:
    from loupe.stack.target import Target

_TOPICS = ("DefectsTopicArn", "OperationsTopicArn")


def document(target: Target, person: Person, found: Found) -> dict[str, Any]:
    """Return the document. Only JSON's types are in it.

    Args:
        target: The stack.
        person: Whom it is about.
        found: Where the name stands.
    """
    bucket = target.output("ArtefactsBucketName")
    user = next((asdict(user) for user in users.users(target) if user.name == person.name), None)
    document = {
        "person": person.name,
        "email": person.email,
        "user": user,
        "decisions": [
            {**_of_image(item), **{name: value for name, value in decision.items() if name != "by"}}
            for item in found.reviews
            for decision in item["decisions"]
            if decision["by"] == person.name
        ],
        "claims": [
            _of_image(item) for item in found.reviews if (item.get("claim") or {}).get("by") == person.name
        ],
        "acknowledgements": [
            {**_of_image(record), "at": record["acknowledged"]["at"]}
            for record in found.records
            if record.get("acknowledged", {}).get("by") == person.name
        ],
        "history": [
            {"subject": entry["subject"], "at": entry["at_id"].partition("#")[0], **_said(entry)}
            for entry in sorted(found.history, key=lambda entry: str(entry["at_id"]))
        ],
        "labels": sorted({join(bucket, version.key) for version in found.labels}),
        "reports": sorted({join(bucket, version.key) for version in found.reports}),
        "model_versions": sorted(found.models),
        "mentions": found.mentions,
        "alerts": _subscriptions(target, person),
    }
    answer: dict[str, Any] = to_json_types(document)
    return answer


def _of_image(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "inspection": item["id"],
        "image": item["image"],
        "line": item["line"],
        "serial": item.get("serial"),
    }


def _said(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in ("at", "by", "action", "old", "new", "comment") if name in entry}


def _subscriptions(target: Target, person: Person) -> list[str]:
    """Return the topics that send messages to the person's address."""
    if not person.email:
        return []
    found = []
    for output in _TOPICS:
        arn = target.output(output)
        for page in target.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn):
            found += [arn for one in page["Subscriptions"] if one["Endpoint"].lower() == person.email.lower()]
    return found
