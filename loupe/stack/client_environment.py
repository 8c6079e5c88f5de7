"""The environment variables that lead other clients (boto3, the AWS CLI, the SageMaker SDK) to a stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from loupe.errors import LoupeError
from loupe.stack import sdk_config
from loupe.stack.target import LOOPBACK, Target

_FROM_OUTPUTS = {
    "LOUPE_IMAGES_BUCKET": "ImagesBucketName",
    "LOUPE_ARTEFACTS_BUCKET": "ArtefactsBucketName",
    "LOUPE_TRAINING_ROLE_ARN": "TrainingRoleArn",
    "LOUPE_SERVING_ROLE_ARN": "SageMakerRoleArn",
    "LOUPE_TRAINING_INSTANCE_TYPE": "TrainingInstanceType",
    "LOUPE_HOSTING_INSTANCE_TYPE": "HostingInstanceType",
    "LOUPE_EVALUATION_INSTANCE_TYPE": "EvaluationInstanceType",
    "LOUPE_MODEL_PACKAGE_GROUP": "ModelPackageGroupName",
    "LOUPE_ENDPOINT": "EndpointName",
    "LOUPE_INSPECTIONS_TABLE": "InspectionsTableName",
}
# A stack may be without containers, and without a host image for GPUs. Then the variable is empty, so that no other
# stack's value stays in force.
_OPTIONAL = {
    "LOUPE_TRAINING_IMAGE": "TrainingImageUri",
    "LOUPE_SERVING_IMAGE": "ServingImageUri",
    "LOUPE_INFERENCE_AMI_VERSION": "InferenceAmiVersion",
}
# The role is checked by the stack's own template, not by the SDK, which wants more than the jobs need.
_OF_THE_SDK = {
    "SAGEMAKER_VALIDATE_ROLE": "false",
    # The SDK's own telemetry is off by its configuration file (sdk_config.py); these are of what it brings along.
    "DISABLE_JUMPSTART_TELEMETRY": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_OF_A_LOCAL_CLOUD = {
    # Without it a client that misses something asks an address that only a machine on AWS has, and waits.
    "AWS_EC2_METADATA_DISABLED": "true",
    # A profile may say the opposite, and then AWS itself would be asked:
    # https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
}
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_TOKENS = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_ADDRESS = "AWS_ENDPOINT_URL"
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_CONFIG = "SAGEMAKER_USER_CONFIG_OVERRIDE"
_PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_NO_PROXIES = ("no_proxy", "NO_PROXY")


def variables(target: Target, folder: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables for a stack, and write the configuration file of the SageMaker SDK that one of them names.

    Args:
        target: The stack.
        folder: Where the configuration file is written.
        environment: The environment that the variables will change.

    Returns:
        Name -> value. On AWS there are no credentials among them: the caller's own stay in force.

    Raises:
        OldStackError: The stack lacks an output.
        LoupeError: The file cannot be written.
    """
    region = target.session.region_name
    found = (_local(target, environment) if target.local_cloud else {}) | dict.fromkeys(_REGIONS, region)
    found["LOUPE_STACK"] = target.name
    found |= {name: target.output(output) for name, output in _FROM_OUTPUTS.items()}
    found |= {name: target.outputs.get(output, "") for name, output in _OPTIONAL.items()}
    return found | _OF_THE_SDK | {_CONFIG: str(sdk_config.write(target, folder))}


def obstacles(target: Target, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the variables of an environment that must go: they would keep a client from its local cloud."""
    # With a profile chosen, some SDKs do not look for credentials in the environment.
    return ["AWS_PROFILE"] if target.local_cloud and environment.get("AWS_PROFILE") else []


def names(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return every variable that `variables` may have set in this environment."""
    # On AWS the credentials and the region are the user's own.
    own = (
        (_ADDRESS, *_CREDENTIALS, *_TOKENS, *_REGIONS, *_OF_A_LOCAL_CLOUD) if _leads_here(environment) else ()
    )
    fixed = ("LOUPE_STACK", *_FROM_OUTPUTS, *_OPTIONAL, *_OF_THE_SDK, _CONFIG)
    return [*own, *(_addresses_of_services(environment) if own else ()), *fixed]


def _local(target: Target, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what keeps every client on this machine, whatever its environment has been before."""
    key = target.session.get_credentials()
    if key is None or not key.access_key or not key.secret_key or not target.endpoint_url:
        raise LoupeError("there are no credentials for the local cloud", "Set them again: loupe env")
    found = {_ADDRESS: target.endpoint_url}
    found |= dict(zip(_CREDENTIALS, (key.access_key, key.secret_key), strict=True))
    # What a session of AWS left behind would be sent along, or would lead a single service elsewhere.
    found |= {name: "" for name in _TOKENS if environment.get(name)}
    found |= dict.fromkeys(_addresses_of_services(environment), target.endpoint_url)
    if any(environment.get(name) for name in _PROXIES):
        found |= _without_proxy(environment)
    return found | _OF_A_LOCAL_CLOUD


def _addresses_of_services(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that give single services an address, which counts more than AWS_ENDPOINT_URL."""
    return sorted(name for name in environment if name.startswith(f"{_ADDRESS}_"))


def _without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """Return NO_PROXY with this machine in it: no proxy reaches its loopback. The lower-case name counts first."""
    present = next((environment[name] for name in _NO_PROXIES if environment.get(name)), "")
    hosts = [host for part in present.split(",") if (host := part.strip())]
    return dict.fromkeys(_NO_PROXIES, ",".join(dict.fromkeys([*hosts, "127.0.0.1", "localhost"])))


def _leads_here(environment: Mapping[str, str]) -> bool:
    return any(f"//{host}" in environment.get(_ADDRESS, "") for host in LOOPBACK)
