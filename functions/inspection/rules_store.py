"""The rules as people change them: who may not overwrite whom, who did it, and the way back.

SSM has no conditional write, so two things keep one change from overwriting another:

1. A change to version n + 1 first claims that number in the history table, by a write that only one can win. The claim
   holds the whole change: who, when, why and the new text. So nothing is lost if the function is killed afterwards: the
   history shows who made a version by the claim whose text it has. A claim whose change was never made lapses after
   `CLAIM_SECONDS`, which is longer than the function may run. So no two changes through this module run at once, but
   one and the same: who repeats a change that was interrupted goes on with it.
2. Retraining, the console and an older command write without a claim. After each write, the number that SSM returns
   tells whether one of them came in between. Then what they wrote is put into force again, and the change is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from contract.inspections import timestamp
from inspection.rules import Rules
from inspection.rules_document import (
    TIER,
    RulesDocumentError,
    in_place_of,
    parse,
    settled,
    to_text,
    unused_name,
    validate,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ssm import SSMClient

SUBJECT = "rules"
CLAIM_SECONDS = 60  # the API's function runs for 29 s at most
CHANGED, ROLLED_BACK = "changed", "rolled_back"
_Document = Mapping[str, Any]


class StaleRulesError(Exception):
    """Somebody else has changed the rules, or is just doing it.

    Attributes:
        number: The newest version of the parameter.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class UnknownVersionError(LookupError):
    """There is no such version of the rules."""


