"""What a run has tried of the promises in docs/promises.yaml: the mark `promise`, the fixture `tried`, the last line.

A test with `@pytest.mark.promise(1, 28)` proves rows 1 and 28. It tells by `tried(inputs=..., faults=..., images=...)`
what it has tried. A test that tells nothing counts as one input, and one of hypothesis as as many as it has examples.

Each run writes its counts to build/promises/; `python -m docs.reliability --record` takes them into the page.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

RECORDS = Path(__file__).parents[1] / "build" / "promises"
_HYPOTHESIS = "_loupe_examples"


@dataclass
class Tried:
    """What was tried.

    Attributes:
        inputs: The inputs that were given to the product, good or bad.
        faults: The faults that were injected while it worked.
        images: The images that were sent through the whole chain.
    """

    inputs: int = 0
    faults: int = 0
    images: int = 0

    def add(self, other: Tried) -> None:
        """Add what another test has tried."""
        self.inputs += other.inputs
        self.faults += other.faults
        self.images += other.images

    @property
    def total(self) -> int:
        """The sum of all three."""
        return self.inputs + self.faults + self.images

    def __str__(self) -> str:
        """Name the three that are not zero, as `inputs 1,237, images 12`."""
        return ", ".join(f"{name} {count:,}" for name, count in asdict(self).items() if count)


def last_line(rows: Iterable[int], tried: Tried, failed: int) -> str:
    """Return the last line of a run.

    Args:
        rows: The promises that were tried.
        tried: What was tried in the whole run.
        failed: How many tests or inputs have broken a promise.
    """
    return f"promises {len(set(rows))} · tried {tried.total:,} ({tried}) · failed {failed}"


def record(suite: str, counts: Mapping[int, Mapping[str, Tried]]) -> None:
    """Write what the tests of a suite have tried. What else the suite has tried earlier stays.

    Args:
        suite: The suite's name, as `test`, `chaos`, `soak`, `fuzz`.
        counts: What was tried, by the promise's row and the test's id (`tests/unit/test_x.py::test_y`).
    """
    RECORDS.mkdir(parents=True, exist_ok=True)
    file = RECORDS / f"{suite}.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    for row, tests in counts.items():
        kept.setdefault(str(row), {}).update({test: asdict(tried) for test, tried in tests.items()})
    file.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


class Tell(Protocol):
    """The fixture `tried`."""

    def __call__(self, *, inputs: int = 0, faults: int = 0, images: int = 0) -> None:
        """Say what the test has tried, once or several times."""


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Tell:
    """Tell what this test has tried: `tried(images=530, faults=2)`."""

    def tell(*, inputs: int = 0, faults: int = 0, images: int = 0) -> None:
        request.node.user_properties.append(("tried", [inputs, faults, images]))

    return tell


def pytest_configure(config: pytest.Config) -> None:
    """Let the process that reports count."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Count(config), "promises-count")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Count the examples of a test of hypothesis, and note the rows that a test proves."""
    rows = sorted({row for mark in item.iter_markers("promise") for row in mark.args})
    item.user_properties.append(("promises", rows))
    examples = _counted_examples(item)
    before = len(examples)
    try:
        return (yield)
    finally:
        if len(examples) > before:
            item.user_properties.append(("tried", [len(examples) - before, 0, 0]))


def _counted_examples(item: pytest.Item) -> list[None]:
    """Return a list that grows with each example of a test of hypothesis."""
    handle = getattr(getattr(item, "obj", None), "hypothesis", None)
    inner = getattr(handle, "inner_test", None)
    if inner is None:
        return []
    if not hasattr(inner, _HYPOTHESIS):
        examples: list[None] = []

        @functools.wraps(inner)
        def counting(*arguments: Any, **named: Any) -> Any:
            examples.append(None)
            return inner(*arguments, **named)

        setattr(counting, _HYPOTHESIS, examples)
        handle.inner_test = counting  # type: ignore[union-attr]
    found: list[None] = getattr(handle.inner_test, _HYPOTHESIS)  # type: ignore[union-attr]
    return found


class _Count:
    """Collects the reports of all processes, and prints the last line."""

    def __init__(self, config: pytest.Config) -> None:
        self.suite = _suite(config.getoption("markexpr"))
        self.rows: dict[int, dict[str, Tried]] = {}
        self.tried = Tried()
        self.failed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed += report.failed
        if report.when != "call" or report.skipped:
            return
        properties: list[tuple[str, Any]] = list(report.user_properties)
        told = [Tried(*counts) for name, counts in properties if name == "tried"] or [Tried(inputs=1)]
        rows = {row for name, value in properties if name == "promises" for row in value}
        test = re.sub(r"\[.*", "", report.nodeid, flags=re.DOTALL)
        for counts in told:
            self.tried.add(counts)
            for row in rows if report.passed else ():
                self.rows.setdefault(row, {}).setdefault(test, Tried()).add(counts)

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        if self.rows or self.failed:
            record(self.suite, self.rows)
            config.get_terminal_writer().line(last_line(self.rows, self.tried, self.failed))


def _suite(marks: str) -> str:
    """Return the name of the suite that an expression of marks selects."""
    return marks if marks.isidentifier() else "test"
