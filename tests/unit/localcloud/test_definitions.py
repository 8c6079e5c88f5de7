"""The table of what actions need agrees with itself, with its sources, and with template.yaml."""

import json
import re
from importlib import resources

import pytest

from localcloud.permissions.definitions import any_resource, definition
from tests.permissions.definitions import as_list, statements, used_actions

FOLDER = resources.files("localcloud.permissions")
ACTIONS = json.loads((FOLDER / "actions.json").read_text())["actions"]
NEEDS = json.loads((FOLDER / "supplement.json").read_text())["needs"]


def test_every_action_that_a_role_or_the_supplement_names_is_in_the_table() -> None:
    missing = used_actions() - set(ACTIONS)
    assert not missing, "run make permissions"


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: f"{need['action']}-{need['needs']}")
def test_every_need_that_the_reference_does_not_list_has_its_source(need: dict[str, str]) -> None:
    assert re.match(r"https://(docs\.aws\.amazon\.com|github\.com)/", need["source"])
    assert need["needs"] not in ACTIONS[need["action"]]["dependent"], "the reference lists it by now"


def test_every_condition_of_a_role_is_on_keys_that_its_actions_have() -> None:
    for role, statement in statements():
        for keys in statement.get("Condition", {}).values():
            for key in keys:
                for action in as_list(statement["Action"]):
                    known = definition(action).conditions or ()
                    assert key.lower().startswith("aws:") or key in known, (role, action, key)


def test_what_supports_no_resource_is_allowed_on_everything() -> None:
    for role, statement in statements():
        for action in as_list(statement["Action"]):
            if any_resource(action, "r", "a") == "*":
                assert statement["Resource"] == "*", (role, action)
