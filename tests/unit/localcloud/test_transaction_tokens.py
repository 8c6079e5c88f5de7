"""Transactions that are remembered by their token in the local cloud."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from typing import Any

import pytest
from ministack.core.responses import AccountRegionScopedDict, request_scope
from ministack.services import dynamodb

from localcloud.ministack import transaction_tokens

SCOPE = ("000000000000", "us-east-1")


def test_a_repeated_transaction_is_known_by_its_token_without_its_content(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_tables", "_txn_idempotency"):
        monkeypatch.setattr(dynamodb, name, AccountRegionScopedDict())
    monkeypatch.setattr(dynamodb, "_txn_token_store", dynamodb._txn_token_store)
    transaction_tokens.apply()
    table: dict[str, Any] = {
        "TableName": "table",
        "pk_name": "id",
        "sk_name": None,
        "items": defaultdict(dict),
    }
    table["AttributeDefinitions"] = [{"AttributeName": "id", "AttributeType": "S"}]
    table["KeySchema"] = [{"AttributeName": "id", "KeyType": "HASH"}]
    dynamodb._tables.set_scoped(*SCOPE, "table", table)

    def transact(text: str) -> Any:
        item = {"id": {"S": "a"}, "text": {"S": text}}
        puts = [
            {"Put": {"TableName": "table", "Item": item, "ConditionExpression": "attribute_not_exists(id)"}}
        ]
        with request_scope(*SCOPE):
            return dynamodb._transact_write_items({"ClientRequestToken": "token", "TransactItems": puts})

    long = "x" * 100_000
    assert transact(long)[0] == 200
    assert transact(long)[0] == 200, "the condition would fail: it is not applied again"
    refused = transact("another")
    assert refused[0] == 400
    assert "IdempotentParameterMismatch" in json.dumps(str(refused))
    (kept,) = dynamodb._txn_idempotency._data.values()
    assert sys.getsizeof(kept["signature"]) + sum(map(sys.getsizeof, vars(kept["signature"]).values())) < 1000
