"""The endpoint, its scaling, its configurations and models, and the registry of models."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

from contract.scaling import DIMENSION, SERVICE
from loupe.account.holdings.scope import Item, Scope, Work, existing, is_missing

# SageMaker refuses to delete an endpoint in these states.
_BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack")
_TIMEOUT_S = 3600.0


def find_scaling(scope: Scope) -> list[Item]:
    """Return the registered numbers of instances, and the alarms that target tracking has made for them."""
    client, alarms = scope.account.client("application-autoscaling"), scope.account.client("cloudwatch")
    items = []
    for endpoint in sorted(scope.endpoints):
        # The slash ends the endpoint's name, so no longer name is among them.
        begin = f"endpoint/{endpoint}/variant/"
        pages = client.get_paginator("describe_scalable_targets").paginate(ServiceNamespace=SERVICE)
        items += [
            Item(
                "scaling",
                target["ResourceId"],
                f"{target['MinCapacity']} to {target['MaxCapacity']} instances",
            )
            for page in pages
            for target in page["ScalableTargets"]
            if target["ResourceId"].startswith(begin)
        ]
        for page in alarms.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=f"TargetTracking-{begin}"
        ):
            items += [Item("scaling alarm", alarm["AlarmName"]) for alarm in page["MetricAlarms"]]
    return items


def delete_scaling(work: Work, item: Item) -> None:
    """Forget the numbers of instances; the policies and their alarms go with them."""
    existing(
        work.account.client("application-autoscaling").deregister_scalable_target,
        ServiceNamespace=SERVICE,
        ResourceId=item.name,
        ScalableDimension=DIMENSION,
    )


def delete_alarm(work: Work, item: Item) -> None:
    """Delete an alarm of target tracking that has outlived its policy."""
    work.account.client("cloudwatch").delete_alarms(AlarmNames=[item.name])


def find_endpoints(scope: Scope) -> list[Item]:
    """Return the stack's endpoint, with what it runs on."""
    client = scope.account.client("sagemaker")
    items = []
    for name in sorted(scope.endpoints):
        if description := existing(client.describe_endpoint, EndpointName=name):
            variants = description.get("ProductionVariants", [])
            count = sum(variant.get("CurrentInstanceCount", 0) for variant in variants)
            items.append(Item("endpoint", name, f"{description['EndpointStatus']}, {_instances(count)}"))
    return items


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"


def delete_endpoint(work: Work, item: Item) -> None:
    """Delete an endpoint, once it has settled, and wait until it is gone."""
    client, deadline = work.account.client("sagemaker"), time.monotonic() + _TIMEOUT_S
    while (
        found := existing(client.describe_endpoint, EndpointName=item.name)
    ) and time.monotonic() < deadline:
        status = found["EndpointStatus"]
        work.tell(f"endpoint {item.name}: {status}")
        if status not in _BUSY and status != "Deleting":
            _delete_settled(client, item.name)
        time.sleep(work.pause)


def _delete_settled(client: Any, name: str) -> None:
    try:
        client.delete_endpoint(EndpointName=name)
    except ClientError as error:
        # Another change of it has just begun, or ended.
        if not is_missing(error) and "in-progress" not in str(error).lower():
            raise


def find_configs(scope: Scope) -> list[Item]:
    """Return the endpoint configurations of the stack's models; also those whose models are gone."""
    client, owned = scope.account.client("sagemaker"), {item.name for item in find_models(scope)}
    items = []
    for name in _names(client, "endpoint_configs", scope.endpoints):
        description = existing(client.describe_endpoint_config, EndpointConfigName=name)
        if description is None:
            continue
        models = {variant.get("ModelName") for variant in description["ProductionVariants"]}
        if models & owned or (scope.claims(name) and not _any_exists(client, models)):
            items.append(Item("endpoint configuration", name))
    return items


def _any_exists(client: Any, models: Iterable[str | None]) -> bool:
    return any(model and existing(client.describe_model, ModelName=model) for model in models)


def delete_config(work: Work, item: Item) -> None:
    """Delete an endpoint configuration."""
    existing(work.account.client("sagemaker").delete_endpoint_config, EndpointConfigName=item.name)


def find_models(scope: Scope) -> list[Item]:
    """Return the models that run with this stack's role."""
    client = scope.account.client("sagemaker")
    return [
        Item("model", name)
        for name in _names(client, "models", scope.endpoints)
        if (description := existing(client.describe_model, ModelName=name))
        and scope.has_role(description.get("ExecutionRoleArn", ""))
    ]


def delete_model(work: Work, item: Item) -> None:
    """Delete a model; its archive stays in the bucket."""
    existing(work.account.client("sagemaker").delete_model, ModelName=item.name)


def _names(client: Any, plural: str, endpoints: Iterable[str]) -> list[str]:
    """Return the names of what begins with the name of an endpoint."""
    member, name = {
        "models": ("Models", "ModelName"),
        "endpoint_configs": ("EndpointConfigs", "EndpointConfigName"),
    }[plural]
    return sorted(
        {
            entry[name]
            for endpoint in endpoints
            for page in client.get_paginator(f"list_{plural}").paginate(NameContains=endpoint)
            for entry in page[member]
            if entry[name].startswith(f"{endpoint}-")
        }
    )


def find_groups(scope: Scope) -> list[Item]:
    """Return the groups of registered models, with the number of versions."""
    client = scope.account.client("sagemaker")
    names = scope.names("AWS::SageMaker::ModelPackageGroup", "ModelPackageGroupName")
    items = []
    for name in sorted({name.rpartition("/")[2] for name in names}):
        if existing(client.describe_model_package_group, ModelPackageGroupName=name):
            count = len(_versions(client, name))
            items.append(Item("model package group", name, f"{count} version{'' if count == 1 else 's'}"))
    return items


def delete_group(work: Work, item: Item) -> None:
    """Delete the versions of a group, and the group: SageMaker deletes an empty one only."""
    client = work.account.client("sagemaker")
    versions = _versions(client, item.name)
    for number, version in enumerate(versions, start=1):
        work.tell(f"{item.name}: version {number} of {len(versions)}")
        existing(client.delete_model_package, ModelPackageName=version)
    existing(client.delete_model_package_group, ModelPackageGroupName=item.name)


def _versions(client: Any, group: str) -> list[str]:
    pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    return [package["ModelPackageArn"] for page in pages for package in page["ModelPackageSummaryList"]]
