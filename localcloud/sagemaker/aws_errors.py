"""The error answers of SageMaker's API, with the codes, HTTP statuses and messages that AWS uses."""

from typing import Any


class AwsError(Exception):
    """An error answer of the API.

    Attributes:
        code: The error's code, such as "ValidationException".
        message: The message for the caller.
        status: The HTTP status.
        members: Further members of the answer.
    """

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        self.code, self.message, self.status, self.members = code, message, status, members
        super().__init__(f"{code}: {message}")


def invalid(message: str) -> AwsError:
    """Return the answer of every control-plane operation to a request that it cannot accept."""
    return AwsError("ValidationException", message)


def in_use(message: str) -> AwsError:
    """Return the answer to the creation of a job whose name is taken."""
    return AwsError("ResourceInUse", message)


def endpoint_not_found(name: str, account: str) -> AwsError:
    """Return the answer of InvokeEndpoint if no endpoint of that name is in service."""
    return AwsError("ValidationError", f"Endpoint {name} of account {account} not found.")


def model_error(status: int, reason: str, answer: str, log_group: str, region: str, account: str) -> AwsError:
    """Return the answer of InvokeEndpoint if the container fails.

    Args:
        status: The container's HTTP status; 0 if it did not answer.
        reason: Why it failed.
        answer: The body of its answer.
        log_group: Where AWS has the container's logs.
        region: The region.
        account: The account.
    """
    side = "client" if 400 <= status < 500 else "server"
    console = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
    return AwsError(
        "ModelError",
        f'Received {side} error ({status}) from primary with message "{reason}". '
        f"See {console}#logEventViewer:group={log_group} in account {account} for more information.",
        status=424,
        OriginalStatusCode=status,
        OriginalMessage=answer,
        LogStreamArn=f"arn:aws:logs:{region}:{account}:log-group:{log_group}",
    )
