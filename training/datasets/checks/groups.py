"""Joins what belongs together into groups: disjoint sets, each with its smallest member in front."""

from __future__ import annotations


class Groups:
    """The numbers 0 to `size` - 1, each in a group of its own until groups are joined."""

    def __init__(self, size: int) -> None:
        self._parents = list(range(size))

    def first(self, member: int) -> int:
        """Return the smallest member of a group."""
        while self._parents[member] != member:
            self._parents[member] = self._parents[self._parents[member]]
            member = self._parents[member]
        return member

    def join(self, a: int, b: int) -> bool:
        """Make one group of two. Return False if they are one already."""
        first, second = sorted((self.first(a), self.first(b)))
        self._parents[second] = first
        return first != second

    def several(self) -> list[list[int]]:
        """Return the groups that have more than one member, and the members, in ascending order."""
        groups: dict[int, list[int]] = {}
        for member in range(len(self._parents)):
            groups.setdefault(self.first(member), []).append(member)
        return [members for members in groups.values() if len(members) > 1]
