"""The environment of the functions that inspect. It is checked at the first call, before any image is read."""

from pydantic import Field

from inspection.environment import Environment


class _Environment(Environment):
    table_name: str = Field(min_length=3)


class InspectEnvironment(_Environment):
    """The variables of `inspect`."""

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
    """The variables of `alert`."""

    artefacts_bucket: str = Field(min_length=3)
    topic_arn: str = Field(min_length=1)
    picture_link_hours: int = Field(ge=1, le=12)
    max_image_bytes: int = Field(ge=1024)
    max_image_pixels: int = Field(ge=1024)


class TrackEnvironment(_Environment):
    """The variables of `track`."""

    statistics_table: str = Field(min_length=3)
    reviews_table: str = Field(min_length=3)
    review_pass_share: float = Field(ge=0, le=1)
    review_fail_share: float = Field(ge=0, le=1)
