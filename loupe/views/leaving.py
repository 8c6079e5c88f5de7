"""How what a stack has, and what became of it, is printed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from loupe.account.destroy import ORDER, Result
from loupe.account.holdings.scope import Item
from loupe.account.inventory import Inventory
from loupe.views.console import err, out

# More of a kind are counted instead of named.
_MOST_NAMED = 6


def show_plan(inventory: Inventory, data: bool) -> None:
    """Print what goes and what stays."""
    _show_items(f"Goes with the stack {inventory.stack}:", inventory.going(data))
    _show_items("Stays, because it is your data (--data deletes it too):", inventory.staying(data))
    show_remains(inventory)


def show_remains(inventory: Inventory) -> None:
    """Print what only AWS can delete, and what could not be looked at."""
    if inventory.remains:
        out.print("Stays until AWS itself deletes it:")
        for text in inventory.remains:
            out.print(f"  {text}", soft_wrap=True)
    for action in inventory.unseen:
        err.print(f"could not be looked at: {action}", soft_wrap=True)


def _show_items(title: str, items: list[Item]) -> None:
    if not items:
        return
    out.print(title)
    for kind, group in groupby(_sorted(items), key=lambda item: item.kind):
        members = list(group)
        for item in members[:_MOST_NAMED]:
            text = f"  ({item.text})" if item.text else ""
            out.print(f"  {kind:<22} {item.name}{text}", soft_wrap=True)
        if (more := len(members) - _MOST_NAMED) > 0:
            out.print(f"  {kind:<22} and {more} more")


def _sorted(items: Iterable[Item]) -> list[Item]:
    return sorted(items, key=lambda item: (ORDER.index(item.kind), item.name))


def document(inventory: Inventory, data: bool) -> dict[str, Any]:
    """Return the plan as JSON."""
    return {
        "stack": inventory.stack,
        "protected": inventory.protected or inventory.guarded,
        "goes": [_as_json(item) for item in _sorted(inventory.going(data))],
        "stays": [_as_json(item) for item in _sorted(inventory.staying(data))],
        "remains": inventory.remains,
        "not_seen": inventory.unseen,
    }


def result_document(result: Result, data: bool) -> dict[str, Any]:
    """Return the result as JSON."""
    return {
        "stack": result.left.stack,
        "deleted": [_as_json(item) for item in result.deleted],
        "not_deleted": [_as_json(item) for item in result.left.going(data)],
        "problems": result.problems,
        "stays": [_as_json(item) for item in _sorted(result.left.staying(data))],
        "remains": result.left.remains,
        "not_seen": result.left.unseen,
    }


def _as_json(item: Item) -> dict[str, Any]:
    return {"kind": item.kind, "name": item.name, "text": item.text}
