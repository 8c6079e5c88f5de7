"""The fixture that executes the definition, each time on a new account."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonata.parser import Parser
from moto import mock_aws

from statemachine.definition import Definition, load
from tests.unit.statemachine.account import Fault
from tests.unit.statemachine.engine import ScriptedClients, run
from tests.unit.statemachine.scenarios import Outcome, Scenario, Start

DEFINITION = load()


@pytest.fixture(scope="session", autouse=True)
def _parse_once() -> Iterator[None]:
    """By default MiniStack parses an expression each time that it evaluates it."""
    usual, known = Parser.parse, dict[str, Any]()

    def parse(self: Parser, expression: str, *options: Any) -> Any:
        if expression not in known:
            known[expression] = usual(self, expression, *options)
        return known[expression]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parser, "parse", parse)
        yield


@pytest.fixture(scope="module")
def clients() -> Iterator[ScriptedClients]:
    with mock_aws():
        yield ScriptedClients()


@pytest.fixture
def start(clients: ScriptedClients, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Execute the definition on an account that the scenario prepares."""

    def start(
        scenario: Scenario = lambda account: None,
        fault: Fault | None = None,
        definition: Definition = DEFINITION,
    ) -> Outcome:
        account = clients.open_account()
        request = scenario(account) or {}
        account.fault = fault
        with monkeypatch.context() as patch:
            clients.patch_functions(patch)
            return Outcome(account, run(account, definition, patch, request))

    return start
