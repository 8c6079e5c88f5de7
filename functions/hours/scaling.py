"""The endpoint's autoscaling, which ends with the endpoint and begins with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from contract.scaling import policy, scalable_target


@dataclass(frozen=True, slots=True)
class Scaling:
    """Registers and forgets what scales the endpoint.

    Attributes:
        client: Of Application Auto Scaling.
        endpoint: The endpoint's name.
        fewest: Instances.
        most: Instances.
        invocations: Images a minute for which autoscaling starts one instance.
    """

    client: Any
    endpoint: str
    fewest: int
    most: int
    invocations: int

    def register(self, variant: str) -> None:
        """Let the number of instances follow the images. Repeating it changes nothing."""
        target = scalable_target(self.endpoint, variant)
        self.client.register_scalable_target(**target, MinCapacity=self.fewest, MaxCapacity=self.most)
        self.client.put_scaling_policy(**target, **policy(self.invocations))

    def deregister(self, variant: str) -> None:
        """Forget the target, its policy and the alarms that AWS made for it. Nothing happens if there is none."""
        try:
            self.client.deregister_scalable_target(**scalable_target(self.endpoint, variant))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ObjectNotFoundException":
                raise
