"""Service-linked roles, which a service creates in the account when it is first used.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html
"""

from dataclasses import dataclass

from ministack.services import iam


@dataclass(frozen=True)
class LinkedRole:
    """A service-linked role.

    Attributes:
        name: The role's name.
        service: The principal that alone may assume it.
    """

    name: str
    service: str

    def arn(self, account: str) -> str:
        """Return its ARN in an account."""
        return f"arn:aws:iam::{account}:role/aws-service-role/{self.service}/{self.name}"

    def exists(self, account: str) -> bool:
        """Return whether an account has it."""
        return iam._roles.get_scoped(account, None, self.name) is not None

    def create(self, account: str) -> None:
        """Create it, as a call of the account's."""
        iam._create_service_linked_role({"AWSServiceName": [self.service]})
        # MiniStack makes a name of its own from the service's.
        made = f"AWSServiceRoleFor{self.service.split('.')[0].capitalize()}"
        role = iam._roles.pop(made)
        iam._roles[self.name] = {**role, "RoleName": self.name, "Arn": self.arn(account)}
