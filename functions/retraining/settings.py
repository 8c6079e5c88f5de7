"""The environment of the pipeline's functions. It is checked at their first call."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from inspection.environment import Environment
from retraining.findings import Bounds

_Names = Annotated[
    list[str], BeforeValidator(lambda text: [name for name in text.replace(" ", "").split(",") if name])
]


class _Environment(Environment):
    artefacts_bucket: str = Field(min_length=3)


class Settings(_Environment):
    """The variables of `plan`: what every job runs on.

    Attributes:
        name_prefix: The beginning of the names of the stack's jobs.
        dataset_name: The data set that the stack trains on. Reviewed labels belong to it.
        training_image_uri: Empty until somebody sets the stack's parameter.
        training_instance_type: Of the trainings of detectors.
        cpu_instance_type: Of the trainings of anomaly models, which need no GPU.
        hours_parameter: Where it is remembered with what the endpoint comes back that rests.
        encryption_key: The ARN of the key that encrypts all data; empty for AWS's own keys.
    """

    name_prefix: str = Field(min_length=1, max_length=12)
    dataset_name: str = Field(min_length=1)
    endpoint_name: str = Field(min_length=1)
    model_package_group: str = Field(min_length=1)
    role_arn: str
    families: _Names
    training_image_uri: str
    training_instance_type: str
    cpu_instance_type: str
    training_max_seconds: int = Field(ge=60)
    volume_gib: int = Field(ge=1)
    encryption_key: str
    spot: bool
    tuning_jobs: int = Field(ge=1)
    tuning_parallel_jobs: int = Field(ge=1)
    tuning_strategy: Literal["Bayesian", "Hyperband", "Random"]
    approval: bool
    hours_parameter: str = Field(min_length=1)


class GateSettings(_Environment):
    """The variables of `gate`. docs/retrain.md explains the bounds."""

    margin: float = Field(ge=0)
    class_bound: float = Field(ge=0)
    escape_bound: float = Field(ge=0)
    overkill_bound: float = Field(ge=0)
    latency_budget_ms: float = Field(gt=0)

    @property
    def bounds(self) -> Bounds:
        return Bounds(
            margin=self.margin,
            class_bound=self.class_bound,
            escape_bound=self.escape_bound,
            overkill_bound=self.overkill_bound,
            latency_budget_ms=self.latency_budget_ms,
        )


class SmokeSettings(_Environment):
    """The variables of `smoke`."""

    endpoint_name: str = Field(min_length=1)


class RulesSettings(_Environment):
    """The variables of `rules`.

    Attributes:
        apply_proposed_rules: Whether a new model's operating points go into force with it.
        rules_cache_seconds: For how long `inspect` may use rules that have changed.
        endpoint_hours: When the endpoint runs; empty for always.
        endpoint_timezone: The time zone of these hours.
    """

    rules_parameter: str = Field(min_length=1)
    apply_proposed_rules: bool
    rules_cache_seconds: int = Field(ge=1)
    endpoint_hours: str
    endpoint_timezone: str


class NoticeSettings(_Environment):
    """The variables of `approval`."""

    topic_arn: str = Field(min_length=1)


class AftermathSettings(Environment):
    """The variables of `aftermath`.

    Attributes:
        name_prefix: The beginning of the names of the stack's jobs.
    """

    topic_arn: str = Field(min_length=1)
    name_prefix: str = Field(min_length=1)


class ReportSettings(_Environment):
    """The variables of `report`.

    Attributes:
        kept_models: How many former models stay, ready for a rollback.
    """

    endpoint_name: str = Field(min_length=1)
    model_package_group: str = Field(min_length=1)
    kept_models: int = Field(ge=1)