@dataclass(frozen=True)
class RulesVersion:
    """A version of the parameter.

    Attributes:
        number: SSM's number, from 1 up.
        text: The document as it was written.
        when: When it was written, ISO 8601 in UTC.
        by: Who wrote it: the name of a person, or of an AWS identity; None if it is not known.
        action: What the person did; None if it was not done here.
        comment: What the person said about it.
    """

    number: int
    text: str
    when: str
    by: str | None = None
    action: str | None = None
    comment: str | None = None

    @property
    def document(self) -> dict[str, Any] | None:
        """The document, also if it is not valid; None if the text is not a JSON object."""
        try:
            document = json.loads(self.text)
        except ValueError:
            return None
        return document if isinstance(document, dict) else None

    @property
    def name(self) -> str | None:
        """The document's own version."""
        return (self.document or {}).get("version")

    def rules(self) -> Rules:
        """Return the rules.

        Raises:
            RulesDocumentError: The document is not valid.
        """
        return validate(parse(self.text))

    def is_made_by(self, by: str, action: str, comment: str | None) -> bool:
        """Return whether a person has made this version, by this action and with these words."""
        return (self.by, self.action, self.comment) == (by, action, comment)

    def has_rules_of(self, document: _Document) -> bool:
        """Return whether this is the same document, apart from a swap that is in progress."""
        return self.document is not None and settled(self.document) == settled(document)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class RulesStore:
    """Reads and changes the rules.

    Attributes:
        ssm: Of the parameter.
        parameter: Its name.
        dynamodb: Of the history.
        history_table: Its name.
        clock: Returns the time.
    """

    ssm: SSMClient
    parameter: str
    dynamodb: DynamoDBClient
    history_table: str
    clock: Callable[[], datetime] = field(default=_now)

    def current(self) -> RulesVersion:
        """Return the rules in force, without who wrote them."""
        parameter = self.ssm.get_parameter(Name=self.parameter)["Parameter"]
        return RulesVersion(
            parameter["Version"], parameter["Value"], timestamp(parameter["LastModifiedDate"])
        )

    def versions(self) -> list[RulesVersion]:
        """Return all versions that are known, newest first: the last 100 from SSM, older ones from the history."""
        return self._known(self._stored(), self._entries())

    def _known(self, in_ssm: list[RulesVersion], entries: dict[int, dict[str, Any]]) -> list[RulesVersion]:
        stored = [_signed(version, entries.get(version.number)) for version in in_ssm]
        oldest = stored[-1].number if stored else 0
        older = [
            _version(item) for number, item in entries.items() if number < oldest and "until" not in item
        ]
        return [*stored, *sorted(older, key=lambda version: version.number, reverse=True)]

    def change(
        self, document: _Document, number: int, by: str, comment: str | None = None, action: str = CHANGED
    ) -> RulesVersion:
        """Put a document into force. A swap that is in progress keeps its scores.

        Args:
            document: The rules.
            number: The version of the parameter that the document was made from.
            by: Who changes them.
            comment: Why.
            action: What is recorded as done.

        Returns:
            The new version, or the one in force if it has the same rules already.

        Raises:
            RulesDocumentError: The document is not valid, is too long, or has the name of other rules.
            StaleRulesError: `number` is not the newest version.
        """
        in_ssm, entries = self._stored(), self._entries()
        versions = self._known(in_ssm, entries)
        current = versions[0]
        if current.number != number:
            is_repeated = current.number == number + 1 and current.is_made_by(by, action, comment)
            if is_repeated and current.has_rules_of(document):
                return current
            raise _changed_meanwhile(current)
        validate(document)
        wanted = in_place_of(document, _valid(current))
        if current.has_rules_of(wanted):
            return current
        _refuse_used_name(wanted, versions)
        self._finish_claims(in_ssm, entries)
        return self._write(current, to_text(wanted), by, comment, action)

    def roll_back(self, to: int, number: int, by: str, comment: str | None = None) -> RulesVersion:
        """Put the rules of an earlier version into force, under a name of their own.

        Args:
            to: The earlier version.
            number: The newest version that the person has seen.
            by: Who does it.
            comment: Why.

        Returns:
            The new version, or the one in force if it has the same rules already.

        Raises:
            UnknownVersionError: There is no version `to`.
            RulesDocumentError: It is not valid.
            StaleRulesError: `number` is not the newest version.
        """
        versions = self.versions()
        earlier = next((version for version in versions if version.number == to), None)
        if earlier is None:
            raise UnknownVersionError(f"there is no version {to} of the rules")
        document = parse(earlier.text)
        current = versions[0]
        is_repeated = current.number == number + 1 and current.is_made_by(by, ROLLED_BACK, comment)
        may_be_done = current.number == number or is_repeated
        if may_be_done and current.has_rules_of(document | {"version": current.name}):
            return current
        document["version"] = unused_name(document["version"], {version.name for version in versions})
        return self.change(document, number, by, comment, ROLLED_BACK)

    def _write(
        self, current: RulesVersion, text: str, by: str, comment: str | None, action: str
    ) -> RulesVersion:
        at = self.clock()
        wanted = RulesVersion(current.number + 1, text, timestamp(at), by, action, comment)
        self._claim(wanted, current, at)
        try:
            number = self._put(text)
        except ClientError:
            # SSM has refused it. After any other error it may still happen, so the claim lapses by itself.
            self._record(wanted, current, until=0)
            raise
        if self._put_back_what_was_replaced(current.number, number, text):
            self._record(wanted, current, until=0)
            raise _changed_meanwhile(self.current())
        with suppress(ClientError, BotoCoreError):
            # The rules are in force, and the claim already says who made them.
            self._record(wanted, current, until=None)
        return RulesVersion(number, text, wanted.when, by, action, comment)

    def _claim(self, wanted: RulesVersion, current: RulesVersion, at: datetime) -> None:
        """Make sure that nobody else makes this version.

        Raises:
            StaleRulesError: Somebody else does.
        """
        try:
            self.dynamodb.put_item(
                TableName=self.history_table,
                Item=_item(wanted, current, int((at + timedelta(seconds=CLAIM_SECONDS)).timestamp())),
                # A claim that lapsed is of a change that was never made: the newest version would have its number. One
                # of the same change is the caller's own. If that one is still being made, both write the same text.
                ConditionExpression="attribute_not_exists(subject) OR #until < :now "
                "OR (attribute_exists(#until) AND #by = :by AND #new = :new)",
                ExpressionAttributeNames={"#until": "until", "#by": "by", "#new": "new"},
                ExpressionAttributeValues={
                    ":now": {"N": str(int(at.timestamp()))},
                    ":by": {"S": str(wanted.by)},
                    ":new": {"S": wanted.text},
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            raise StaleRulesError(
                current.number, "somebody else is changing the rules just now; read them again in a minute"
            ) from error

    def _finish_claims(self, in_ssm: list[RulesVersion], entries: dict[int, dict[str, Any]]) -> None:
        """Write the claims of changes that were made, and then interrupted, as changes that were made.

        While SSM still has their text. Later nothing could tell that they were made.
        """
        for version in in_ssm:
            item = entries.get(version.number)
            if item is not None and "until" in item and item["new"]["S"] == version.text:
                made = {name: value for name, value in item.items() if name != "until"}
                self.dynamodb.put_item(TableName=self.history_table, Item=made)

    def _record(self, wanted: RulesVersion, current: RulesVersion, until: int | None) -> None:
        """Write the change again, as one that was made (None), or as one that was not and holds nobody up (0)."""
        self.dynamodb.put_item(TableName=self.history_table, Item=_item(wanted, current, until))

    def _put(self, text: str) -> int:
        return self.ssm.put_parameter(
            Name=self.parameter, Value=text, Overwrite=True, Type="String", Tier=TIER
        )["Version"]

    def _put_back_what_was_replaced(self, last: int, number: int, text: str) -> bool:
        """Put into force again what others wrote between two versions. Return whether there was any."""
        others = self._between(last, number, text)
        if others is None:
            return False
        while others is not None:
            last, number, text = number, self._put(others.text), others.text
            others = self._between(last, number, text)
        return True

    def _between(self, last: int, number: int, text: str) -> RulesVersion | None:
        """Return the newest version between two that has another text. A repeated call wrote the same text twice."""
        if number == last + 1:
            return None
        stored = (version for version in self._stored() if last < version.number < number)
        return next((version for version in stored if version.text != text), None)

    def _stored(self) -> list[RulesVersion]:
        """Return the versions that SSM keeps, newest first."""
        pages = self.ssm.get_paginator("get_parameter_history").paginate(Name=self.parameter)
        versions = [
            RulesVersion(
                entry["Version"],
                entry["Value"],
                timestamp(entry["LastModifiedDate"]),
                _identity(entry.get("LastModifiedUser", "")),
            )
            for page in pages
            for entry in page["Parameters"]
        ]
        return sorted(versions, key=lambda version: version.number, reverse=True)

    def _entries(self) -> dict[int, dict[str, Any]]:
        """Return the changes of the history table by the number of the version that they make."""
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName=self.history_table,
            KeyConditionExpression="subject = :subject",
            ExpressionAttributeValues={":subject": {"S": SUBJECT}},
            ConsistentRead=True,
        )
        return {int(item["at_id"]["S"]): item for page in pages for item in page["Items"]}


def _identity(arn: str) -> str | None:
    """Return the name of an AWS identity; None if there is none."""
    return arn.rpartition("/")[2] if arn.startswith("arn:") else None


def _item(wanted: RulesVersion, current: RulesVersion, until: int | None) -> Any:
    """Return a change for the history table. Its key is the number that it makes, so that one number has one change."""
    texts = {
        "subject": SUBJECT,
        "at_id": f"{wanted.number:010d}",
        "at": wanted.when,
        "by": wanted.by,
        "action": wanted.action,
        "comment": wanted.comment,
        "old": current.text,
        "new": wanted.text,
    }
    item = {name: {"S": text} for name, text in texts.items() if text is not None}
    return item if until is None else item | {"until": {"N": str(until)}}


def _version(item: Mapping[str, Any]) -> RulesVersion:
    """Return the version that a change has made."""
    texts = {name: value["S"] for name, value in item.items() if "S" in value}
    return RulesVersion(
        int(texts["at_id"]), texts["new"], texts["at"], texts["by"], texts["action"], texts.get("comment")
    )


def _signed(version: RulesVersion, item: Mapping[str, Any] | None) -> RulesVersion:
    """Return a version with who made it, if that is known. Who wrote without a claim has another text."""
    return _version(item) if item is not None and item["new"]["S"] == version.text else version


def _valid(version: RulesVersion) -> dict[str, Any] | None:
    try:
        return parse(version.text)
    except RulesDocumentError:
        return None


def _refuse_used_name(document: _Document, versions: list[RulesVersion]) -> None:
    for version in versions:
        if version.name == document["version"] and not version.has_rules_of(document):
            raise RulesDocumentError(
                [
                    f"version: {document['version']!r} already names other rules (version {version.number} of the "
                    "parameter); give these a new name, because records name their rules by it"
                ]
            )


def _changed_meanwhile(current: RulesVersion) -> StaleRulesError:
    by = f", by {current.by}" if current.by else ""
    return StaleRulesError(
        current.number, f"the rules were changed meanwhile{by}: version {current.number} is in force"
    )
