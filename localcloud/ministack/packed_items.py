"""Changes to MiniStack's DynamoDB: items are kept packed, and are saved together with what streams have yet to process.

MiniStack keeps an item as the tree of dictionaries that it came in: 30 KiB for a record of 3 KiB, which a year of
images turns into gigabytes, and each update copies the tree three times. Here an item is its compressed text, and
beside it the attributes by which it is found: keys of the table and of its indexes, and the time at which it expires.
Whoever reads another attribute gets the tree for as long as it is needed.
"""

from __future__ import annotations

import functools
import json
import re
import threading
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from ministack.services import dynamodb

# The trees of the items that were read last.
_UNPACKED_KEPT = 128
_MARK = "\x00packed"
_MARKED = re.compile(r'\{"\\u0000packed": (\d+)\}')
# What a write of DynamoDB runs in: the record and the change in the table's stream are saved both, or neither.
_WRITES = (
    *("_put_item", "_update_item", "_delete_item", "_batch_write_item", "_transact_write_items"),
    *("_execute_statement", "_batch_execute_statement", "_execute_transaction"),
)

Tree = dict[str, Any]
# Name and type of each attribute that is kept beside an item.
_Names = tuple[tuple[str, str], ...]


class Item(dict[str, Any]):
    """An item of a table, to be read like the dictionary that it was, and not to be changed.

    The dictionary itself holds the packed text, because the encoder of JSON takes one without entries for empty.
    """

    __slots__ = ("_names", "_values")
    __hash__ = None

    def __init__(self, tree: Tree, names: _Names) -> None:
        """Pack an item.

        Args:
            tree: The item.
            names: The attributes that are kept beside it.
        """
        super().__init__()
        dict.__setitem__(self, "", zlib.compress(json.dumps(tree).encode(), 1))
        self._names = names
        # None for an attribute that is missing, ... for one of another type.
        self._values = tuple((tree[name].get(kind, ...) if name in tree else None) for name, kind in names)

    @property
    def packed(self) -> bytes:
        """The item's compressed JSON."""
        return bytes(dict.__getitem__(self, ""))

    def tree(self) -> Tree:
        """Return the item as a dictionary of one's own."""
        tree: Tree = json.loads(zlib.decompress(self.packed))
        return tree

    def __getitem__(self, name: str) -> Any:
        for (known, kind), value in zip(self._names, self._values, strict=True):
            if known == name and value is not ...:
                if value is None:
                    raise KeyError(name)
                return {kind: value}
        return _unpacked(self.packed)[name]

    def get(self, name: str, default: Any = None) -> Any:
        """As of a dictionary."""
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        for (known, _), value in zip(self._names, self._values, strict=True):
            if known == name:
                return value is not None
        return name in _unpacked(self.packed)

    def __iter__(self) -> Iterator[str]:
        return iter(_unpacked(self.packed))

    def __len__(self) -> int:
        return len(_unpacked(self.packed))

    def keys(self) -> Any:
        """As of a dictionary."""
        return _unpacked(self.packed).keys()

    def values(self) -> Any:
        """As of a dictionary."""
        return _unpacked(self.packed).values()

    def items(self) -> Any:
        """As of a dictionary; while the state is saved, a mark in the place of the item."""
        if _saving.packed is not None and threading.get_ident() == _saving.thread:
            _saving.packed.append(self.packed)
            return [(_MARK, len(_saving.packed) - 1)]
        return _unpacked(self.packed).items()

    def copy(self) -> Tree:
        """As of a dictionary."""
        return self.tree()

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> Tree:
        return self.tree()

    def __reduce__(self) -> Any:
        return dict, (self.tree(),)

    def __repr__(self) -> str:
        return repr(self.tree())

    def __eq__(self, other: object) -> bool:
        return _unpacked(self.packed) == (_unpacked(other.packed) if isinstance(other, Item) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def _refuse(self, *arguments: Any, **named: Any) -> Any:
        raise TypeError("an item of a table is replaced, and not changed")

    __setitem__ = __delitem__ = __ior__ = _refuse
    pop = popitem = setdefault = update = clear = _refuse


@functools.lru_cache(_UNPACKED_KEPT)
def _unpacked(packed: bytes) -> Tree:
    tree: Tree = json.loads(zlib.decompress(packed))
    return tree


class _Saving:
    """What the thread that saves has met so far; None while nothing is saved."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.thread = 0
        self.packed: list[bytes] | None = None


_saving = _Saving()


def apply() -> None:
    """Patch MiniStack."""
    set_item, restore_state = dynamodb._set_item, dynamodb._restore_state

    def pack_and_set(table: dict[str, Any], partition: str, sort: str, item: Tree) -> Any:
        packed = Item(item, _names(table, dynamodb._ttl_settings.get(table.get("TableName"))))
        return set_item(table, partition, sort, packed)

    def restore_and_pack(data: Tree | None) -> None:
        restore_state(data)
        for (account, region, name), table in list(dynamodb._tables.all_items()):
            names = _names(table, dynamodb._ttl_settings.get_scoped(account, region, name))
            table["items"] = defaultdict(
                dict,
                {
                    partition: {sort: Item(item, names) for sort, item in items.items()}
                    for partition, items in table["items"].items()
                },
            )

    dynamodb._set_item, dynamodb._restore_state = pack_and_set, restore_and_pack
    for name in _WRITES:
        setattr(dynamodb, name, _not_while_saving(getattr(dynamodb, name)))


def saved_text(encode: Callable[[], str]) -> str:
    """Return the text of DynamoDB's state, at one moment: no write happens meanwhile.

    Args:
        encode: Takes the state and encodes it, in this thread. It meets a short mark for each item, whose text then
            replaces it: to unpack and encode 30,000 items would take seconds.
    """
    with _saving.lock:
        _saving.thread, _saving.packed = threading.get_ident(), []
        try:
            text = encode()
        finally:
            packed, _saving.packed = _saving.packed, None
    return _MARKED.sub(lambda found: zlib.decompress(packed[int(found[1])]).decode(), text)


def _not_while_saving(write: Callable[[Tree], Any]) -> Callable[[Tree], Any]:
    @functools.wraps(write)
    def wait_and_write(data: Tree) -> Any:
        with _saving.lock:
            return write(data)

    return wait_and_write


def _names(table: dict[str, Any], expiry: Tree | None) -> _Names:
    """Return the attributes by which the items of a table are found."""
    names = [
        (each["AttributeName"], each["AttributeType"]) for each in table.get("AttributeDefinitions") or []
    ]
    if expiry and expiry.get("AttributeName"):
        names.append((expiry["AttributeName"], "N"))
    return _shared(tuple(names))


@functools.lru_cache(256)
def _shared(names: _Names) -> _Names:
    return names
