"""The text of a rules document: reading and writing it, what is wrong with it in words, and other scores in it."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Container, Iterator, Mapping
from typing import Any, Literal

from pydantic import ValidationError

from inspection.rules import ClassScores, Rules

# By pydantic's type of an error (https://docs.pydantic.dev/latest/errors/validation_errors/); {} are its details.
_PROBLEMS = {
    "missing": "is missing",
    "extra_forbidden": "is not a known name",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "greater_than": "must be above {gt:g}",
    "less_than": "must be below {lt:g}",
    "finite_number": "must be a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "value_error": "{error}",
}


# An advanced parameter holds 8 KiB; Intelligent-Tiering makes one of what is above 4 KiB:
# https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
MOST_BYTES = 8192
TIER: Literal["Intelligent-Tiering"] = "Intelligent-Tiering"
_NAME_LENGTH = 64


class RulesDocumentError(ValueError):
    """A text is not a valid rules document.

    Attributes:
        problems: Sentences, each with its place in the document.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse(text: str) -> dict[str, Any]:
    """Return the document of a text, unchanged, if it is valid.

    Raises:
        RulesDocumentError: It is not.

    >>> parse('{"version": "1", "classes": {"scratch": {"fail_score": 1.5}}}')
    Traceback (most recent call last):
    ...
    inspection.rules_document.RulesDocumentError: classes.scratch.fail_score: must be at most 1
    """
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RulesDocumentError([f"it is not JSON: {error.msg} in {place}"]) from error
    except RulesDocumentError:
        raise
    # A number of thousands of digits, or thousands of lists in each other.
    except (ValueError, RecursionError) as error:
        raise RulesDocumentError(
            ["it is not JSON that can be read: too many digits, or nested too deeply"]
        ) from error
    if not isinstance(document, dict):
        raise RulesDocumentError(["it must be a JSON object"])
    validate(document)
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RulesDocumentError([f"the name {twice!r} appears twice in one object"])
    return document


def to_text(document: Mapping[str, Any]) -> str:
    """Return the text of a document, as it is written into the parameter.

    Raises:
        RulesDocumentError: It is too long.
    """
    text = _compact(document)
    if (size := len(text.encode())) > MOST_BYTES:
        sizes = {name: len(_compact(value).encode()) for name, value in document.items()}
        largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:2]
        named = " and ".join(f"{name} has {sizes[name]:,}" for name in largest)
        raise RulesDocumentError(
            [
                f"it has {size:,} bytes, and a parameter holds {MOST_BYTES:,}: {named}. Give zones fewer points or "
                "digits, and put what classes share into `default`"
            ]
        )
    return text


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def complete(rules: Rules) -> dict[str, Any]:
    """Return the rules with all values of each class."""
    document = rules.model_dump(mode="json", exclude_none=True)
    classes = {
        label: rules.rule("", label).model_dump(mode="json", exclude_none=True) for label in rules.classes
    }
    return document | {"classes": classes}


def settled(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without the scores of a swap that is in progress."""
    return {name: value for name, value in document.items() if name != "candidate"}


def in_place_of(document: Mapping[str, Any], current: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a document becomes when it replaces the rules in force: a swap in progress keeps its scores.

    The candidate belongs to the swap, and not to the person who changes the rules.

    Args:
        document: A valid one.
        current: The rules in force; None if they are not valid.

    Raises:
        RulesDocumentError: The candidate's scores do not fit into it, or it is too long.
    """
    wanted = settled(document)
    if current and "candidate" in current:
        wanted["candidate"] = current["candidate"]
        validate(wanted)
    to_text(wanted)
    return wanted


def unused_name(name: str, used: Container[str | None]) -> str:
    """Return a version name that names no other rules yet: this one, or with a number after it.

    >>> unused_name("steel", {"steel", "steel-2"})
    'steel-3'
    """
    names = (f"{name[: _NAME_LENGTH - len(suffix)]}{suffix}" for suffix in _suffixes())
    return next(wanted for wanted in names if wanted not in used)


def _suffixes() -> Iterator[str]:
    yield ""
    yield from (f"-{number}" for number in itertools.count(2))


def validate(document: Mapping[str, Any]) -> Rules:
    """Return the rules of a document.

    Raises:
        RulesDocumentError: It is not valid.
    """
    try:
        return Rules.model_validate(document)
    except ValidationError as error:
        raise RulesDocumentError(list(problems(error))) from error


def problems(error: ValidationError) -> Iterator[str]:
    """Yield what is wrong, each with its place in the document."""
    for details in error.errors():
        yield describe_problem(details)


def describe_problem(details: Mapping[str, Any]) -> str:
    """Return one of pydantic's errors in words, with its place."""
    place = ".".join(map(str, details["loc"]))
    template = _PROBLEMS.get(details["type"])
    text = template.format(**details.get("ctx", {})) if template else details["msg"]
    return f"{place}: {text}" if place else text


def scores_of(proposal: Mapping[str, Any]) -> dict[str, ClassScores]:
    """Return the scores that a document proposes for its classes.

    Raises:
        RulesDocumentError: The document is not valid, or proposes nothing.
    """
    rules = validate(proposal)
    scores = {}
    for label, change in rules.classes.items():
        if change.fail_score is not None or change.review_score is not None:
            rule = rules.rule("", label)
            scores[label] = ClassScores(fail_score=rule.fail_score, review_score=rule.review_score)
    if not scores:
        raise RulesDocumentError(["classes: no class has a fail_score or a review_score"])
    return scores


def with_scores(
    document: Mapping[str, Any], version: str, scores: Mapping[str, ClassScores]
) -> dict[str, Any]:
    """Return a document with other scores for some classes; what else it says stays as it is written.

    Args:
        document: A valid one.
        version: The name of the new document.
        scores: By class.

    Raises:
        RulesDocumentError: The document is not valid.
    """
    rules = validate(document).with_scores(version, scores)
    changed = copy.deepcopy({**document, "version": version})
    changed.pop("candidate", None)
    classes = changed.setdefault("classes", {})
    for label in scores:
        change = rules.classes[label]
        classes[label] = {
            **classes.get(label, {}),
            "fail_score": change.fail_score,
            "review_score": change.review_score,
        }
    validate(changed)
    return changed


def notes(rules: Rules, scores: Mapping[str, ClassScores]) -> list[str]:
    """Return what a person should know about scores that are put into rules: where a line has its own."""
    texts = []
    for line, changes in rules.lines.items():
        for label, change in changes.items():
            if label not in scores and (label != "default" or not scores.keys() - changes.keys()):
                continue
            own = {"fail_score": change.fail_score, "review_score": change.review_score}
            kept = " and ".join(f"{name} {value:g}" for name, value in own.items() if value is not None)
            if kept:
                whom = "the classes that it does not name" if label == "default" else label
                texts.append(f"{line} keeps its own {kept} for {whom}")
    for label, proposed in scores.items():
        change = rules.with_scores(rules.version, scores).classes[label]
        if change.fail_score != proposed.fail_score:
            texts.append(
                f"{label} fails from {change.fail_score:g} instead of {proposed.fail_score:g}, because a line's "
                "review_score is higher; between them it goes to review"
            )
        if change.review_score != proposed.review_score:
            texts.append(
                f"{label} goes to review from {change.review_score:g} instead of {proposed.review_score:g}, "
                "because a line's fail_score is lower"
            )
    return texts
