"""Errors that a person at the command line can act on."""


class LoupeError(Exception):
    """Something the user can put right.

    Args:
        message: what is wrong, in one sentence.
        hint: what to do next, in one sentence.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
