"""Replaces one of MiniStack's stores, a module's dictionary per account and region, by a class of ours."""

from typing import Any


def replace(module: Any, name: str, store_class: type[Any]) -> None:
    """Replace a store by one of another class, which shares the data of the present one.

    Args:
        module: A module of MiniStack.
        name: The store's name in it.
        store_class: A subclass of the store's class.
    """
    store = store_class()
    store._data = getattr(module, name)._data
    setattr(module, name, store)
