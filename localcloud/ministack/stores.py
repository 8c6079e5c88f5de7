"""Replaces one of MiniStack's stores, a module's dictionary per account and region, by a class of ours."""

from typing import Any


def replace(module: Any, name: str, store_class: type[Any]) -> Any:
    """Let `module` use a store of another class, which shares the data of the present one.

    Args:
        module: A module of MiniStack.
        name: The store's name in it.
        store_class: A subclass of the store's class, without state of its own that its constructor needs.

    Returns:
        The new store.
    """
    store = store_class()
    store._data = getattr(module, name)._data
    setattr(module, name, store)
    return store
