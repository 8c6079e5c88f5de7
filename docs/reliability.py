"""Writes the promises, their tests and what these have tried into docs/reliability.md: python -m docs.reliability

The promises stand in docs/promises.yaml, the tests name them by `@pytest.mark.promise(...)`, and docs/promises.json has
the counts. With --record the counts of the latest runs (build/promises/) are taken into docs/promises.json first.
"""

from __future__ import annotations

import argparse
import ast
import functools
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from typing_extensions import TypeIs

PAGE = Path(__file__).with_name("reliability.md")
ROOT = PAGE.parents[1]
PROMISES = PAGE.with_name("promises.yaml")
COUNTS = PAGE.with_name("promises.json")
LATEST = ROOT / "build" / "promises"
BEGIN, END = "<!-- promises -->", "<!-- /promises -->"
Counts = dict[str, dict[str, int]]
_WORDS = ("inputs", "faults", "images")


@dataclass(frozen=True)
class Promise:
    """A row.

    Attributes:
        row: Its number.
        promise: What Loupe promises.
        proof: How the tests prove it.
        missing: What no test proves yet; empty if all of it is proved.
    """

    row: int
    promise: str
    proof: str
    missing: str


def promises() -> list[Promise]:
    """Read docs/promises.yaml."""
    return [Promise(**row) for row in yaml.safe_load(PROMISES.read_text("utf-8"))]


def proofs() -> dict[int, list[str]]:
    """Return the tests of each row, as `tests/unit/test_x.py::TestY::test_z`, by name.

    Marks that a test gets while it runs, such as those of one parameter, are known from the counts.
    """
    found: dict[int, set[str]] = defaultdict(set)
    for test, rows in tests().items():
        for row in rows:
            found[row].add(test)
    for row, counts in recorded().items():
        found[row] |= counts.keys()
    return {row: sorted(tests) for row, tests in found.items()}


@functools.cache
def tests() -> dict[str, set[int]]:
    """Return the tests of every file that marks any, and the rows in their marks."""
    files = {file: file.read_text("utf-8") for file in sorted(ROOT.glob("tests/**/*.py"))}
    return {
        f"{file.relative_to(ROOT)}::{test}": rows
        for file, text in files.items()
        # Most of the files mark none, and to parse a file takes a hundred times as long as to read it.
        if "mark.promise" in text or "TARGET = " in text
        for test, rows in marked(ast.parse(text))
    }


def marked(module: ast.Module) -> Iterator[tuple[str, set[int]]]:
    """Yield each test of a file, as `TestY::test_z`, with the rows in its marks."""
    everywhere = {
        row
        for statement in module.body
        if isinstance(statement, ast.Assign)
        and any(ast.unparse(name) == "pytestmark" for name in statement.targets)
        for row in _rows(statement.value)
    }
    for statement in module.body:
        if isinstance(statement, ast.ClassDef):
            of_class = everywhere | _decorated(statement)
            for method in statement.body:
                if _is_test(method):
                    yield f"{statement.name}::{method.name}", of_class | _decorated(method)
        elif _is_test(statement):
            yield statement.name, everywhere | _decorated(statement)
        elif isinstance(statement, ast.Assign) and isinstance(call := statement.value, ast.Call):
            if ast.unparse(call.func) == "Target":
                # What `make fuzz` attacks: TARGET = Target(name, rows, ...).
                yield "TARGET", set(ast.literal_eval(call.args[1]))
        elif isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "TARGET":
            yield "TARGET", _fuzzed(statement.value)


def _fuzzed(target: ast.expr) -> set[int]:
    """Return the rows of a target of the fuzzer: `Target("images", (20,), ...)`."""
    return set(ast.literal_eval(target.args[1])) if isinstance(target, ast.Call) else set()


def _is_test(statement: ast.stmt) -> TypeIs[ast.FunctionDef]:
    return isinstance(statement, ast.FunctionDef) and statement.name.startswith("test_")


def _decorated(statement: ast.FunctionDef | ast.ClassDef) -> set[int]:
    return {row for decorator in statement.decorator_list for row in _rows(decorator)}


def _rows(expression: ast.expr) -> set[int]:
    """Return the numbers in each `pytest.mark.promise(...)` of an expression."""
    return {
        int(ast.literal_eval(argument))
        for call in ast.walk(expression)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.promise"
        for argument in call.args
    }


def recorded() -> dict[int, Counts]:
    """Return what the tests of each row have tried."""
    counts = json.loads(COUNTS.read_text("utf-8")) if COUNTS.exists() else {}
    return {int(row): tests for row, tests in counts.items()}


def record() -> None:
    """Take the counts of the latest runs. Those of tests that are no more leave."""
    counts, existing = recorded(), tests()
    for file in sorted(LATEST.glob("*.json")):
        for row, tried in json.loads(file.read_text("utf-8")).items():
            counts.setdefault(int(row), {}).update(tried)
    kept = {
        row: {test: tried for test, tried in sorted(of_row.items()) if test in existing}
        for row, of_row in sorted(counts.items())
    }
    COUNTS.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


def written() -> str:
    """Return the table of the promises, and the tests of each."""
    proving, counts, rows = proofs(), recorded(), promises()
    lines = ["| # | promise | proved | tried |", "|---|---|---|---|"]
    lines += [
        f"| [{row.row}](#promise-{row.row}) | {row.promise} | {_state(row, proving.get(row.row, []))} "
        f"| {_tried(counts.get(row.row, {}))} |"
        for row in rows
    ]
    for row in rows:
        lines += ["", f"### Promise {row.row}", "", f"{row.promise}. Proof: {row.proof}.", ""]
        lines += [f"**Not proved:** {row.missing}", ""] if row.missing else []
        lines += [f"- [`{_short(test)}`](../{test.split('::')[0]})" for test in proving.get(row.row, [])]
    return "\n".join(lines)


def _state(row: Promise, tests: list[str]) -> str:
    if not tests:
        return "no"
    return "partly" if row.missing else "yes"


def _tried(counts: Counts) -> str:
    sums = {word: sum(tried[word] for tried in counts.values()) for word in _WORDS}
    return ", ".join(f"{count:,} {word}" for word, count in sums.items() if count) or "not counted yet"


def _short(test: str) -> str:
    """Return a test's name without its folders."""
    file, _, name = test.partition("::")
    return f"{Path(file).name}::{name}"


def page() -> str:
    """Return the page as it should be."""
    head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    return f"{head}{BEGIN}\n{written()}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m docs.reliability", description=__doc__)
    parser.add_argument("--record", action="store_true", help="take the counts of the latest runs first")
    if parser.parse_args().record:
        record()
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
