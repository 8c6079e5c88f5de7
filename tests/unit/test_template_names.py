"""The names that a stack gives its resources: its own in the account, and for ever the same."""

import pytest
from ministack.services.cloudformation.engine import _evaluate_rules

from tests.unit.retraining.template import OWN, Stack
from tests.unit.test_template import TEMPLATE

DEFAULTS = {name: {"Value": str(parameter["Default"])} for name, parameter in TEMPLATE["Parameters"].items()}


def images_bucket(part: str) -> str:
    stack = Stack(refs={}, arns={}, parameters={"UniquePart": part})
    return str(stack.value(TEMPLATE["Resources"]["ImagesBucket"]["Properties"]["BucketName"]))


def test_a_new_stack_is_named_by_the_field_of_its_id_that_differs_most() -> None:
    assert images_bucket("first") == f"press-images-{OWN}"


def test_a_stack_from_before_the_choice_keeps_its_bucket() -> None:
    assert images_bucket("last") == "press-images-aaaaaaaaaaaa"


def test_a_stack_is_neither_created_nor_updated_without_that_choice() -> None:
    """An update would otherwise replace the buckets, and leave all images behind."""
    with pytest.raises(ValueError, match="UniquePart is missing: first for a new stack; last for one that"):
        _evaluate_rules(TEMPLATE, DEFAULTS, {})
    for part in ("first", "last"):
        _evaluate_rules(TEMPLATE, DEFAULTS | {"UniquePart": {"Value": part}}, {})
