"""The stack itself: from the template and the functions of this installation to a complete stack.

Which template a stack was deployed from is noted beside its packages, in the deployment bucket. Without the note, or
with one of an earlier update, the stack is deployed again, and CloudFormation says that nothing changes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version

from botocore.exceptions import ClientError

from loupe.account import cloudformation, sam
from loupe.account.account import Account
from loupe.account.cloudformation import NEVER_CREATED, Stack
from loupe.account.site import Site
from loupe.errors import LoupeError


@dataclass(frozen=True)
class Note:
    """What a stack was deployed from.

    Attributes:
        source: The hash of template, functions and state machine.
        stack_id: The stack, which may have been created anew since.
        changed: When CloudFormation changed the stack last; somebody else may have changed it since.
        version: The version of Loupe.
    """

    source: str
    stack_id: str
    changed: str
    version: str


def read_note(account: Account) -> Note | None:
    """Return what the stack was deployed from; None if it is not known."""
    try:
        reply = account.client("s3").get_object(Bucket=account.name("deploy"), Key=_key(account))
        return Note(**json.loads(reply["Body"].read()))
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "404"):
            return None
        raise
    except (ValueError, TypeError):
        # Of another version of Loupe.
        return None


def found(site: Site) -> str | None:
    """Return the stack's status if it is deployed as it is to be."""
    stack = cloudformation.describe(site.account)
    if stack is None or not stack.complete or not _has_parameters(stack, site):
        return None
    note = read_note(site.account)
    if note is None or (note.stack_id, note.changed) != (stack.stack_id, stack.changed):
        return None
    return stack.status if note.source == sam.digest() else None


def deploy(site: Site) -> str:
    """Create or update the stack, and return what was done.

    Raises:
        LoupeError: The build or a resource failed, or the changes would lose something and were not accepted.
    """
    account = site.account
    # What an earlier call has begun goes on by itself.
    stack = cloudformation.wait(account, site.on_line)
    if stack and stack.status in NEVER_CREATED:
        site.on_line("deleting the rest of the failed creation")
        cloudformation.delete(account, site.on_line)
        stack = None
    source = sam.digest()
    with sam.built(site.on_line, for_this_machine=account.local) as template:
        change_set = sam.change_set(account, template, site.settings.parameters, site.on_line)
    if change_set is None:
        if stack is None:
            raise LoupeError("sam has created no change set for the new stack", "Repeat the command.")
        _note(account, source, stack)
        return "no changes"
    changes = cloudformation.changes(account, change_set)
    dangerous = [change for change in changes if change.dangerous] if stack else []
    if dangerous and not site.accept(dangerous):
        account.client("cloudformation").delete_change_set(ChangeSetName=change_set)
        raise LoupeError(
            "the stack was not changed: " + "; ".join(change.text for change in dangerous),
            "Look at CHANGELOG.md and docs/deploy.md. To change it all the same: --accept-losses",
        )
    stack = cloudformation.execute(account, change_set, site.on_line)
    _note(account, source, stack)
    return f"{stack.status}, {len(changes)} resources changed"


def _has_parameters(stack: Stack, site: Site) -> bool:
    return all(stack.parameters.get(name) == value for name, value in site.settings.parameters.items())


def _note(account: Account, source: str, stack: Stack) -> None:
    note = Note(source, stack.stack_id, stack.changed, version("loupe"))
    account.client("s3").put_object(
        Bucket=account.name("deploy"), Key=_key(account), Body=json.dumps(asdict(note)).encode()
    )


def _key(account: Account) -> str:
    return f"{account.stack}/deployed.json"
