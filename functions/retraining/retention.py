"""What former models leave behind: SageMaker's models and endpoint configurations, of which the last few stay."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

T = TypeVar("T")

# After the endpoint's name: a run's or an artefact's hash, and the hash of the hosting. A name that only begins
# like the endpoint's may be of another endpoint.
_OWN = "-[0-9a-f]{12}(-[0-9a-f]{6}){0,2}"


def keep_last(sagemaker: SageMakerClient, endpoint: str, kept: int) -> list[str]:
    """Deletes the endpoint's models, and configurations, but the `kept` newest and what serves. Returns their names.

    The artefacts in S3 and the versions in the registry stay: a rollback beyond makes the model anew. What
    somebody else deletes meanwhile is none of its business.
    """

    def model_of(config: str) -> str:
        described = sagemaker.describe_endpoint_config(EndpointConfigName=config)
        return described["ProductionVariants"][0]["ModelName"]

    own = re.compile(re.escape(endpoint) + _OWN)
    serving = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    current = model_of(serving)
    found: list[tuple[datetime, str, str]] = []
    for page in sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=endpoint):
        for each in page["EndpointConfigs"]:
            name = each["EndpointConfigName"]
            if own.fullmatch(name) and (model := _unless_gone(model_of, name)):
                found.append((each["CreationTime"], name, model))
    found.sort(reverse=True)
    former = list(dict.fromkeys(model for _, _, model in found if model != current))
    stay = {current, *former[:kept]}
    gone = []
    for _, name, model in found:
        if model not in stay and name != serving:
            _unless_gone(lambda each: sagemaker.delete_endpoint_config(EndpointConfigName=each), name)
            gone.append(name)
    for model in former[kept:]:
        if own.fullmatch(model):
            _unless_gone(lambda each: sagemaker.delete_model(ModelName=each), model)
            gone.append(model)
    return gone


def _unless_gone(call: Callable[[str], T], name: str) -> T | None:
    try:
        return call(name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":  # SageMaker's word for what is not there
            return None
        raise
