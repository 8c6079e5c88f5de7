"""A container works under its own role: session credentials that MiniStack's IAM checks at every call."""

import json
import secrets
from typing import Any

from botocore.config import Config
from ministack.services import iam, sts

from loupe.local.connections import own_session
from loupe.local.sagemaker.errors import invalid


class Roles:
    """Hands out sessions of roles that trust sagemaker.amazonaws.com."""

    def __init__(self, endpoint_url: str, region: str, account: str) -> None:
        self.endpoint_url, self.region, self.account = endpoint_url, region, account

    def environment(self, role_arn: str) -> dict[str, str]:
        """The variables by which an AWS SDK in the container acts as `role_arn`.

        Raises AwsError (ValidationException) if the role is unknown or does not trust SageMaker.
        """
        name = role_arn.rsplit("/", 1)[-1]
        role: dict[str, Any] | None = iam._roles.get_scoped(self.account, None, name)
        if role is None or not _trusts_sagemaker(role.get("AssumeRolePolicyDocument")):
            raise invalid(
                f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
                "'sagemaker.amazonaws.com' to assume the role."
            )
        access_key = "ASIA" + secrets.token_hex(8).upper()
        secret, token = secrets.token_hex(20), secrets.token_hex(32)
        sts.register_session(
            access_key,
            {
                "Arn": f"arn:aws:sts::{self.account}:assumed-role/{name}/SageMaker",
                "UserId": f"{name}:SageMaker",
                "SecretAccessKey": secret,
                "SessionToken": token,
            },
        )
        return {
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_SESSION_TOKEN": token,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint_url,
        }

    def s3(self, role_arn: str) -> Any:
        """An S3 client that may do what the role may do."""
        environment = self.environment(role_arn)
        return own_session().client(
            "s3",
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=environment["AWS_SESSION_TOKEN"],
            region_name=self.region,
            endpoint_url=self.endpoint_url,
            config=Config(retries={"total_max_attempts": 2}),
        )


def _trusts_sagemaker(document: Any) -> bool:
    policy = json.loads(document) if isinstance(document, str) else document or {}
    statements = policy.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        if statement.get("Effect") == "Allow" and "sagemaker.amazonaws.com" in (
            [services] if isinstance(services, str) else services
        ):
            return True
    return False
