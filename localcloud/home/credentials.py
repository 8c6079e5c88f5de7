"""The operator of the local cloud: an IAM user whose signatures MiniStack checks, unlike root's."""

import json

from botocore.exceptions import ClientError

from localcloud.home.connections import Connection

USER = "loupe-operator"


def use_operator(connection: Connection, previous: Connection | None) -> None:
    """Replace root's key in `connection` by the operator's.

    Args:
        connection: A connection with root's key.
        previous: The connection of the last run. Its key is used again while it is valid; otherwise the operator
            gets a new one.
    """
    if previous is not None:
        root_key = connection.access_key_id, connection.secret_access_key
        connection.use(previous.access_key_id, previous.secret_access_key)
        try:
            connection.client("sts").get_caller_identity()
        except ClientError:
            connection.use(*root_key)
        else:
            return
    iam = connection.client("iam")
    if USER not in {user["UserName"] for user in iam.list_users()["Users"]}:
        iam.create_user(UserName=USER)
    allow_all = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow_all]})
    iam.put_user_policy(UserName=USER, PolicyName="everything", PolicyDocument=policy)
    for key in iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=USER, AccessKeyId=key["AccessKeyId"])
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    connection.use(key["AccessKeyId"], key["SecretAccessKey"])
