"""Deletion of former models: SageMaker's models and endpoint configurations, except the last few."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

T = TypeVar("T")

# The end of a name, after the endpoint's: the hash of a run or artefact, and the hash of the hosting. A name that
# only starts like the endpoint's may belong to another endpoint.
_OWN_SUFFIX = "-[0-9a-f]{12}(-[0-9a-f]{6}){0,2}"


def keep_last(sagemaker: SageMakerClient, endpoint: str, kept: int) -> list[str]:
    """Delete the endpoint's former models and endpoint configurations, except the newest.

    The artefacts in S3 and the versions in the registry stay, so a rollback to an older version creates its model
    again. Something that is deleted elsewhere at the same time is no error.

    Args:
        sagemaker: The SageMaker client.
        endpoint: The endpoint's name.
        kept: How many models stay besides the one that serves.

    Returns:
        The names of what was deleted.
    """
    own = re.compile(re.escape(endpoint) + _OWN_SUFFIX)
    serving_config = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    serving_model = _model_of(sagemaker, serving_config)
    configs = _own_configs(sagemaker, endpoint, own)
    former = list(dict.fromkeys(model for _, model in configs if model != serving_model))
    staying = {serving_model, *former[:kept]}
    deleted = []
    # A model before its configurations: they name it, if this is interrupted and done again.
    for model in former[kept:]:
        if own.fullmatch(model):
            _unless_missing(lambda name: sagemaker.delete_model(ModelName=name), model)
            deleted.append(model)
    for config, model in configs:
        if model not in staying and config != serving_config:
            _unless_missing(lambda name: sagemaker.delete_endpoint_config(EndpointConfigName=name), config)
            deleted.append(config)
    return deleted


def _own_configs(sagemaker: SageMakerClient, endpoint: str, own: re.Pattern[str]) -> list[tuple[str, str]]:
    """Return the names of the endpoint's configurations with their models, newest first."""
    configs: list[tuple[datetime, str, str]] = []
    for page in sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=endpoint):
        for summary in page["EndpointConfigs"]:
            name = summary["EndpointConfigName"]
            model = own.fullmatch(name) and _unless_missing(lambda config: _model_of(sagemaker, config), name)
            if model:
                configs.append((summary["CreationTime"], name, model))
    return [(name, model) for _, name, model in sorted(configs, reverse=True)]


def _model_of(sagemaker: SageMakerClient, config: str) -> str:
    description = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    return description["ProductionVariants"][0]["ModelName"]


def _unless_missing(call: Callable[[str], T], name: str) -> T | None:
    """Call with a name. Return None if SageMaker does not know the name."""
    try:
        return call(name)
    except ClientError as error:
        # SageMaker's code for a name that does not exist.
        if error.response["Error"]["Code"] == "ValidationException":
            return None
        raise
