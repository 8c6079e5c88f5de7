"""The people who may use the dashboard: the users of the stack's Cognito user pool, and their groups."""

from __future__ import annotations

import re
import secrets
import string
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contract.inspections import timestamp
from contract.text import plain
from loupe.errors import LoupeError

if TYPE_CHECKING:
    from loupe.stack.target import Target

# Cognito's own limits, so that the local cloud refuses what AWS would refuse:
# https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminCreateUser.html
_LONGEST_NAME = 128
_NAME_CATEGORIES = "LMNPS"  # letters, marks, numbers, punctuation, symbols
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LENGTH = 16
_ALPHABET = string.ascii_letters + string.digits


class Group(StrEnum):
    """What somebody may do. Each group may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    REVIEWER = "reviewer"
    ADMIN = "admin"


@dataclass(frozen=True)
class User:
    """Somebody who may sign in.

    Attributes:
        name: The user's name.
        groups: The groups; more than one only if somebody has changed them in Cognito.
        email: The e-mail address; None if there is none.
        state: Cognito's word: CONFIRMED, or FORCE_CHANGE_PASSWORD before the first sign-in.
        enabled: Whether the user may sign in.
        since: When the user was added, ISO 8601 in UTC.
    """

    name: str
    groups: list[str]
    email: str | None
    state: str
    enabled: bool
    since: str


def users(target: Target) -> list[User]:
    """Return all users, by name."""
    pool, cognito = target.output("UserPoolId"), target.cognito
    groups: dict[str, list[str]] = {}
    for group in Group:
        members = cognito.get_paginator("list_users_in_group").paginate(UserPoolId=pool, GroupName=group)
        for page in members:
            for user in page["Users"]:
                groups.setdefault(user["Username"], []).append(group.value)
    pages = cognito.get_paginator("list_users").paginate(UserPoolId=pool)
    found = [_user(user, groups) for page in pages for user in page["Users"]]
    return sorted(found, key=lambda user: user.name)


def add(target: Target, name: str, group: Group, email: str | None = None) -> str:
    """Add a user.

    Args:
        target: The stack.
        name: What the user signs in with.
        group: What the user may do.
        email: The user's e-mail address; nothing is sent to it.

    Returns:
        A temporary password, which is stored nowhere. The user chooses another at the first sign-in.

    Raises:
        LoupeError: There is such a user, or the name or the address is not one.
    """
    _check(name, email)
    pool, password = target.output("UserPoolId"), _temporary_password()
    attributes: Any = (
        [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}] if email else []
    )
    with _explained(name):
        target.cognito.admin_create_user(
            UserPoolId=pool,
            Username=name,
            TemporaryPassword=password,
            MessageAction="SUPPRESS",
            UserAttributes=attributes,
        )
        target.cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
    _record(target, name, "added", new=group)
    return password


def move(target: Target, name: str, group: Group) -> None:
    """Let a user be in this group only. It is effective when the user's token is renewed, within an hour.

    Raises:
        LoupeError: There is no such user.
    """
    pool = target.output("UserPoolId")
    with _explained(name):
        listed = target.cognito.admin_list_groups_for_user(UserPoolId=pool, Username=name)["Groups"]
        former = {entry["GroupName"] for entry in listed} - {group.value}
        # First the new group, so that a failure between leaves the user able to work.
        target.cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
        for left in former:
            target.cognito.admin_remove_user_from_group(UserPoolId=pool, Username=name, GroupName=left)
    _record(target, name, "moved", old=", ".join(sorted(former)), new=group)


def reset_password(target: Target, name: str) -> str:
    """Return a new temporary password for a user who has lost the old one.

    Raises:
        LoupeError: There is no such user.
    """
    password = _temporary_password()
    with _explained(name):
        target.cognito.admin_set_user_password(
            UserPoolId=target.output("UserPoolId"), Username=name, Password=password, Permanent=False
        )
    _record(target, name, "password_reset")
    return password


def remove(target: Target, name: str) -> None:
    """Remove a user. A token that the user has may be valid for up to an hour.

    Raises:
        LoupeError: There is no such user.
    """
    pool = target.output("UserPoolId")
    with _explained(name):
        target.cognito.admin_user_global_sign_out(UserPoolId=pool, Username=name)
        target.cognito.admin_delete_user(UserPoolId=pool, Username=name)
    _record(target, name, "removed")


def _user(user: Any, groups: dict[str, list[str]]) -> User:
    attributes = {entry["Name"]: entry["Value"] for entry in user.get("Attributes", [])}
    return User(
        name=user["Username"],
        groups=groups.get(user["Username"], []),
        email=attributes.get("email"),
        state=user["UserStatus"],
        enabled=user["Enabled"],
        since=user["UserCreateDate"].isoformat(),
    )


def _check(name: str, email: str | None) -> None:
    """Raise LoupeError if Cognito would not accept a name or an address."""
    named = all(unicodedata.category(character)[0] in _NAME_CATEGORIES for character in name)
    if not named or not 1 <= len(name) <= _LONGEST_NAME:
        raise LoupeError(
            f"a user's name has 1 to {_LONGEST_NAME} characters and no spaces: {plain(name)!r}",
            "Choose another, such as maria or maria@example.com.",
        )
    if email is not None and not _EMAIL.fullmatch(email):
        raise LoupeError(f"this is no e-mail address: {plain(email)!r}")


def _record(target: Target, name: str, action: str, old: str = "", new: str = "") -> None:
    """Write into the history who changed a user; the table is only appended to."""
    changed = {field: value for field, value in (("old", old), ("new", str(new))) if value}
    target.dynamodb.Table(target.output("HistoryTableName")).put_item(
        Item={
            "subject": f"user#{name}",
            "at_id": f"{timestamp(datetime.now(UTC))}#{secrets.token_hex(6)}",
            "by": plain(target.identity.rpartition("/")[2]),
            "action": action,
            **changed,
        }
    )


def _temporary_password() -> str:
    """Return a password that satisfies the pool's policy."""
    while True:
        password = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
        if all(set(kind) & set(password) for kind in kinds):
            return password


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn Cognito's refusals into errors that say what to do. Raises LoupeError."""
    try:
        yield
    except ClientError as error:
        match error.response["Error"]["Code"]:
            case "UsernameExistsException":
                raise LoupeError(
                    f"there is a user {name} already",
                    f"Change the group (loupe users group {name} GROUP) or the password (loupe users password {name}).",
                ) from error
            case "UserNotFoundException":
                raise LoupeError(f"there is no user {name}", "List them: loupe users list") from error
            case "InvalidParameterException":
                reason = error.response["Error"]["Message"]
                raise LoupeError(f"Cognito does not accept this: {reason}") from error
        raise
