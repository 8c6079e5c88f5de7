"""DataProcessing of a transform job: parts of JSON records by JSONPath, and the join of a record with its answer.

https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
"""

import json
import re
from typing import Any

_STEP = re.compile(r"\.?\[(?P<inside>[^\]]*)\]|\.(?P<name>[^.\[\]]+)")
_SLICE = re.compile(r"(-?\d+)?:(-?\d+)?")
_OUTPUT, _INPUT = "SageMakerOutput", "SageMakerInput"


class FilterError(Exception):
    """A path is not one that SageMaker knows, or a record does not have what it names."""


class _All:
    """The wildcard."""


# A child, several children, an index, several indexes, an array slice, every child.
_Step = str | tuple[str, ...] | int | tuple[int, ...] | slice | _All


def parse(path: str) -> list[_Step]:
    """Return the steps of a JSONPath, as far as SageMaker supports them.

    Args:
        path: Such as `$`, `$.id`, `$['id','SageMakerOutput']`, `$[0,2]`, `$[1:]` or `$.items.*`.

    Raises:
        FilterError: It is none of them.
    """
    steps: list[_Step] = []
    if not path.startswith("$"):
        raise FilterError(f"{path} must begin with $")
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise FilterError(f"{path} is not a JSONPath that SageMaker supports")
        steps.append(_step(match["name"] if match["inside"] is None else match["inside"], path, match))
        position = match.end()
    return steps


def _step(text: str, path: str, match: re.Match[str]) -> _Step:
    text = text.strip()
    if text == "*":
        return _All()
    if match["name"] is not None:
        return text
    if _SLICE.fullmatch(text):
        first, _, last = text.partition(":")
        # The last element belongs to it: "$[1:4] specifies the second through fifth columns".
        end = int(last) + 1 if last else 0
        return slice(int(first) if first else None, end or None)
    parts = [part.strip() for part in text.split(",")]
    if all(re.fullmatch(r"-?\d+", part) for part in parts):
        numbers = tuple(int(part) for part in parts)
        return numbers if len(numbers) > 1 else numbers[0]
    if all(re.fullmatch(r"'[^']+'", part) for part in parts):
        names = tuple(part[1:-1] for part in parts)
        return names if len(names) > 1 else names[0]
    raise FilterError(f"{path} is not a JSONPath that SageMaker supports")


def select(path: str, record: Any) -> Any:
    """Return the part of a record that a path names.

    Args:
        path: A JSONPath.
        record: The record, read from JSON.

    Raises:
        FilterError: The record does not have it.
    """
    try:
        return _select(parse(path), record)
    except (LookupError, TypeError, AttributeError) as error:
        raise FilterError(f"the record has no {path}") from error


def _select(steps: list[_Step], value: Any) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, _All):
        items = value.values() if isinstance(value, dict) else value
        return [_select(rest, item) for item in items]
    if isinstance(step, tuple):
        if isinstance(step[0], str):
            return _select(rest, {name: value[name] for name in step})
        return _select(rest, [value[index] for index in step])
    return _select(rest, value[step])


def filtered(path: str, record: bytes) -> bytes:
    """Return a JSON record with only the part that a path names; as it is for `$`.

    Raises:
        FilterError: It is no JSON, or does not have that part.
    """
    return record if path == "$" else _written(select(path, _read(record)))


def output(processing: dict[str, str], record: bytes, answer: bytes) -> bytes:
    """Return what is stored for a record.

    Args:
        processing: The DataProcessing of the job.
        record: The input, before InputFilter.
        answer: The container's answer.

    Raises:
        FilterError: Something is no JSON, or does not have what OutputFilter names.
    """
    path = processing["OutputFilter"]
    if processing["JoinSource"] != "Input":
        return filtered(path, answer)
    given, found = _read(record), _read(answer)
    joined = given | {_OUTPUT: found} if isinstance(given, dict) else {_INPUT: given, _OUTPUT: found}
    return _written(select(path, joined))


def _read(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise FilterError("a record is not JSON") from error


def _written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
