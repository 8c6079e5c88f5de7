"""Logs that CloudFormation does not delete: those of containers, and of functions that wrote when it was gone."""

from __future__ import annotations

from typing import Any

from loupe.account.builders import build_role
from loupe.account.holdings.scope import Item, Scope, Work, existing, size
from loupe.stack import log_groups


def find_groups(scope: Scope) -> list[Item]:
    """Return the log groups that exist and are the stack's alone."""
    client = scope.account.client("logs")
    names = {log_groups.of_endpoint(endpoint) for endpoint in scope.endpoints}
    names.add(build_role.log_group_name(scope.account))
    names |= {f"/aws/lambda/{function}" for function in scope.names("AWS::Lambda::Function")}
    # The groups of a stack that exists go with it.
    within = {
        name for each in scope.incarnations if each.exists for name in each.of_type("AWS::Logs::LogGroup")
    }
    names |= {*scope.names("AWS::Logs::LogGroup")} - within
    return [
        Item("log group", name, size(group.get("storedBytes", 0)))
        for name in sorted(names)
        if (group := log_groups.find(client, name))
    ]


def delete_group(work: Work, item: Item) -> None:
    """Delete a log group with all that is in it."""
    existing(work.account.client("logs").delete_log_group, logGroupName=item.name)


def find_streams(scope: Scope) -> list[Item]:
    """Return the logs of the stack's jobs, in the groups that all jobs of the account share."""
    client = scope.account.client("logs")
    items = []
    # A job's streams begin with its name.
    for group in log_groups.SHARED:
        if not scope.incarnations or not log_groups.find(client, group):
            continue
        for unique in sorted(scope.uniques):
            if number := len(_streams(client, group, f"{unique}-")):
                text = f"{number} job log{'' if number == 1 else 's'}"
                items.append(Item("job logs", f"{group}:{unique}-", text))
        if not scope.others and not _streams(client, group, "", most=1):
            items.append(Item("log group", group, "empty"))
    return items


def delete_streams(work: Work, item: Item) -> None:
    """Delete the logs of the stack's jobs, and leave those of others."""
    client = work.account.client("logs")
    group, _, prefix = item.name.rpartition(":")
    streams = _streams(client, group, prefix)
    for number, stream in enumerate(streams, start=1):
        work.tell(f"{group}: log {number} of {len(streams)}")
        existing(client.delete_log_stream, logGroupName=group, logStreamName=stream)


def _streams(client: Any, group: str, prefix: str, most: int | None = None) -> list[str]:
    request = {"logStreamNamePrefix": prefix} if prefix else {}
    pages = client.get_paginator("describe_log_streams").paginate(
        logGroupName=group, PaginationConfig={"MaxItems": most}, **request
    )
    return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
