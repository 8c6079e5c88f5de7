"""What the environment says. Each model is read when a route first needs it, and names what is missing."""

from __future__ import annotations

from pydantic import Field

from inspection.environment import Environment


class Records(Environment):
    """The inspection records, and where their pictures are."""

    table_name: str = Field(min_length=3)
    index_shards: int = Field(ge=1)
    images_bucket: str = Field(min_length=3)
    artefacts_bucket: str = Field(min_length=3)
    max_image_bytes: int = Field(ge=1024)
    max_image_pixels: int = Field(ge=1024)


class Statistics(Environment):
    """The counters, the feed and the places."""

    statistics_table: str = Field(min_length=3)


class Reviews(Environment):
    """The review queue and the history."""

    reviews_table: str = Field(min_length=3)
    history_table: str = Field(min_length=3)


class Rules(Environment):
    """The rules in force."""

    rules_parameter: str = Field(min_length=1)
    rules_cache_seconds: int = Field(ge=1)


class Stack(Environment):
    """The stack itself."""

    stack_name: str = Field(min_length=1)
    endpoint_name: str = Field(min_length=1)
    endpoint_hours: str = ""
    endpoint_timezone: str = "UTC"


class UserPool(Environment):
    """The users."""

    user_pool_id: str = Field(min_length=1)
    user_pool_client_id: str = Field(min_length=1)


class Retraining(Environment):
    """The models, their endpoint, and the runs that make them."""

    endpoint_name: str = Field(min_length=1)
    state_machine_arn: str = Field(min_length=1)
    model_package_group: str = Field(min_length=1)
    dataset_name: str = Field(min_length=1)
