"""The environment of the functions around the endpoint. It is checked at the first call, before any image is read."""

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
    endpoint_hours: str = ""
    endpoint_timezone: str = "UTC"


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


class HoursEnvironment(Environment):
    """The variables of `hours`. endpoint_hours: empty for always."""

    endpoint_name: str = Field(min_length=1)
    endpoint_hours: str
    endpoint_timezone: str
    hours_parameter: str = Field(min_length=1)
    state_machine_arn: str = Field(min_length=1)
    min_instances: int = Field(ge=1)
    max_instances: int = Field(ge=1)
    invocations_per_instance: int = Field(ge=1)


class ReconcileEnvironment(_Environment):
    """The variables of `reconcile`."""

    images_bucket: str = Field(min_length=3)
    queue_url: str = Field(min_length=1)
    dead_letter_queue_url: str = Field(min_length=1)
    reconcile_parameter: str = Field(min_length=1)
    record_retention_days: int = Field(ge=1)
    aws_region: str = Field(min_length=1)  # set by Lambda itself


class ReplayEnvironment(InspectEnvironment):
    """The variables of `replay`."""

    statistics_table: str = Field(min_length=3)
    reviews_table: str = Field(min_length=3)
    history_table: str = Field(min_length=3)
    review_pass_share: float = Field(ge=0, le=1)
    review_fail_share: float = Field(ge=0, le=1)
    aws_region: str = Field(min_length=1)  # set by Lambda itself
