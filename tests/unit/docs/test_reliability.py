"""docs/reliability.md names every promise, and the tests that prove it."""

import ast
import json
from pathlib import Path

import pytest

from docs import reliability
from tests import promises


def test_the_page_is_what_the_program_writes() -> None:
    """`python -m docs.reliability` writes it anew."""
    assert reliability.PAGE.read_text("utf-8") == reliability.page()


def test_every_promise_has_a_test_and_every_mark_names_a_promise() -> None:
    assert reliability.proofs().keys() == {promise.row for promise in reliability.promises()}


def test_the_counts_are_those_of_tests_that_exist() -> None:
    counted = {test for tests in reliability.recorded().values() for test in tests}
    assert counted <= reliability.tests().keys()


@pytest.mark.parametrize(
    ("code", "rows"),
    [
        ("@pytest.mark.promise(1, 28)\ndef test_x(): ...", {"test_x": {1, 28}}),
        ("pytestmark = [pytest.mark.slow, pytest.mark.promise(3)]\ndef test_x(): ...", {"test_x": {3}}),
        (
            "@pytest.mark.promise(4)\nclass TestX:\n    @pytest.mark.promise(5)\n    def test_y(self): ...",
            {"TestX::test_y": {4, 5}},
        ),
        ('TARGET = Target("images", (20, 33), seeds)', {"TARGET": {20, 33}}),
        ("@pytest.mark.promise(6)\ndef helper(): ...\ndef test_x(): ...", {"test_x": set()}),
    ],
)
def test_marks_of_functions_classes_and_files_are_found(code: str, rows: dict[str, set[int]]) -> None:
    assert dict(reliability.marked(ast.parse(code))) == rows


def test_a_run_keeps_the_counts_of_the_tests_that_it_did_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promises, "RECORDS", tmp_path)
    promises.record("chaos", {1: {"a": promises.Tried(images=3), "b": promises.Tried(faults=1)}})
    promises.record("chaos", {1: {"b": promises.Tried(faults=2)}, 2: {}})
    kept = json.loads((tmp_path / "chaos.json").read_text())
    assert (kept["1"]["a"]["images"], kept["1"]["b"]["faults"], kept["2"]) == (3, 2, {})


def test_the_last_line_says_promises_tried_and_failed() -> None:
    tried = promises.Tried(inputs=1237, images=12)
    assert (
        promises.last_line([1, 28, 28], tried, 0)
        == "promises 2 · tried 1,249 (inputs 1,237, images 12) · failed 0"
    )
