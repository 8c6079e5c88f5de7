"""Changes to MiniStack's Lambda: what the service does for a function, it does as the function's role.

It reads queues and streams, keeps what failed, and writes logs with the role's permissions
(https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html). Without them nothing of it happens:
https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-event-source-mapping.html
"""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.responses import get_region
from ministack.services import lambda_svc

from localcloud.permissions.roles import Check, Role

logger = logging.getLogger(__name__)

# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-permissions
_READS_QUEUE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
# https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html#events-dynamodb-permissions
_READS_STREAM = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
_WRITES_LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")
# A decision about a mapping is kept so long: it is asked for many times a second.
_KEPT_S = 2.0


def apply() -> None:
    """Patch MiniStack."""
    _poll_as_the_role()
    _keep_failures_as_the_role()


def may_write_logs(config: dict[str, Any], group: str) -> bool:
    """Return whether a function's role may write into its log group; if not, its logs are lost, as on AWS.

    Args:
        config: The function's configuration.
        group: The log group.
    """
    role = _role(config)
    stream = f"arn:aws:logs:{role.region}:{role.account}:log-group:{group}:log-stream:new"
    return _is_allowed(role, [Check(action, stream) for action in _WRITES_LOGS], "to write logs")


def _poll_as_the_role() -> None:
    mappings: Callable[[], Iterator[tuple[str, str, dict[str, Any]]]] = lambda_svc._iter_all_esms
    decisions: dict[str, tuple[float, bool]] = {}

    def readable_mappings() -> Iterator[tuple[str, str, dict[str, Any]]]:
        for account, region, mapping in mappings():
            decided_at, allowed = decisions.get(mapping["UUID"], (0.0, False))
            if time.monotonic() - decided_at > _KEPT_S:
                allowed = _may_read(mapping, region)
                decisions[mapping["UUID"]] = (time.monotonic(), allowed)
            if allowed:
                yield account, region, mapping

    lambda_svc._iter_all_esms = readable_mappings


def _may_read(mapping: dict[str, Any], region: str) -> bool:
    source = str(mapping.get("EventSourceArn", ""))
    service, account = (source.split(":") + [""] * 5)[2:5:2]
    function = lambda_svc._functions._data.get((account, region, mapping["FunctionName"]))
    if function is None:
        return True  # MiniStack says so
    if service == "sqs":
        checks = [Check(action, source) for action in _READS_QUEUE]
    elif service == "dynamodb":
        checks = [Check(action, source) for action in _READS_STREAM] + [Check("dynamodb:ListStreams", "*")]
    else:
        return True
    return _is_allowed(_role(function["config"], region), checks, f"to read {source}")


def _keep_failures_as_the_role() -> None:
    send = lambda_svc._send_ddb_stream_failure_record

    def send_if_allowed(mapping: dict[str, Any], function: dict[str, Any], *arguments: Any) -> None:
        destination = ((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination", "")
        config = function.get("config") or function
        checks = [Check("sqs:SendMessage", destination)] if ":sqs:" in destination else []
        if _is_allowed(_role(config), checks, f"to send to {destination}"):
            send(mapping, function, *arguments)

    lambda_svc._send_ddb_stream_failure_record = send_if_allowed


def _role(config: dict[str, Any], region: str | None = None) -> Role:
    return Role(config["Role"], config["FunctionName"], region or get_region())


def _is_allowed(role: Role, checks: list[Check], purpose: str) -> bool:
    if not role.trusts("lambda.amazonaws.com"):
        logger.warning("Lambda cannot assume %s %s", role.arn, purpose)
        return False
    for check in checks:
        refusal = role.refusal(check)
        if refusal is not None:
            logger.warning("%s", refusal)
            return False
    return True
