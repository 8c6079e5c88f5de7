"""What every part of the rules document has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A part of the document: a name that it does not know is refused.

    A misspelt name must not silently leave a default in force.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
