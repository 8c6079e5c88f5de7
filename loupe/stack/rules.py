"""The rules that turn detections into a verdict, in their SSM parameter: read, check, change, and their history."""

from __future__ import annotations

import copy
import json
import shlex
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from contract import model_card
from contract.s3 import split
from localcloud.sources import PACKAGES, REPOSITORY
from loupe.errors import LoupeError
from loupe.stack import deployment
from loupe.stack.own_program import ask
from loupe.stack.target import Target

Document = dict[str, Any]

_CHECK_SECONDS = 60
_NAME_LENGTH = 64
# A model card has no score for review, so review begins at the same share of the fail score as in the default rules.
_REVIEW_SHARE = 0.6
LEFT = "They were left as they are. See them with `loupe rules show`, and try again."


@dataclass(frozen=True)
class RulesVersion:
    """A version of the parameter.

    Attributes:
        number: SSM's number, from 1 up.
        text: The document as it was written.
        when: When it was written.
        who: Who wrote it: a name, or an ARN.
        comment: What the person said about it.
    """

    number: int
    text: str
    when: datetime
    who: str
    comment: str = ""

    @property
    def document(self) -> Document | None:
        """The document; None if the text is not a JSON object."""
        try:
            document = json.loads(self.text)
        except ValueError:
            return None
        return document if isinstance(document, dict) else None

    @property
    def name(self) -> str | None:
        """The document's own version."""
        return (self.document or {}).get("version")

    def same_rules(self, document: Document) -> bool:
        """Return whether this is the same document, apart from a swap that is in progress."""
        return self.document is not None and _settled(self.document) == _settled(document)


@dataclass(frozen=True)
class CheckedRules:
    """A valid document.

    Attributes:
        document: The document.
        complete: The same with all values of each class.
        notes: What a person should know about it.
    """

    document: Document
    complete: Document
    notes: list[str] = field(default_factory=list)


def history(target: Target) -> list[RulesVersion]:
    """Return the versions that SSM keeps (the last 100), newest first.

    Raises:
        LoupeError: The parameter does not exist.
    """
    name = target.output("RulesParameterName")
    try:
        pages = target.ssm.get_paginator("get_parameter_history").paginate(Name=name)
        entries = [entry for page in pages for entry in page["Parameters"]]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        raise LoupeError(f"the parameter {name} does not exist", "Deploy template.yaml again.") from error
    versions = [
        RulesVersion(
            entry["Version"], entry["Value"], entry["LastModifiedDate"], entry.get("LastModifiedUser", "")
        )
        for entry in entries
    ]
    return sorted(versions, key=lambda version: version.number, reverse=True)


def read(source: str, target: Target | None) -> str:
    """Return the text of a document.

    Args:
        source: A file, an S3 URI, or `-` for standard input.
        target: Where an S3 URI is read; None if there is no cloud.

    Raises:
        LoupeError: It cannot be read.
    """
    if source == "-":
        return sys.stdin.read()
    if source.startswith("s3://"):
        return _read_object(source, target)
    try:
        return Path(source).read_text()
    except UnicodeDecodeError as error:
        raise LoupeError(f"{source} is not a text", "Rules are a JSON document (docs/rules.md).") from error


def _read_object(uri: str, target: Target | None) -> str:
    if target is None:
        raise LoupeError(f"{uri} cannot be read without a cloud", "Give a file.")
    try:
        bucket, key = split(uri)
        return target.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    except (ClientError, ValueError) as error:
        raise LoupeError(f"{uri} cannot be read: {error}", "Check the bucket and the key.") from error


def proposed_by_model(archive: Path) -> str:
    """Return rules made of the operating points in a model's card; empty if it has none.

    Raises:
        LoupeError: The file is not a model.
    """
    card = deployment.read_card(archive)
    classes = {}
    for label, point in card.get("operating_points", {}).items():
        score = point["score"]
        classes[label] = {"fail_score": score, "review_score": round(score * _REVIEW_SHARE, 4)}
    name = f"{card['name']}-{model_card.version(card)}"[:_NAME_LENGTH]
    return json.dumps({"version": name, "classes": classes}) if classes else ""


def command_for_model(archive: Path, options: str) -> str | None:
    """Return the command that applies a model's operating points; None if its card has none.

    Args:
        archive: A model.tar.gz.
        options: The options with which another command works on the same target.

    Raises:
        LoupeError: The file is not a model.
    """
    if not proposed_by_model(archive):
        return None
    return f"loupe rules set --scores {shlex.quote(str(archive))}{options}"


