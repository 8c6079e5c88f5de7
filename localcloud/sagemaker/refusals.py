"""What clients of SageMaker bring that does not run here, refused with what does work instead.

The local cloud runs Loupe's own programs, and no containers. So scripts of the caller, AWS's own images and JumpStart's
models are refused when a job or model is created, instead of training or serving something else than they say.
"""

import re
from collections.abc import Iterable
from typing import Any

from localcloud.sagemaker.aws_errors import AwsError, invalid

Request = dict[str, Any]

# Hyperparameters and variables by which the SDK's script mode names the script and its folder:
# https://github.com/aws/sagemaker-training-toolkit (params.py), https://github.com/aws/sagemaker-inference-toolkit
_SCRIPT_HYPERPARAMETERS = ("sagemaker_program", "sagemaker_submit_directory")
_SCRIPT_VARIABLES = ("SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY")
# The channel with which the SDK 3 sends what starts the scripts (sagemaker/train/constants.py).
_SCRIPT_CHANNEL = "sm_drivers"
_JUMPSTART = re.compile(r"jumpstart-(private-)?cache-[a-z0-9-]+")
_REGISTRY = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/|public\.ecr\.aws/")

_TRAIN = (
    "What works: Loupe's training image (LOUPE_TRAINING_IMAGE of `loupe env`), without entry_point, source_dir or "
    "source_code; hyperparameters such as family=ssdlite say what is trained (docs/families.md)."
)
_SERVE = (
    "What works: Loupe's serving image (LOUPE_SERVING_IMAGE of `loupe env`) with a model.tar.gz of Loupe's training, "
    "without entry_point, source_dir or source_code."
)
_PROCESS = (
    "What works: Loupe's training image with its programs, by ContainerEntrypoint [python, -m, MODULE], such as "
    "[python, -m, training.evaluate]."
)
_WEIGHTS = (
    "What works: to train one of Loupe's families from published weights, by the hyperparameter weights or the "
    "channel pretrained (docs/families.md)."
)
_INVOKE = "What works: InvokeEndpoint, and batch transform for many pictures (CreateTransformJob)."

# What of SageMaker is not there, by a word in the operation's name.
_ABSENT = (
    (r"Hub", f"JumpStart's hubs are not in the local cloud. {_WEIGHTS}"),
    (
        r"InferenceComponent|MonitoringSchedule|JobDefinition|InferenceExperiment|InferenceRecommendations",
        "The local cloud has endpoints with one model, and CloudWatch monitors them. What works: CreateEndpoint, "
        "CloudWatch's AWS/SageMaker metrics and alarms, RegisterScalableTarget.",
    ),
    (
        r"Context|Artifact|Action|Associat|Lineage|Experiment|Trial",
        "The local cloud tracks no lineage and no experiments. What works: a version in the registry has its data, "
        "metrics and training job (DescribeModelPackage), and a job its metrics (DescribeTrainingJob, CloudWatch).",
    ),
    (
        r"Pipeline",
        "The local cloud has no SageMaker Pipelines. What works: `loupe retrain`, or a state machine of Step Functions "
        "(createTrainingJob.sync and others).",
    ),
)
_OTHERS = (
    "What works: models, endpoints, training, processing, transform and tuning jobs, and the model registry "
    "(docs/local-cloud.md)."
)


def unknown_operation(name: str) -> AwsError:
    """Return the answer to an operation of SageMaker that the local cloud does not have."""
    for words, message in _ABSENT:
        if re.search(words, name):
            return AwsError("UnknownOperationException", f"sagemaker:{name}: {message}")
    return AwsError(
        "UnknownOperationException", f"The local cloud does not have sagemaker:{name} yet. {_OTHERS}"
    )


def jumpstart_bucket(path: str) -> str | None:
    """Return the bucket of JumpStart that a path of S3 names; None if it is another.

    >>> jumpstart_bucket("/jumpstart-cache-prod-us-east-1/models_manifest.json")
    'jumpstart-cache-prod-us-east-1'
    """
    bucket = path.lstrip("/").partition("/")[0]
    return bucket if _JUMPSTART.fullmatch(bucket) else None


def no_jumpstart(bucket: str) -> str:
    """Return what is said about a bucket of JumpStart."""
    return f"JumpStart's models are not in the local cloud (bucket {bucket}). {_WEIGHTS}"


