"""What the template hands to each function; checked at its first call, before any image is touched."""

import os
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class _Environment(BaseModel):
    # An error that shows its input would show the function's credentials.
    model_config = ConfigDict(alias_generator=str.upper, frozen=True, hide_input_in_errors=True)

    table_name: str = Field(min_length=3)

    @classmethod
    def read(cls) -> Self:
        """From the process's environment. Raises pydantic.ValidationError that names what is missing."""
        return cls.model_validate(dict(os.environ))


class InspectEnvironment(_Environment):
    """`inspect`."""

    endpoint_name: str = Field(min_length=1)
    queue_url: str = Field(min_length=1)
    rules_parameter: str = Field(min_length=1)
    rules_cache_seconds: int = Field(ge=1)
    index_shards: int = Field(ge=1)
    max_image_bytes: int = Field(ge=1024)
    max_image_pixels: int = Field(ge=1024)
    max_receive_count: int = Field(ge=1)
    record_retention_days: int = Field(ge=1)


class AlertEnvironment(_Environment):
    """`alert`."""

    artefacts_bucket: str = Field(min_length=3)
    topic_arn: str = Field(min_length=1)
    picture_link_hours: int = Field(ge=1, le=12)
    max_image_bytes: int = Field(ge=1024)
    max_image_pixels: int = Field(ge=1024)
