"""How a function reads what the template hands to it."""

import os
from typing import Self

from pydantic import BaseModel, ConfigDict


class Environment(BaseModel):
    """A function's variables; its subclasses name them, in lower case."""

    # An error that shows its input would show the function's credentials.
    model_config = ConfigDict(
        alias_generator=str.upper, frozen=True, populate_by_name=True, hide_input_in_errors=True
    )

    @classmethod
    def read(cls) -> Self:
        """From the process's environment. Raises pydantic.ValidationError that names what is missing."""
        return cls.model_validate(dict(os.environ))
