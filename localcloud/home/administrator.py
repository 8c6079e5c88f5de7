"""The administrator of a local dashboard: a user of the user pool that is ready at the first start."""

import secrets
from pathlib import Path

from localcloud.home import files
from localcloud.home.connections import Connection

USER, GROUP = "admin", "admin"
FILE_NAME = "admin-password"


def ensure(connection: Connection, home: Path) -> None:
    """Create the user if there is none. The password is in the home, readable by its owner only.

    Args:
        connection: A local cloud in which a stack is deployed.
        home: The home of that cloud.
    """
    pool = connection.outputs.get("UserPoolId")
    if pool is None:
        return
    cognito = connection.client("cognito-idp")
    file = home / FILE_NAME
    try:
        user = cognito.admin_get_user(UserPoolId=pool, Username=USER)
        complete = user["UserStatus"] == "CONFIRMED" and file.exists()
    except cognito.exceptions.UserNotFoundException:
        cognito.admin_create_user(UserPoolId=pool, Username=USER, MessageAction="SUPPRESS")
        complete = False
    if not complete:
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=USER, GroupName=GROUP)
        restore(connection, home)


def restore(connection: Connection, home: Path) -> None:
    """Give the user the password that is in the home, also if somebody has changed it."""
    connection.client("cognito-idp").admin_set_user_password(
        UserPoolId=connection.outputs["UserPoolId"], Username=USER, Password=password(home), Permanent=True
    )


def password(home: Path) -> str:
    """Return the password, which is made when it is first asked for."""
    file = home / FILE_NAME
    if not file.exists():
        # The ending satisfies the pool's policy whatever is drawn before it.
        files.replace(file, f"{secrets.token_urlsafe(18)}-aA1")
    return file.read_text()
