"""What former models leave behind: SageMaker's models and endpoint configurations, of which the last few stay."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


def keep_last(sagemaker: SageMakerClient, endpoint: str, kept: int) -> list[str]:
    """Deletes the endpoint's models, and configurations, but the `kept` newest and what serves. Returns their names.

    The artefacts in S3 and the versions in the registry stay: a rollback beyond makes the model anew.
    """
    serving = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    found: list[tuple[datetime, str, str]] = []
    for page in sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=endpoint):
        for each in page["EndpointConfigs"]:
            name = each["EndpointConfigName"]
            variants = sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"]
            found.append((each["CreationTime"], name, variants[0]["ModelName"]))
    found.sort(reverse=True)
    current = [model for _, name, model in found if name == serving]
    former = list(dict.fromkeys(model for _, _, model in found if model not in current))
    stay = {*current, *former[:kept]}
    gone = []
    for _, name, model in found:
        if model in stay or not name.startswith(f"{endpoint}-"):
            continue
        sagemaker.delete_endpoint_config(EndpointConfigName=name)
        gone.append(name)
    for model in former[kept:]:
        if model.startswith(f"{endpoint}-"):
            sagemaker.delete_model(ModelName=model)
            gone.append(model)
    return gone
