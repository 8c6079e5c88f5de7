"""What the template hands to each function; checked at its first call, before any image is touched."""

from pydantic import Field

from inspection.environment import Environment


class _Environment(Environment):
    table_name: str = Field(min_length=3)


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
