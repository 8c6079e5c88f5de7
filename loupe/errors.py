"""Errors that the person at the command line can act on."""


class LoupeError(Exception):
    """A problem that the user can fix.

    Attributes:
        message: What is wrong, in one sentence.
        hint: What to do next, in one sentence; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class StackError(LoupeError):
    """The stack cannot be used."""


class CredentialsError(StackError):
    """There are no credentials, or they are refused."""


class RegionError(StackError):
    """No region is chosen."""


class NoStackError(StackError):
    """There is no stack of that name where the caller looks: in this account, region or local cloud."""


class UnreachableError(StackError):
    """Nothing answers at the address."""


class OldStackError(StackError):
    """The stack was deployed by an earlier version, and lacks what the command needs."""
