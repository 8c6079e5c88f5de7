"""Filter patterns of CloudWatch Logs: which messages they match.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import fnmatch
import json
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

Matcher = Callable[[str], bool]
_Test = Callable[[Any], bool]

_TERM = re.compile(r'\s*([-?+]?)(?:"((?:[^"\\]|\\.)*)"|%([^%]+)%|([^\s"]+))')
_TOKEN = re.compile(
    r"""\s*(?: (?P<sign>&&|\|\||\(|\)|!=|>=|<=|=|>|<)
             | (?P<selector>\$(?:\.[\w@\-]+|\.?\[(?:\d+|\*|'[^']*'|"[^"]*")\])*)
             | "(?P<quoted>(?:[^"\\]|\\.)*)"
             | %(?P<expression>[^%]+)%
             | (?P<word>[^\s()=<>!&|"]+) )""",
    re.VERBOSE,
)
_STEP = re.compile(r"\.([\w@\-]+)|\.?\[(?:(\d+|\*)|'([^']*)'|\"([^\"]*)\")\]")
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class PatternError(ValueError):
    """A pattern that CloudWatch does not know, or the local cloud does not; the message says which part."""


def compile_pattern(pattern: str) -> Matcher:
    """Return what says whether a message matches.

    Terms are case-sensitive and all needed; one of those with a question mark is enough, and one with a minus must not
    be there. A pattern in braces is about the fields of a message in JSON.

    Args:
        pattern: The pattern; an empty one matches every message.

    Raises:
        PatternError: It is not a pattern, or one of space-delimited fields.

    >>> compile_pattern('ERROR "line 4"')("ERROR in line 4")
    True
    >>> compile_pattern('{ $.level = "WARN*" && $.size > 3 }')('{"level": "WARNING", "size": 4}')
    True
    """
    pattern = pattern.strip()
    if pattern.startswith("{"):
        if not pattern.endswith("}"):
            raise PatternError("it has no closing brace")
        return _of_json(_Fields(pattern[1:-1]).test())
    if pattern.startswith("["):
        raise PatternError(
            "the local cloud has no patterns of space-delimited fields; use terms, or { $.field = … }"
        )
    return _of_terms(pattern)


def _of_terms(pattern: str) -> Matcher:
    needed: list[Matcher] = []
    optional: list[Matcher] = []
    refused: list[Matcher] = []
    position = 0
    while position < len(pattern):
        found = _TERM.match(pattern, position)
        if found is None:
            raise PatternError(f"{pattern[position:]!r} is not a term")
        position = found.end()
        sign, quoted, expression, word = found.groups()
        kind = {"-": refused, "?": optional}.get(sign, needed)
        kind.append(
            _regular(expression) if expression else _contains(word if quoted is None else _unescaped(quoted))
        )
    # Beside other terms, those with a question mark are ignored.
    if needed or refused:
        optional = []

    def matches(message: str) -> bool:
        return (
            all(term(message) for term in needed)
            and not any(term(message) for term in refused)
            and (not optional or any(term(message) for term in optional))
        )

    return matches


def _contains(text: str) -> Matcher:
    return lambda message: text in message


def _regular(expression: str) -> Matcher:
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise PatternError(f"%{expression}% is not a regular expression: {error}") from None
    return lambda message: compiled.search(message) is not None


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _of_json(test: _Test) -> Matcher:
    def matches(message: str) -> bool:
        try:
            document = json.loads(message)
        except ValueError:
            return False
        return isinstance(document, dict) and test(document)

    return matches


class _Fields:
    """Reads what stands between the braces: comparisons with &&, || and parentheses."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._position = 0

    def test(self) -> _Test:
        """Return the whole condition. Raises PatternError."""
        test = self._any()
        if self._position < len(self._tokens):
            raise PatternError(f"{self._tokens[self._position][1]!r} is one word too many")
        return test

    def _any(self) -> _Test:
        tests = [self._all()]
        while self._takes("||"):
            tests.append(self._all())
        return lambda document: any(test(document) for test in tests)

    def _all(self) -> _Test:
        tests = [self._one()]
        while self._takes("&&"):
            tests.append(self._one())
        return lambda document: all(test(document) for test in tests)

    def _one(self) -> _Test:
        if self._takes("("):
            test = self._any()
            if not self._takes(")"):
                raise PatternError("a parenthesis is not closed")
            return test
        kind, selector = self._next()
        if kind != "selector":
            raise PatternError(f"{selector!r} is not a field; one is written $.name")
        steps = list(_steps(selector))
        kind, sign = self._next()
        if kind == "word" and sign.upper() in ("IS", "NOT"):
            return self._state(steps, sign.upper())
        if sign not in _ORDERS:
            raise PatternError(f"{sign!r} does not compare")
        compare = _comparison(sign, *self._next())
        return lambda document: any(compare(value) for value in _values(document, steps))

    def _state(self, steps: list[str | int], sign: str) -> _Test:
        _, word = self._next()
        if sign == "NOT" and word.upper() == "EXISTS":
            return lambda document: not list(_values(document, steps))
        wanted = {"TRUE": True, "FALSE": False, "NULL": None}
        if sign == "NOT" or word.upper() not in wanted:
            raise PatternError(f"{sign} {word} is not a state: IS TRUE, IS FALSE, IS NULL, NOT EXISTS")
        state = wanted[word.upper()]
        return lambda document: any(value is state for value in _values(document, steps))

    def _takes(self, sign: str) -> bool:
        takes = self._tokens[self._position : self._position + 1] == [("sign", sign)]
        self._position += takes
        return takes

    def _next(self) -> tuple[str, str]:
        if self._position == len(self._tokens):
            raise PatternError("it ends too early")
        self._position += 1
        return self._tokens[self._position - 1]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position, text = 0, text.strip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            raise PatternError(f"{text[position:]!r} is not understood")
        yield found.lastgroup, found[found.lastgroup]
        position = found.end()


def _steps(selector: str) -> Iterator[str | int]:
    """Yield the names and places on the way to a field; -1 stands for every place."""
    for name, place, quoted, double in _STEP.findall(selector):
        if place:
            yield -1 if place == "*" else int(place)
        else:
            yield name or quoted or double


def _values(value: Any, steps: list[str | int]) -> Iterator[Any]:
    """Yield the values of a field: one, none if it is not there, or several of a list."""
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        inner = [value[step]] if isinstance(value, dict) and step in value else []
    elif isinstance(value, list):
        inner = value if step == -1 else value[step : step + 1]
    else:
        inner = []
    for each in inner:
        yield from _values(each, rest)


def _comparison(sign: str, kind: str, wanted: str) -> _Test:
    """Return what compares a value: as numbers if both are, else as texts in which * stands for any."""
    if kind in ("sign", "selector"):
        raise PatternError(f"{wanted!r} is not a value")
    if kind == "expression":
        matches = _regular(wanted)
        return lambda value: isinstance(value, str) and matches(value) is (sign == "=")
    text = _unescaped(wanted) if kind == "quoted" else wanted
    number = _number(text) if kind == "word" else None
    if number is None and sign not in ("=", "!="):
        raise PatternError(f"{sign} compares numbers, and {wanted!r} is none")
    glob = re.compile(fnmatch.translate(text.replace("[", "[[]").replace("?", "[?]")))

    def compare(value: Any) -> bool:
        if isinstance(value, bool | dict | list) or value is None:
            return False
        if number is not None and isinstance(value, int | float):
            return _ORDERS[sign](value, number)
        return sign in ("=", "!=") and (glob.match(str(value)) is not None) is (sign == "=")

    return compare


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
