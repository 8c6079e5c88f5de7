"""One run at a time: a document names the execution that holds the lock.

The lock is never released. A run that finds it asks Step Functions whether that execution still runs, so a run
that was killed blocks no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contract.keys import LOCK

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

    from retraining.documents import Documents


def acquire(documents: Documents, states: SFNClient, execution: str) -> str | None:
    """Take the lock for an execution.

    Args:
        documents: The artefacts bucket.
        states: The Step Functions client.
        execution: The ARN of the execution that asks.

    Returns:
        None if the lock is taken, else the ARN of the execution that holds it.
    """
    stored = documents.find(LOCK)
    mine = {"execution": execution}
    if stored is None:
        if documents.write(LOCK, mine, new=True):
            return None
        return acquire(documents, states, execution)
    document, etag = stored
    holder = str(document["execution"])
    if holder == execution:  # a retry of the same step
        return None
    if _is_running(states, holder):
        return holder
    if documents.write(LOCK, mine, if_match=etag):
        return None
    return acquire(documents, states, execution)


def _is_running(states: SFNClient, execution: str) -> bool:
    try:
        return states.describe_execution(executionArn=execution)["status"] in ("RUNNING", "PENDING_REDRIVE")
    except ClientError as error:
        # Step Functions forgets an execution 90 days after its end.
        if error.response["Error"]["Code"] in ("ExecutionDoesNotExist", "InvalidArn"):
            return False
        raise
