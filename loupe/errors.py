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
