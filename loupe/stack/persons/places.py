"""Where a person's name stands in a stack.

The history names the inspections that a person acknowledged or decided about, since it is written in the transaction
of each of these. So the inspections table, which may have millions of records, need not be read as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from contract.keys import LABELS, REPORTS
from loupe.stack.persons.person import Person

if TYPE_CHECKING:
    from loupe.stack.target import Target

_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404"})
_OF_INSPECTION, _OF_USER = "inspection#", "user#"
_PAGES = ("/report.json", "/report.html")
SIGNED_PARTS = ("review", "acknowledged")  # of an inspection record


@dataclass(frozen=True)
class Version:
    """A version of an object in the artefacts bucket.

    Attributes:
        key: Its key.
        version_id: Its version.
        newest: Whether it is what a reader gets.
    """

    key: str
    version_id: str
    newest: bool


@dataclass
class Found:
    """Where a person's name stands.

    Attributes:
        history: Entries of the history that the person made, or that are about the person as a user.
        reviews: Items of the review queue that the person claimed or decided about.
        records: Inspection records that the person acknowledged or decided about.
        labels: Versions of labels that the person made.
        reports: Versions of reports that say that the person decided.
        models: Versions of the model whose note says so, by their ARNs.
        mentions: Comments that contain the name as a word of its own, with their place.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    reviews: list[dict[str, Any]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    labels: list[Version] = field(default_factory=list)
    reports: list[Version] = field(default_factory=list)
    models: dict[str, str] = field(default_factory=dict)
    mentions: list[dict[str, str]] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return how many there are of each."""
        return {name: len(value) for name, value in vars(self).items()}

    def is_empty(self) -> bool:
        """Return whether the name stands nowhere but in comments."""
        return not any(number for name, number in self.counts().items() if name != "mentions")


def look(target: Target, person: Person, mentions: bool = False) -> Found:
    """Return where a person's name stands now.

    Args:
        target: The stack.
        person: The person.
        mentions: Whether what only mentions the name in a comment is also among the history, reviews and records.
    """
    found = Found()
    for entry in _items(target, "HistoryTableName"):
        if entry["subject"] == f"{_OF_USER}{person.name}" or person.is_in(_signed(entry), mentions):
            found.history.append(entry)
        _note(found, person, f"history: {entry['subject']}, {entry['at_id']}", entry.get("comment"))
    for item in _items(target, "ReviewsTableName", Attr("decisions").exists()):
        if person.is_in([item.get("claim"), item["decisions"]], mentions):
            found.reviews.append(item)
        for decision in item["decisions"]:
            _note(found, person, f"review: {item['id']}", decision.get("comment"))
    for identity in _touched(found):
        record = record_of(target, identity)
        if record and person.is_in([record.get(name) for name in SIGNED_PARTS], mentions):
            found.records.append(record)
        label = f"{LABELS}{identity}.json"
        found.labels += [one for one, body in bodies(target, label) if person.is_in(json.loads(body))]
    found.reports = [one for one, body in bodies(target, REPORTS, _PAGES) if person.is_in(body)]
    found.models = {arn: note for arn, note in _notes(target) if person.is_in(note)}
    return found


def _signed(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of an entry of the history that people write; a document of rules is none."""
    return {name: entry[name] for name in ("by", "comment") if name in entry}


def _touched(found: Found) -> list[str]:
    """Return the ids of the inspections that the person has, or may have, acknowledged or decided about."""
    subjects = [entry["subject"] for entry in found.history]
    touched = {one.removeprefix(_OF_INSPECTION) for one in subjects if one.startswith(_OF_INSPECTION)}
    return sorted(touched | {item["id"] for item in found.reviews})


def record_of(target: Target, identity: str) -> dict[str, Any] | None:
    """Return an inspection record by its id; None if it has expired."""
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    keys = table.query(IndexName="by_id", KeyConditionExpression=Key("id").eq(identity))["Items"]
    if not keys:
        return None
    key = {name: keys[0][name] for name in ("image", "version_id")}
    return table.get_item(Key=key, ConsistentRead=True).get("Item")


def bodies(target: Target, prefix: str, ends: tuple[str, ...] = ("",)) -> Iterator[tuple[Version, str]]:
    """Yield each version of the objects under a prefix, with its text."""
    bucket = target.output("ArtefactsBucketName")
    for page in target.s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for each in page.get("Versions", []):
            if not each["Key"].endswith(ends):
                continue
            version = Version(each["Key"], each["VersionId"], each["IsLatest"])
            try:
                stored = target.s3.get_object(Bucket=bucket, Key=version.key, VersionId=version.version_id)
            except ClientError as error:
                if error.response["Error"]["Code"] in _GONE:
                    continue
                raise
            yield version, stored["Body"].read().decode()


def _notes(target: Target) -> Iterator[tuple[str, str]]:
    """Yield each version of the registry that somebody decided about, with the note about it."""
    group = target.output("ModelPackageGroupName")
    pages = target.sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    for page in pages:
        for summary in page["ModelPackageSummaryList"]:
            arn = summary["ModelPackageArn"]
            described = target.sagemaker.describe_model_package(ModelPackageName=arn)
            if note := described.get("ApprovalDescription"):
                yield arn, note


def _items(target: Target, output: str, condition: Any = None) -> Iterator[dict[str, Any]]:
    table = target.dynamodb.Table(target.output(output))
    options: dict[str, Any] = {"ConsistentRead": True}
    if condition is not None:
        options["FilterExpression"] = condition
    while True:
        answer = table.scan(**options)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        options["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _note(found: Found, person: Person, place: str, text: Any) -> None:
    if isinstance(text, str) and person.is_in(text, mentions=True):
        found.mentions.append({"place": place, "text": text})
