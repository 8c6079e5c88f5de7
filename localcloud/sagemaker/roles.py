"""What SageMaker needs from MiniStack: the account's IAM roles and CloudWatch alarms.

A container acts as its role: it has session credentials, which IAM checks at every call.
"""

import logging
import secrets
import threading
from typing import Any

from botocore.config import Config
from ministack.core import responses
from ministack.services import cloudwatch, sts

from localcloud.home.connections import isolated_session
from localcloud.permissions.roles import Check, Role
from localcloud.sagemaker.aws_errors import invalid

logger = logging.getLogger(__name__)

_SERVICE = "sagemaker.amazonaws.com"
# As many threads share a client as fetch files at once.
_MAX_CONNECTIONS = 16


class Roles:
    """Gives sessions of the roles that trust sagemaker.amazonaws.com.

    Attributes:
        endpoint_url: The address of the local cloud.
        region: The only region.
        account: The only account.
    """

    def __init__(self, endpoint_url: str, region: str, account: str) -> None:
        self.endpoint_url, self.region, self.account = endpoint_url, region, account
        # One session, since it reads the services' models once. It may create one client at a time.
        self._session, self._lock = isolated_session(), threading.Lock()

    def environment(self, role_arn: str) -> dict[str, str]:
        """Return the variables with which an AWS SDK in the container acts as `role_arn`.

        Raises:
            AwsError: ValidationException, if the role is unknown or does not trust SageMaker.
        """
        name = role_arn.rsplit("/", 1)[-1]
        if not self._role(role_arn).trusts(_SERVICE):
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

    def client(self, service: str, role_arn: str) -> Any:
        """Return a client of `service` with the role's permissions.

        Raises:
            AwsError: ValidationException, if the role is unknown or does not trust SageMaker.
        """
        environment = self.environment(role_arn)
        with self._lock:
            return self._session.client(  # type: ignore[call-overload]
                service,
                aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
                aws_session_token=environment["AWS_SESSION_TOKEN"],
                region_name=self.region,
                endpoint_url=self.endpoint_url,
                config=Config(retries={"total_max_attempts": 3}, max_pool_connections=_MAX_CONNECTIONS),
            )

    def may_put_metrics(self, role_arn: str, namespace: str) -> bool:
        """Return whether a role may write metrics of a namespace, as SageMaker does for a job with the job's role.

        https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createtrainingjob-perms
        """
        check = Check("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": namespace})
        refusal = self._role(role_arn).refusal(check)
        if refusal is not None:
            logger.warning("%s", refusal)
        return refusal is None

    def _role(self, role_arn: str) -> Role:
        return Role(role_arn, "SageMaker", self.region)

    def alarm_states(self, names: list[str]) -> dict[str, str]:
        """Return the states (OK, ALARM, INSUFFICIENT_DATA) of the named CloudWatch alarms that exist."""
        with responses.request_scope(self.account, self.region):
            alarms = {name: cloudwatch._alarms.get(name) for name in names}
        return {name: alarm["StateValue"] for name, alarm in alarms.items() if alarm is not None}
