"""The environment variables of a function, as a typed model."""

import os
from typing import Self

from pydantic import BaseModel, ConfigDict


class Environment(BaseModel):
    """Base of the models of environment variables. A field `table_name` reads the variable `TABLE_NAME`."""

    # An error that shows its input would show the function's credentials.
    model_config = ConfigDict(
        alias_generator=str.upper, frozen=True, populate_by_name=True, hide_input_in_errors=True
    )

    @classmethod
    def read(cls) -> Self:
        """Read the variables from the process's environment.

        Raises:
            pydantic.ValidationError: A variable is missing or not valid. The error names it.
        """
        return cls.model_validate(dict(os.environ))
