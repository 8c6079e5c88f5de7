"""Cursors: where a list goes on. A client hands them back as they are."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from api.errors import ApiError

_DIGEST_CHARACTERS = 16


def encode(position: str | None, scope: Mapping[str, Any]) -> str | None:
    """Return the cursor of a position in a list; None at the list's end.

    Args:
        position: Where the list goes on.
        scope: Which list: its name, and its filters as they were asked for.
    """
    if position is None:
        return None
    text = json.dumps([position, _digest(position, scope)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str | None, scope: Mapping[str, Any]) -> str | None:
    """Return the position that a cursor means; None without a cursor.

    The digest is no secret: who forges a cursor reads another part of a list that is open to him anyway. It finds
    the cursor that was cut, or that belongs to another list or to other filters.

    Raises:
        ApiError: It is no cursor of this list.
    """
    if cursor is None:
        return None
    try:
        position, digest = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        # Its characters are compared, because it may be of any type.
        if isinstance(position, str) and str(digest) == _digest(position, scope):
            return position
    except (ValueError, TypeError, RecursionError):
        pass
    raise invalid_cursor()


def invalid_cursor() -> ApiError:
    """Return the error of a cursor that does not belong to the list."""
    return ApiError(400, "invalid_cursor", "The cursor does not belong to this list; start again without it.")


def _digest(position: str, scope: Mapping[str, Any]) -> str:
    asked = {name: value for name, value in scope.items() if value is not None}
    text = json.dumps([position, asked], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]