def check_training(request: Request, account: str) -> None:
    """Check a CreateTrainingJob request.

    Args:
        request: Its parameters.
        account: The account, whose own images may be used.

    Raises:
        AwsError: ValidationException, if it is about a script, a foreign image or a model of JumpStart.
    """
    for member, what in (
        ("ServerlessJobConfig", "The local cloud customizes no models of JumpStart (ServerlessJobConfig)."),
        ("ModelPackageConfig", "The local cloud registers no model by itself (ModelPackageConfig)."),
        ("MlflowConfig", "The local cloud has no MLflow (MlflowConfig)."),
    ):
        if member in request:
            raise invalid(f"{what} {_TRAIN} CreateModelPackage registers the model.")
    channels = request.get("InputDataConfig", [])
    _check_sources(_uris(channels))
    names = [channel["ChannelName"] for channel in channels]
    scripts = [name for name in _SCRIPT_HYPERPARAMETERS if request.get("HyperParameters", {}).get(name)]
    if scripts or _SCRIPT_CHANNEL in names:
        by = f"hyperparameter {scripts[0]}" if scripts else f"channel {_SCRIPT_CHANNEL}"
        raise invalid(f"The local cloud runs no scripts ({by}). {_TRAIN}")
    if not request.get("AlgorithmSpecification"):
        raise invalid(f"A training job needs an AlgorithmSpecification. {_TRAIN}")
    _check_image(request["AlgorithmSpecification"].get("TrainingImage"), account, _TRAIN)


def check_processing(request: Request, account: str) -> None:
    """Check a CreateProcessingJob request.

    Raises:
        AwsError: ValidationException, if it is about a script or a foreign image.
    """
    application = request["AppSpecification"]
    parts = [*application.get("ContainerEntrypoint", []), *application.get("ContainerArguments", [])]
    # Where the SDK's ScriptProcessor and FrameworkProcessor put the script (sagemaker/processing.py).
    if any("/opt/ml/processing/input/code" in part or "/input/entrypoint" in part for part in parts):
        raise invalid(f"The local cloud runs no scripts ({parts[-1]}). {_PROCESS}")
    _check_image(application["ImageUri"], account, _PROCESS)


def check_container(container: Request, account: str) -> None:
    """Check the container of a model.

    Raises:
        AwsError: ValidationException, if it has a script, a foreign image, a model of JumpStart, or several models.
    """
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    _check_sources([container.get("ModelDataUrl", ""), source.get("S3Uri", "")])
    environment = container.get("Environment", {})
    if scripts := [name for name in _SCRIPT_VARIABLES if environment.get(name)]:
        raise invalid(f"The local cloud runs no scripts (variable {scripts[0]}). {_SERVE}")
    if container.get("Mode", "SingleModel") != "SingleModel":
        raise invalid(f"The local cloud serves one model per endpoint (Mode {container['Mode']}). {_SERVE}")
    _check_image(container.get("Image"), account, _SERVE)


def check_endpoint_config(request: Request) -> None:
    """Check a CreateEndpointConfig request.

    Raises:
        AwsError: ValidationException, if it wants what an endpoint here does not do.
    """
    if "AsyncInferenceConfig" in request:
        raise invalid(f"The local cloud has no asynchronous inference (AsyncInferenceConfig). {_INVOKE}")
    if request.get("DataCaptureConfig", {}).get("EnableCapture"):
        raise invalid(
            "The local cloud captures no requests (DataCaptureConfig). What works: every inspection has its record "
            "and its picture (`loupe inspections`)."
        )
    for member in ("ShadowProductionVariants", "ExplainerConfig"):
        if request.get(member):
            raise invalid(f"The local cloud serves one variant, and explains no answers ({member}).")


def check_invocation(path: str) -> None:
    """Check the path of an invocation of an endpoint.

    Raises:
        AwsError: ValidationError, if it is asynchronous, or its answer a stream.
    """
    if path.endswith("/async-invocations"):
        raise AwsError(
            "ValidationError",
            f"The local cloud has no asynchronous inference (InvokeEndpointAsync). {_INVOKE}",
        )
    if path.endswith("/invocations-response-stream"):
        raise AwsError(
            "ValidationError",
            f"Loupe's answers are no streams (InvokeEndpointWithResponseStream). {_INVOKE}",
        )


def _uris(channels: Iterable[Request]) -> list[str]:
    return [channel["DataSource"].get("S3DataSource", {}).get("S3Uri", "") for channel in channels]


def _check_sources(uris: Iterable[str]) -> None:
    for uri in uris:
        if bucket := jumpstart_bucket(uri.removeprefix("s3://")):
            raise invalid(no_jumpstart(bucket))


def _check_image(uri: str | None, account: str, instead: str) -> None:
    registry = _REGISTRY.match(uri or "")
    if registry and registry["account"] != account:
        raise invalid(f"The image {uri} is not Loupe's, and no containers run here. {instead}")
