"""The base of every error that a user of these programs can cause or fix."""

from __future__ import annotations


class TrainingError(Exception):
    """A job cannot continue; the message gives what is wrong, in which file, and what to do.

    Attributes:
        hint: What to do next, if that is not in the message.
    """

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        """Describe the error; `hint` is the line below it where a person runs the program."""
        super().__init__(message)
        self.hint = hint
