"""Takes a person's name out of a stack, and keeps what the person decided under a pseudonym.

Each step looks at what is there, so a removal that was interrupted is simply repeated. The first step writes the
pseudonym beside the name into the history, and the last one deletes the name there: a repetition before that finds the
pseudonym, and afterwards nothing connects the two. The history is changed after everything that is found by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

from contract.inspections import timestamp
from contract.text import plain
from loupe.errors import LoupeError
from loupe.stack import users
from loupe.stack.persons import places
from loupe.stack.persons.person import Person, new_pseudonym

if TYPE_CHECKING:
    from loupe.stack.persons.places import Found
    from loupe.stack.target import Target

SUBJECT = "persons"
_ATTEMPTS = 5
_OVERTAKEN = frozenset(
    {"ConditionalCheckFailedException", "PreconditionFailed", "ConditionalRequestConflict"}
)


@dataclass(frozen=True)
class Removal:
    """The removal of one person.

    Attributes:
        target: The stack.
        person: Who is removed.
        pseudonym: What stands for the person from now on.
        mentions: Whether comments lose the name, too.
    """

    target: Target
    person: Person
    pseudonym: str
    mentions: bool

    def run(self, on_step: Callable[[str], None]) -> Found:
        """Replace the name everywhere. Return where it stood.

        Raises:
            LoupeError: Somebody keeps working under the name.
        """
        self._begin()
        if any(user.name == self.person.name for user in users.users(self.target)):
            users.remove(self.target, self.person.name)
        stood: Found | None = None
        for _ in range(_ATTEMPTS):
            on_step("looking where the name stands")
            found = places.look(self.target, self.person, self.mentions)
            stood = stood or found
            if found.is_empty():
                self._end()
                return stood
            on_step("replacing it")
            for change in self._changes(found):
                _tolerantly(change)
        raise LoupeError("somebody works under this name at the moment", "Repeat the command.")

    def _changes(self, found: Found) -> Iterator[Callable[[], None]]:
        """Yield all changes, those of the history last."""
        keys = ("image", "version_id")
        for record in found.records:
            yield partial(self._update, "InspectionsTableName", record, keys, places.SIGNED_PARTS)
        for item in found.reviews:
            yield partial(self._update, "ReviewsTableName", item, ("id",), ("decisions", "claim"))
        for version in (*found.labels, *found.reports):
            yield partial(self._rewrite, version)
        for arn, note in found.models.items():
            yield partial(self._annotate, arn, note)
        for entry in found.history:
            yield partial(self._sign, entry)

    def _update(
        self, output: str, item: dict[str, Any], keys: tuple[str, ...], members: tuple[str, ...]
    ) -> None:
        """Replace the name in members of an item, on the condition that nobody else has changed them."""
        new = {name: self._document(item[name]) for name in members if item.get(name) is not None}
        new = {name: value for name, value in new.items() if value != item[name]}
        self.target.dynamodb.Table(self.target.output(output)).update_item(
            Key={name: item[name] for name in keys},
            UpdateExpression="SET " + ", ".join(f"#{name} = :new_{name}" for name in new),
            ConditionExpression=" AND ".join(f"#{name} = :old_{name}" for name in new),
            ExpressionAttributeNames={f"#{name}": name for name in new},
            ExpressionAttributeValues={
                **{f":new_{name}": value for name, value in new.items()},
                **{f":old_{name}": item[name] for name in new},
            },
        )

    def _rewrite(self, version: places.Version) -> None:
        """Replace the name in an object. A former version with the name is deleted, since nobody reads it."""
        s3, bucket = self.target.s3, self.target.output("ArtefactsBucketName")
        if version.newest:
            stored = s3.get_object(Bucket=bucket, Key=version.key, VersionId=version.version_id)
            body = stored["Body"].read().decode()
            if version.key.endswith(".json"):
                document = self._document(json.loads(body))
                text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
            else:
                text = str(self._document(body))
            # Not over what somebody has written meanwhile.
            s3.put_object(
                Bucket=bucket,
                Key=version.key,
                Body=text.encode(),
                ContentType=stored["ContentType"],
                IfMatch=stored["ETag"],
            )
        s3.delete_object(Bucket=bucket, Key=version.key, VersionId=version.version_id)

    def _annotate(self, arn: str, note: str) -> None:
        self.target.sagemaker.update_model_package(
            ModelPackageArn=arn, ApprovalDescription=self._document(note)
        )

    def _sign(self, entry: dict[str, Any]) -> None:
        """Replace the name in an entry of the history; an entry about the user gets another subject."""
        signed = self._document({name: entry[name] for name in ("by", "comment") if name in entry})
        about = (
            {"subject": f"user#{self.pseudonym}"} if entry["subject"] == f"user#{self.person.name}" else {}
        )
        self._table.put_item(Item=entry | signed | about)
        if about:
            self._table.delete_item(Key={name: entry[name] for name in ("subject", "at_id")})

    def _document(self, value: Any) -> Any:
        return self.person.replaced(value, self.pseudonym, self.mentions)

    def _begin(self) -> None:
        self._table.put_item(
            Item={
                "subject": SUBJECT,
                "at_id": self.pseudonym,
                "by": plain(self.target.identity.rpartition("/")[2]),
                "action": "person_removed",
                "at": timestamp(datetime.now(UTC)),
                "removing": self.person.name,
                **({"address": self.person.email} if self.person.email else {}),
            }
        )

    def _end(self) -> None:
        self._table.update_item(
            Key={"subject": SUBJECT, "at_id": self.pseudonym}, UpdateExpression="REMOVE removing, address"
        )

    @property
    def _table(self) -> Any:
        return self.target.dynamodb.Table(self.target.output("HistoryTableName"))


def begin(target: Target, person: Person, pseudonym: str | None, mentions: bool) -> Removal:
    """Return the removal of a person, or the rest of one that was interrupted.

    Args:
        target: The stack.
        person: Who is to be removed.
        pseudonym: That of an earlier, complete removal of the person; None for a new one.
        mentions: Whether comments lose the name, too.
    """
    table = target.dynamodb.Table(target.output("HistoryTableName"))
    begun = table.query(KeyConditionExpression=Key("subject").eq(SUBJECT), ConsistentRead=True)["Items"]
    for one in begun:
        if one.get("removing") == person.name and pseudonym in (None, one["at_id"]):
            # The user pool may have forgotten the address by now.
            address = one.get("address")
            known = Person(person.name, person.email or (str(address) if address else None))
            return Removal(target, known, str(one["at_id"]), mentions)
    return Removal(target, person, pseudonym or new_pseudonym(), mentions)


def _tolerantly(change: Callable[[], None]) -> None:
    """Make a change, unless somebody was faster; the next look finds it again."""
    try:
        change()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _OVERTAKEN:
            raise
