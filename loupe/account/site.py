"""What a step works with: the account, what the stack is to be, and where to say what happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from loupe.account import cloudformation
from loupe.account.account import Account
from loupe.account.cloudformation import Change
from loupe.account.settings import Settings, Wishes
from loupe.errors import LoupeError
from loupe.stack.target import Target


@dataclass(frozen=True)
class Site:
    """Where Loupe is built.

    Attributes:
        account: The account.
        wishes: What the options ask for.
        settings: What the stack is to be.
        on_line: Called with what is done now.
        accept: Called with changes that lose data or addresses; whether they are made all the same.
    """

    account: Account
    wishes: Wishes
    settings: Settings
    on_line: Callable[[str], None]
    accept: Callable[[list[Change]], bool]
    # The same as long as the outputs are the same, because its clients take long to make.
    _latest: dict[str, Target] = field(default_factory=dict)

    @property
    def target(self) -> Target | None:
        """The stack, once it can be used; None before."""
        stack = cloudformation.describe(self.account)
        if stack is None or not stack.outputs:
            return None
        latest = self._latest.get("target")
        if latest is None or latest.outputs != stack.outputs:
            latest = Target(
                self.account.session, self.account.endpoint_url, stack.outputs, self.account.stack
            )
            self._latest["target"] = latest
        return latest

    def need_target(self) -> Target:
        """Return the stack. Raises LoupeError if it is not there."""
        if (target := self.target) is None:
            raise LoupeError(f"the stack {self.account.stack} does not exist", "Repeat the command.")
        return target
