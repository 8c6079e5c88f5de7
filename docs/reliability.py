"""Writes the promises, their tests and what these have tried into docs/reliability.md: python -m docs.reliability

The promises stand in docs/promises.yaml, the tests name them by `@pytest.mark.promise(...)`, and docs/promises.json has
the counts. With --record the counts of the latest runs (build/promises/) are taken into docs/promises.json first.
"""

from __future__ import annotations

import argparse
import ast
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
    """Return the tests of each row, as `tests/unit/test_x.py::TestY::test_z`, in the order of files and lines."""
    found: dict[int, list[str]] = defaultdict(list)
    for file in sorted(ROOT.glob("tests/**/*.py")):
        text = file.read_text("utf-8")
        if "mark.promise(" in text or "\nTARGET = " in text:
            for test, rows in marked(ast.parse(text)):
                for row in sorted(rows):
                    found[row].append(f"{file.relative_to(ROOT)}::{test}")
    return found


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


def recorded() -> dict[str, dict[str, int]]:
    """Return what each test has tried, by its name."""
    counts: dict[str, dict[str, int]] = json.loads(COUNTS.read_text("utf-8")) if COUNTS.exists() else {}
    return counts


def record() -> None:
    """Take the counts of the latest runs; what is no test of a promise any more leaves."""
    counts = recorded()
    for file in sorted(LATEST.glob("*.json")):
        counts |= json.loads(file.read_text("utf-8"))
    named = {test for tests in proofs().values() for test in tests}
    kept = {test: tried for test, tried in counts.items() if test in named}
    COUNTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", "utf-8")


def written() -> str:
    """Return the table of the promises, and the tests of each."""
    tests, counts, rows = proofs(), recorded(), promises()
    lines = ["| # | promise | proved | tried |", "|---|---|---|---|"]
    lines += [
        f"| [{row.row}](#promise-{row.row}) | {row.promise} | {_state(row, tests[row.row])} "
        f"| {_tried(tests[row.row], counts)} |"
        for row in rows
    ]
    for row in rows:
        lines += ["", f"### Promise {row.row}", "", f"{row.promise}. Proof: {row.proof}.", ""]
        lines += [f"**Not proved:** {row.missing}", ""] if row.missing else []
        lines += [f"- [`{_short(test)}`](../{test.split('::')[0]})" for test in tests[row.row]]
    return "\n".join(lines)


def _state(row: Promise, tests: list[str]) -> str:
    if not tests:
        return "no"
    return "partly" if row.missing else "yes"


def _tried(tests: list[str], counts: dict[str, dict[str, int]]) -> str:
    sums = {word: sum(counts.get(test, {}).get(word, 0) for test in tests) for word in _WORDS}
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
