"""Executions of the definition on accounts of their own."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from statemachine.definition import Definition, load
from tests.unit.statemachine.account import Fault
from tests.unit.statemachine.engine import Edge, run
from tests.unit.statemachine.ways import Ended, Prepare, Run

DEFINITION = load()


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with mock_aws():
        yield Edge()


@pytest.fixture
def start(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the definition on an account that a function has prepared; it returns what is wished for."""

    def start(
        prepare: Prepare = lambda account: None,
        fault: Fault | None = None,
        definition: Definition = DEFINITION,
    ) -> Ended:
        account = edge.open()
        wishes = prepare(account) or {}
        account.fault = fault
        with monkeypatch.context() as patch:
            edge.functions(patch)
            return Ended(account, run(account, definition, patch, **wishes))

    return start
