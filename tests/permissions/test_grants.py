"""Each permission of each role is used by the product, or there is a reason why the local cloud cannot show it."""

import fnmatch
import json
from pathlib import Path

import pytest

from tests.permissions import grants

RECORDED = grants.read(Path(__file__).with_name("recorded.json"))
REASONS: dict[str, str] = json.loads(Path(__file__).with_name("reasons.json").read_text())
GRANTED = set(grants.granted().values())
pytestmark = pytest.mark.promise(25)


def reasoned(pattern: str) -> set[str]:
    """Return the grants that a reason is about, among those that no local cloud used."""
    return set(fnmatch.filter(GRANTED - RECORDED, pattern))


def test_every_permission_of_a_role_is_used_or_has_its_reason() -> None:
    unused = GRANTED - RECORDED
    for pattern in REASONS:
        unused -= reasoned(pattern)
    assert not unused, (
        "take them out of template.yaml, let a test use them (make record-permissions), or give a reason"
    )


def test_what_was_recorded_is_still_allowed() -> None:
    assert not RECORDED - GRANTED, "run make record-permissions, or take the lines out of recorded.json"


@pytest.mark.parametrize("pattern", REASONS)
def test_every_reason_is_needed(pattern: str) -> None:
    assert reasoned(pattern), "all that it is about is used by now, or is gone"


def test_the_void_parts_of_a_statement_are_no_permissions() -> None:
    """A statement of several actions and resources allows none of them on what it cannot be about."""
    about_models = {grant for grant in GRANTED if "sagemaker:CreateModel " in grant}
    assert about_models
    assert all(":model/" in grant for grant in about_models)
