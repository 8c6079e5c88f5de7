"""What SageMaker says when a quota is too small, or when it has no machine left, in words that help.

CreateEndpoint and UpdateEndpoint refuse at once, with ResourceLimitExceeded:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from loupe.errors import LoupeError

# As in https://github.com/awsdocs/amazon-sagemaker-developer-guide/issues/70
_LIMIT = re.compile(r"service limit '(?P<quota>[^']+)' is (?P<value>\d+)")
_NO_MACHINE = ("InsufficientInstanceCapacity", "CapacityError", "Unable to provision requested")


@contextmanager
def explained() -> Iterator[None]:
    """Name the quota that a request inside would exceed.

    Raises:
        LoupeError: It exceeds one.
    """
    try:
        yield
    except ClientError as error:
        message = error.response["Error"].get("Message", "")
        if error.response["Error"]["Code"] == "ResourceLimitExceeded":
            raise LoupeError(f"SageMaker refuses: {message}", hint(message)) from error
        raise


def hint(reason: str) -> str:
    """Return what to do about a reason of SageMaker; empty for one that is about neither quota nor capacity.

    >>> hint("The account-level service limit 'ml.g5.xlarge for endpoint usage' is 0 Instances, with ...")
    "Ask AWS for more of the quota 'ml.g5.xlarge for endpoint usage': loupe cloud create --plan gives the command."
    """
    if found := _LIMIT.search(reason):
        return (
            f"Ask AWS for more of the quota {found['quota']!r}: loupe cloud create --plan gives the command."
        )
    if any(sign in reason for sign in _NO_MACHINE):
        return "AWS has no such machine free now: try again later, or choose another instance type."
    return ""
