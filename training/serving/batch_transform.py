"""What SageMaker's batch transform asks the container, and tells it.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
"""

from __future__ import annotations

from collections.abc import Mapping

PATH = "/execution-parameters"
# The two together "cannot exceed 100 MB".
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html
MAX_MB = 100
# What a job takes that says nothing: a container should not take less.
_USUAL_MB = 6
_MB = 1024 * 1024


def in_batch_transform(environment: Mapping[str, str]) -> bool:
    """Return whether this container belongs to a transform job."""
    return environment.get("SAGEMAKER_BATCH") == "true"


def requests_at_once(environment: Mapping[str, str]) -> int:
    """Return how many requests the transform job sends at once; 0 if it does not say."""
    return _whole(environment.get("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS")) or 0


def execution_parameters(
    environment: Mapping[str, str], workers: int, batch: int, max_body_bytes: int
) -> dict[str, int | str]:
    """Return how a transform job sends images best: enough at once to keep every core busy, each as large as fits.

    Args:
        environment: Says what the job has fixed itself.
        workers: Images decoded at once.
        batch: Images that share one inference.
        max_body_bytes: The most bytes of a request.

    >>> execution_parameters({}, workers=5, batch=1, max_body_bytes=100 * 1024 * 1024)
    {'MaxConcurrentTransforms': 5, 'BatchStrategy': 'SINGLE_RECORD', 'MaxPayloadInMB': 20}
    """
    payload = _whole(environment.get("SAGEMAKER_MAX_PAYLOAD_IN_MB"))
    # Images that share an inference: the next ones are decoded meanwhile.
    useful = workers if batch == 1 else max(workers, 2 * batch)
    concurrent = requests_at_once(environment) or min(useful, MAX_MB // max(payload or _USUAL_MB, 1))
    if payload is None:
        payload = max(1, min(max_body_bytes // _MB, MAX_MB // concurrent))
    return {
        "MaxConcurrentTransforms": max(1, concurrent),
        # One image, or one reference, for each request.
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": payload,
    }


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
