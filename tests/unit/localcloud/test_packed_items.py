"""Items of the local cloud's tables: kept packed, read as before, and saved at one moment."""

from __future__ import annotations

import copy
import json
import threading
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ministack.core.responses import AccountRegionScopedDict, request_scope
from ministack.services import dynamodb

from localcloud.ministack import packed_items
from localcloud.ministack.packed_items import Item, saved_text

SCOPE = ("000000000000", "us-east-1")
NAMES = (("image", "S"), ("serial", "S"), ("expires_at", "N"))
TEXT = st.text(max_size=20)
VALUES = st.recursive(
    st.one_of(
        st.builds(lambda text: {"S": text}, TEXT),
        st.builds(lambda number: {"N": str(number)}, st.integers()),
        st.builds(lambda flag: {"BOOL": flag}, st.booleans()),
    ),
    lambda inner: st.one_of(
        st.builds(lambda values: {"L": values}, st.lists(inner, max_size=4)),
        st.builds(lambda values: {"M": values}, st.dictionaries(TEXT, inner, max_size=4)),
    ),
    max_leaves=12,
)
TREES = st.dictionaries(
    st.one_of(st.sampled_from(["image", "serial", "expires_at", "\x00packed"]), TEXT), VALUES, min_size=1
)


@settings(max_examples=50, deadline=None)
@given(TREES)
def test_an_item_reads_like_the_dictionary_that_it_was(tree: dict[str, Any]) -> None:
    item = Item(tree, NAMES)
    assert item == tree
    assert tree == item
    assert item == Item(tree, ())
    assert {**item} == dict(item) == item.copy() == tree
    assert json.loads(json.dumps(item)) == tree
    assert (len(item), bool(item), list(item)) == (len(tree), True, list(tree))
    assert list(item.items()) == list(tree.items())
    for name in (*tree, "image", "serial", "expires_at", "missing"):
        assert item.get(name) == tree.get(name)
        assert (name in item) == (name in tree)
        if name in tree:
            assert item[name] == tree[name]


@settings(max_examples=25, deadline=None)
@given(st.lists(TREES, max_size=3))
def test_what_is_saved_is_what_was_stored(trees: list[dict[str, Any]]) -> None:
    state = {"tables": [Item(tree, NAMES) for tree in trees], "streams": trees}
    assert json.loads(saved_text(lambda: json.dumps(state))) == {"tables": trees, "streams": trees}


def test_a_copy_may_be_changed_and_a_stored_item_may_not() -> None:
    item = Item({"image": {"S": "a"}, "reasons": {"L": [{"S": "b"}]}}, NAMES)
    changed = copy.deepcopy(item)
    changed["reasons"]["L"].append({"S": "c"})
    assert item["reasons"] == {"L": [{"S": "b"}]}
    for change, *arguments in (
        ("__setitem__", "image", {"S": "c"}),
        ("update", {}),
        ("pop", "image"),
        ("setdefault", "image", {}),
    ):
        with pytest.raises(TypeError, match="replaced"):
            getattr(item, str(change))(*arguments)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A table of a MiniStack whose items are packed."""
    for name in ("_tables", "_ttl_settings", "_stream_records", "_stream_trimmed"):
        monkeypatch.setattr(dynamodb, name, AccountRegionScopedDict())
    for name in ("_set_item", "_restore_state", *packed_items._WRITES):
        monkeypatch.setattr(dynamodb, name, getattr(dynamodb, name))
    packed_items.apply()
    table: dict[str, Any] = {
        "TableName": "table",
        "TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/table",
        "pk_name": "image",
        "sk_name": None,
        "AttributeDefinitions": [{"AttributeName": "image", "AttributeType": "S"}],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        "items": defaultdict(dict),
    }
    dynamodb._tables.set_scoped(*SCOPE, "table", table)
    return table


def put(number: int) -> None:
    item = {"image": {"S": str(number)}, "verdict": {"S": "fail"}}
    with request_scope(*SCOPE):
        assert dynamodb._put_item({"TableName": "table", "Item": item})[0] == 200


def test_items_are_packed_when_they_are_written_and_when_they_are_restored(table: dict[str, Any]) -> None:
    put(1)
    assert isinstance(table["items"]["1"]["__no_sort__"], Item)
    saved = json.loads(saved_text(lambda: json.dumps(table)))
    dynamodb._tables.set_scoped(*SCOPE, "table", saved)
    dynamodb._restore_state(None)
    restored = dynamodb._tables.get_scoped(*SCOPE, "table")["items"]
    assert isinstance(restored["1"]["__no_sort__"], Item)
    assert restored["1"]["__no_sort__"]["verdict"] == {"S": "fail"}
    assert restored["2"] == {}, "a new partition begins empty"


@pytest.mark.promise(28)
def test_a_record_is_saved_together_with_its_change_in_the_stream(table: dict[str, Any]) -> None:
    """Whatever a kill takes, the alert of a record that is kept is still to come."""
    put(1)
    writer = threading.Thread(target=put, args=(2,))

    def encode() -> str:
        # As get_state does: the streams first, then the tables.
        changes = [len(each) for each in dynamodb._stream_records._data.values()]
        writer.start()
        # Without the lock it would end within a millisecond.
        writer.join(0.3)
        return json.dumps({"changes": changes, "items": table["items"]})

    saved = json.loads(saved_text(encode))
    writer.join()
    assert saved == {"changes": [1], "items": {"1": table["items"]["1"]}}
    assert set(table["items"]) == {"1", "2"}
