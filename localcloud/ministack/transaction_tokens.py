"""Changes to MiniStack's DynamoDB: of a transaction that is remembered by its token, only a digest is kept.

DynamoDB knows a transaction again by its token for ten minutes, and refuses another one with the same token. The SDKs
send a token with each transaction. MiniStack keeps the whole request for that time: 10 KiB for each inspected image.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ministack.services import dynamodb


class Digest:
    """Equal to every request with the same content."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, request: dict[str, Any]) -> None:
        self._digest = _digest(request)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and _digest(other) == self._digest


def apply() -> None:
    """Patch MiniStack."""
    store = dynamodb._txn_token_store

    def store_digest(token: str, entry: dict[str, Any]) -> None:
        store(token, {**entry, "signature": Digest(entry["signature"])})

    dynamodb._txn_token_store = store_digest


def _digest(request: dict[str, Any]) -> bytes:
    return hashlib.blake2b(json.dumps(request, sort_keys=True).encode(), digest_size=16).digest()
