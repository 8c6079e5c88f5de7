"""Transactions of DynamoDB: what their failures mean."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_logger = logging.getLogger(__name__)
_serialize = TypeSerializer().serialize
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
MOST_ACTIONS = 100
ATTEMPTS = 5
_FIRST_PAUSE_S = 0.05
_CONDITION_FAILED = "ConditionalCheckFailed"
_REFUSED = {"ValidationException", "ValidationError", "ItemCollectionSizeLimitExceeded"}
_PASSING = {
    "TransactionConflict",
    "TransactionInProgressException",
    "ThrottlingError",
    "ThrottlingException",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "InternalServerError",
    "ServiceUnavailable",
}


class Result(Enum):
    """What has become of a transaction. Nothing is written, unless it is `WRITTEN`."""

    WRITTEN = "written"
    CONDITION_FAILED = "condition failed"
    BUSY = "busy"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a transaction, and the positions of the actions whose condition failed."""

    result: Result
    failed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Transactions:
    """Writes several items together, or none.

    Attributes:
        client: Of DynamoDB, without retries of its own, so that an attempt ends soon after the time that it states.
        table_name: The table.
        sleep: Waits for some seconds.
    """

    client: DynamoDBClient
    table_name: str
    sleep: Callable[[float], None] = time.sleep

    def write(self, actions: list[Any]) -> Outcome:
        """Try once to write.

        Raises:
            ClientError: For an error that neither time nor other actions heal, such as a missing permission.
        """
        try:
            self.client.transact_write_items(TransactItems=actions)
        except ClientError as error:
            return _outcome(error)
        except BotoCoreError:
            # It may have been written all the same. The next attempt finds out, by its conditions.
            _logger.warning("DynamoDB did not answer", exc_info=True)
            return Outcome(Result.BUSY)
        return Outcome(Result.WRITTEN)

    def pause(self, attempt: int) -> None:
        """Wait before the next attempt: longer each time, and by chance, because others wait, too."""
        self.sleep(_FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - no secret

    def put(self, item: dict[str, Any], **condition: Any) -> Any:
        """Return the action that puts an item."""
        content = {name: _serialize(value) for name, value in item.items()}
        return {"Put": {"TableName": self.table_name, "Item": content, **condition}}

    def put_once(self, item: dict[str, Any]) -> Any:
        """Return the action that puts an item, on the condition that there is none of its key."""
        return self.put(item, ConditionExpression="attribute_not_exists(pk)")

    def delete(self, key: dict[str, str]) -> Any:
        """Return the action that deletes an item."""
        content = {name: _serialize(value) for name, value in key.items()}
        return {"Delete": {"TableName": self.table_name, "Key": content}}


def _outcome(error: ClientError) -> Outcome:
    reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
    codes = {*reasons, error.response["Error"]["Code"]}
    if failed := frozenset(index for index, code in enumerate(reasons) if code == _CONDITION_FAILED):
        return Outcome(Result.CONDITION_FAILED, failed)
    if codes & _PASSING:
        return Outcome(Result.BUSY)
    if codes & _REFUSED:
        _logger.error("DynamoDB refused a transaction: %s", error)
        return Outcome(Result.REFUSED)
    raise error