def check(text: str) -> CheckedRules:
    """Check a document by the code that applies it.

    Raises:
        LoupeError: It is not valid. The message has one line for each problem.
    """
    answer = _ask({"new": text, "current": None})
    return _checked(answer, "the rules are not valid")


def in_place_of(text: str, current: RulesVersion) -> CheckedRules:
    """Check a document that is to replace the rules in force. A swap that is in progress keeps its scores.

    Raises:
        LoupeError: It is not valid.
    """
    return _checked(_ask({"new": text, "current": current.text}), "the rules are not valid")


def renamed(text: str, versions: list[RulesVersion]) -> CheckedRules:
    """Check a document that is to replace the rules in force under a name that no other rules have.

    Args:
        text: The document.
        versions: Of the parameter, newest first.

    Raises:
        LoupeError: It is not valid.
    """
    used = [version.name for version in versions]
    return _checked(_ask({"new": text, "current": versions[0].text, "used": used}), "the rules are not valid")


def with_scores(text: str, versions: list[RulesVersion]) -> CheckedRules:
    """Return the rules in force with the scores of a document; everything else stays.

    Args:
        text: A document, of which only the scores of its classes count.
        versions: Of the parameter, newest first.

    Raises:
        LoupeError: The document or the rules in force are not valid.
    """
    proposed = check(text).document
    current, name = versions[0], str(proposed["version"])
    used = {version.name for version in versions}
    for number in range(2, len(used) + 3):
        answer = _ask({"new": text, "current": current.text, "scores_as": name})
        checked = _checked(answer, "the scores cannot be put into the rules")
        if not any(v.name == name and not v.same_rules(checked.document) for v in versions):
            break
        suffix = f"-{number}"
        name = f"{proposed['version'][: _NAME_LENGTH - len(suffix)]}{suffix}"
    return checked


def _checked(answer: Document, what: str) -> CheckedRules:
    if problems := answer["problems"]:
        raise LoupeError("\n".join([f"{what}:", *problems]), "docs/rules.md explains each name.")
    return CheckedRules(answer["document"], answer["rules"], answer["notes"])


def _ask(request: Document) -> Document:
    """Ask the functions' own program, because only it has the model of the rules."""
    path = [REPOSITORY / "functions", PACKAGES]
    return ask("inspection.check_rules", request, path, _CHECK_SECONDS, "the rules cannot be checked")


def refuse_used_name(document: Document, versions: list[RulesVersion]) -> None:
    """Check that the document's version names no other rules, because records name rules by it.

    Raises:
        LoupeError: It does.
    """
    for version in versions:
        if version.name == document["version"] and not version.same_rules(document):
            raise LoupeError(
                f"the version {document['version']!r} already names other rules "
                f"(version {version.number} of the parameter)",
                "Give the changed document a new `version`: records name their rules by it.",
            )


def put(target: Target, document: Document, base: RulesVersion) -> int:
    """Put a valid document into force, unless somebody else has changed the rules since.

    This writes the parameter itself, as a swap of the model needs it. SSM has no conditional write. If another write
    came in between after all, that one is put into force again.

    Args:
        target: The stack.
        document: The rules.
        base: The version that was in force when the document was made.

    Returns:
        The number of the parameter's new version.

    Raises:
        LoupeError: Somebody else has changed the rules.
    """
    latest = history(target)[0]
    if latest.number != base.number:
        raise _changed_meanwhile(latest)
    number = _write(target, to_text(document))
    if number != base.number + 1:
        other = next(version for version in history(target) if version.number == number - 1)
        _write(target, other.text)
        raise _changed_meanwhile(other)
    return number


def to_text(document: Document) -> str:
    """Return the text of a document, as it is written into the parameter."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _write(target: Target, text: str) -> int:
    try:
        # Intelligent-Tiering: a document above 4 KiB needs an advanced parameter.
        return target.ssm.put_parameter(
            Name=target.output("RulesParameterName"),
            Value=text,
            Type="String",
            Overwrite=True,
            Tier="Intelligent-Tiering",
        )["Version"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        raise LoupeError(
            f"SSM refused the rules: {error.response['Error']['Message']}", "A parameter holds at most 8 KiB."
        ) from error


def _changed_meanwhile(version: RulesVersion) -> LoupeError:
    return LoupeError(
        f"the rules were changed meanwhile, by {version.who or 'somebody else'} (version {version.number})",
        LEFT,
    )


def _settled(document: Document) -> Document:
    """Return a document without the scores of a swap that is in progress."""
    return {name: value for name, value in copy.deepcopy(document).items() if name != "candidate"}
