"""One run at a time: a document that names the execution at work.

It is never released: who finds it asks Step Functions whether the named execution still runs, so a run that
was killed blocks nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contract.keys import LOCK

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

    from retraining.documents import Documents


def acquire(documents: Documents, states: SFNClient, execution: str) -> str | None:
    """Takes the lock for `execution`; the ARN of the execution that holds it instead, or None."""
    found = documents.find(LOCK)
    mine = {"execution": execution}
    if found is None:
        if documents.write(LOCK, mine, new=True):
            return None
        return acquire(documents, states, execution)
    holder = str(found[0]["execution"])
    if holder == execution:  # a retry of the same step
        return None
    if _runs(states, holder):
        return holder
    if documents.write(LOCK, mine, if_match=found[1]):
        return None
    return acquire(documents, states, execution)


def _runs(states: SFNClient, execution: str) -> bool:
    try:
        return states.describe_execution(executionArn=execution)["status"] in ("RUNNING", "PENDING_REDRIVE")
    except ClientError as error:
        # Step Functions forgets executions 90 days after their end.
        if error.response["Error"]["Code"] in ("ExecutionDoesNotExist", "InvalidArn"):
            return False
        raise
