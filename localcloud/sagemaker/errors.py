"""SageMaker's own errors: the code, the HTTP status and the words that AWS uses."""

from typing import Any


class AwsError(Exception):
    """An error answer of the API; `extra` are further members of its shape."""

    def __init__(self, code: str, message: str, status: int = 400, **extra: Any) -> None:
        self.code, self.message, self.status, self.extra = code, message, status, extra
        super().__init__(f"{code}: {message}")


def invalid(message: str) -> AwsError:
    """What every control-plane operation answers to a request that it cannot accept."""
    return AwsError("ValidationException", message)


def in_use(message: str) -> AwsError:
    """What creating a job answers when its name is taken."""
    return AwsError("ResourceInUse", message)


def endpoint_not_found(name: str, account: str) -> AwsError:
    """InvokeEndpoint on a name that has no endpoint in service."""
    return AwsError("ValidationError", f"Endpoint {name} of account {account} not found.")


def model_error(status: int, reason: str, answer: str, log_group: str, region: str, account: str) -> AwsError:
    """The container answered with `status`, or with nothing at all (status 0)."""
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
