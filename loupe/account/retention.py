"""How long the containers' logs are kept: SageMaker creates their groups without an end."""

from __future__ import annotations

from botocore.exceptions import ClientError

from loupe.account.account import Account
from loupe.stack import log_groups
from loupe.stack.target import Target


def endless(account: Account, target: Target) -> list[str]:
    """Return the groups that keep their logs for ever; the endpoint's too if it does not exist yet."""
    own, client = log_groups.of_endpoint(target.output("EndpointName")), account.client("logs")
    groups = {name: log_groups.find(client, name) for name in (own, *log_groups.SHARED)}
    names = [name for name, group in groups.items() if group and "retentionInDays" not in group]
    return names if groups[own] else [own, *names]


def limit(account: Account, target: Target) -> list[str]:
    """Let those groups end after the stack's LogRetentionDays, and return their names. Other limits stay."""
    client, days = account.client("logs"), int(target.outputs.get("LogRetentionDays", "30"))
    names = endless(account, target)
    for name in names:
        # The endpoint's first line would create its group without a limit.
        try:
            client.create_log_group(logGroupName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise
        client.put_retention_policy(logGroupName=name, retentionInDays=days)
    return names
