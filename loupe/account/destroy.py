"""Deletes what a stack has: first what costs most, then the stack, then what outlives it.

Each step looks at what is there. So a destruction that was interrupted anywhere is simply repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from loupe.account import inventory
from loupe.account.account import Account
from loupe.account.holdings import deployment, hosting, jobs, logs, storage
from loupe.account.holdings.scope import Item, Work, is_missing
from loupe.account.inventory import Inventory
from loupe.errors import LoupeError

# In the order of deletion. A run ends before its jobs, which it would start again; the endpoint goes before what it
# needs; the roles, which SageMaker needs for that, are in the stack; and what still writes into logs and buckets is
# gone with the stack.
_DELETIONS: dict[str, Callable[[Work, Item], None]] = {
    "retraining run": jobs.stop_run,
    **dict.fromkeys(jobs.KINDS, jobs.delete_job),
    "transform job": jobs.end_transform,
    "scaling": hosting.delete_scaling,
    "endpoint": hosting.delete_endpoint,
    "endpoint configuration": hosting.delete_config,
    "model": hosting.delete_model,
    "model package group": hosting.delete_group,
    "stack": deployment.delete_stack,
    "scaling alarm": hosting.delete_alarm,
    "job logs": logs.delete_streams,
    "log group": logs.delete_group,
    "image builder": deployment.delete_builder,
    "repository": deployment.delete_repository,
    "deployment files": deployment.delete_deployment,
    "user pool": storage.delete_user_pool,
    "table": storage.delete_table,
    "bucket": storage.delete_bucket,
}
ORDER = tuple(_DELETIONS)
# Something may appear while the stack still works: a scheduled run, an image, a line of a log.
_ROUNDS = 4


@dataclass(frozen=True)
class Result:
    """What came of a destruction.

    Attributes:
        deleted: What was deleted, in this order.
        left: What is there now: what was to be kept, and what could not be deleted.
        problems: Why something could not be deleted.
    """

    deleted: list[Item]
    left: Inventory
    problems: list[str]


def destroy(
    account: Account,
    plan: Inventory,
    *,
    data: bool,
    on_step: Callable[[str], None],
    on_deleted: Callable[[Item], None],
) -> Result:
    """Delete what a stack has.

    Args:
        account: The account, and the stack's name.
        plan: What the stack has, as the user has seen it.
        data: Whether to delete buckets, tables and the user pool too.
        on_step: Receives a text for each step.
        on_deleted: Receives what has just been deleted.

    Raises:
        LoupeError: The stack is protected, so nothing was deleted.
    """
    check_protection(plan)
    work = Work(account, on_step)
    deleted: list[Item] = []
    problems: list[str] = []
    for _ in range(_ROUNDS):
        problems = []
        for item in sorted(plan.going(data), key=lambda item: ORDER.index(item.kind)):
            on_step(f"{item.kind} {item.name}")
            if problem := _delete(work, item):
                problems.append(problem)
            else:
                deleted.append(item)
                on_deleted(item)
        on_step("looking at what is left")
        plan = inventory.take(account)
        if not plan.going(data):
            return Result(deleted, plan, [])
    return Result(deleted, plan, problems)


def check_protection(plan: Inventory) -> None:
    """Check that CloudFormation and the data's own protection would allow a deletion. Raises LoupeError."""
    if plan.guarded:
        raise LoupeError(
            f"the data of the stack {plan.stack} are protected from deletion",
            "If they really are to go: "
            f"loupe cloud update --stack {plan.stack} --parameter DeletionProtection=false",
        )
    if plan.protected:
        raise LoupeError(
            f"the stack {plan.stack} is protected from deletion",
            "If it really is to go: aws cloudformation update-termination-protection "
            f"--no-enable-termination-protection --stack-name {plan.stack}",
        )


def _delete(work: Work, item: Item) -> str | None:
    """Delete something; return why this was not possible."""
    try:
        _DELETIONS[item.kind](work, item)
    except ClientError as error:
        if not is_missing(error):
            return f"{item.kind} {item.name}: {error}"
    except (BotoCoreError, LoupeError) as error:
        return f"{item.kind} {item.name}: {error}"
    return None
