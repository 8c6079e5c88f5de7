"""Who a person is, and what a pseudonym in place of the name does to a text or a document."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contract.text import plain
from loupe.errors import LoupeError
from loupe.stack import users

if TYPE_CHECKING:
    from loupe.stack.target import Target

_RANDOM_BYTES = 4
_PSEUDONYM = re.compile("person-[0-9a-f]{8}")


@dataclass(frozen=True)
class Person:
    """A person who uses, or used, the stack.

    Attributes:
        name: The name that the person signs, or signed, in with.
        email: The address that the user pool has; None if there is none, or if the user was removed.
    """

    name: str
    email: str | None = None

    def replaced(self, value: Any, pseudonym: str, mentions: bool = False) -> Any:
        """Return a document of the stack, or a text in one, without the person.

        Args:
            value: The document.
            pseudonym: What stands for the person from now on.
            mentions: Whether texts lose the name wherever it is a word of its own. They always lose what the system
                writes about who decided, and the address.
        """
        if isinstance(value, Mapping):
            return {
                key: pseudonym
                if key == "by" and item == self.name
                else self.replaced(item, pseudonym, mentions)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.replaced(item, pseudonym, mentions) for item in value]
        return self._text(value, pseudonym, mentions) if isinstance(value, str) else value

    def is_in(self, value: Any, mentions: bool = False) -> bool:
        """Return whether `replaced` would change a document."""
        return bool(self.replaced(value, "", mentions) != value)

    def _text(self, text: str, pseudonym: str, mentions: bool) -> str:
        words = rf"(?<![\w.@-]){re.escape(self.name)}(?![\w@-])"
        text = re.sub(
            words if mentions else rf"(?<=approved by ){words}|(?<=rejected by ){words}", pseudonym, text
        )
        return text.replace(self.email, pseudonym) if self.email else text


def find(target: Target, name_or_email: str) -> Person:
    """Return who is meant, also somebody who was removed from the users.

    Raises:
        LoupeError: Several users have this address.
    """
    known = users.users(target)
    if named := next((user for user in known if user.name == name_or_email), None):
        return Person(named.name, named.email)
    having = [user for user in known if user.email and user.email.lower() == name_or_email.lower()]
    if len(having) > 1:
        names = ", ".join(user.name for user in having)
        raise LoupeError(f"several users have the address {plain(name_or_email)}: {names}", "Give a name.")
    if having:
        return Person(having[0].name, having[0].email)
    return Person(name_or_email, name_or_email if "@" in name_or_email else None)


def new_pseudonym() -> str:
    """Return a name that stands for nobody yet. It is drawn by chance, so that nobody can derive it from a name."""
    return f"person-{secrets.token_hex(_RANDOM_BYTES)}"


def check_pseudonym(pseudonym: str) -> None:
    """Raise LoupeError if a text is no pseudonym of an earlier removal."""
    if not _PSEUDONYM.fullmatch(pseudonym):
        raise LoupeError(
            f"this is no pseudonym: {plain(pseudonym)!r}",
            "An earlier removal has printed it: person-0a1b2c3d",
        )
