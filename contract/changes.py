"""What differs between two JSON documents."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """A value that differs between two documents. None: the document does not have it."""

    place: str
    before: Any
    after: Any

    def document(self) -> dict[str, Any]:
        """Return the change as JSON."""
        return {"place": self.place, "before": self.before, "after": self.after}


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Change]:
    """Return the values that differ between two documents, without the documents' own versions.

    >>> [change.place for change in changes({"version": "1"}, {"version": "2", "default": {"fail_score": 0.4}})]
    ['default.fail_score']
    """
    old, new = dict(_values(before or {})), dict(_values(after or {}))
    return [
        Change(place, old.get(place), new.get(place))
        for place in sorted(old.keys() | new.keys())
        if old.get(place) != new.get(place) and place != "version"
    ]


def _values(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _values(value, f"{place}.{name}" if place else name)
    else:
        yield place, node
