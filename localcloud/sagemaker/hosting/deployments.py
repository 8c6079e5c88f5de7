"""Blue/green deployments: the new fleet gets the traffic in steps, and loses it again if an alarm fires.

AWS documents them as deployment guardrails (SageMaker developer guide, "Deployment guardrails for updating
models in production"). A fleet is one server here, so a share of its capacity is a share of the requests.
"""

import threading
import time
from typing import TYPE_CHECKING, Any

from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.hosting.fleets import Fleet

if TYPE_CHECKING:  # its import brings MiniStack's
    from localcloud.sagemaker.roles import Roles

_POLL_S = 0.2
_MAX_EXECUTION_S = 3600 * 8
_ROUNDING = 1e-9


class RolledBackError(Exception):
    """The deployment was rolled back; the message is the FailureReason."""


class Traffic:
    """Decides which fleet gets the next request.

    Attributes:
        blue: The fleet in service.
        green: The new fleet during a deployment.
        share: The share of the requests that the green fleet gets, 0..1.
        stage: What DescribeEndpoint returns as the green variant's status.
    """

    def __init__(self, blue: Fleet) -> None:
        self.blue = blue
        self.green: Fleet | None = None
        self.share = 0.0
        self.stage = "Creating"
        self._green_credit = 0.0  # the requests that the green fleet has yet to get
        self._lock = threading.Lock()

    def route(self, green: Fleet | None, share: float, stage: str = "Creating") -> None:
        """Send `share` of the requests to `green` from now on."""
        with self._lock:
            self.green, self.share, self.stage = green, share, stage
            self._green_credit = 0.0

    def choose(self) -> Fleet:
        """Return the fleet for one request."""
        with self._lock:
            self._green_credit += self.share
            if self.green is not None and self._green_credit >= 1 - _ROUNDING:
                self._green_credit -= 1
                return self.green
            return self.blue


def check(config: dict[str, Any] | None, instances: int) -> None:
    """Check a DeploymentConfig.

    Args:
        config: The configuration; None is valid.
        instances: The variant's instance count.

    Raises:
        AwsError: ValidationException, if AWS or the local cloud cannot follow it.
    """
    if config is None:
        return
    if "RollingUpdatePolicy" in config:
        raise invalid("The local cloud deploys by BlueGreenUpdatePolicy, not by RollingUpdatePolicy.")
    policy = config.get("BlueGreenUpdatePolicy")
    if policy is None:
        return
    routing = policy["TrafficRoutingConfiguration"]
    kind, canary, step = routing["Type"], routing.get("CanarySize"), routing.get("LinearStepSize")
    if (kind == "CANARY") != (canary is not None) or (kind == "LINEAR") != (step is not None):
        raise invalid("CanarySize goes with traffic routing of type CANARY, LinearStepSize with LINEAR.")
    # No share of one instance is at most half of it.
    if canary is not None and (instances < 2 or _share(canary, instances) > 0.5):
        raise invalid("CanarySize must be less than or equal to 50% of the variant's total instance count.")
    if step is not None and (instances < 2 or not 0.1 <= _share(step, instances) <= 0.5):
        raise invalid("LinearStepSize must be 10-50% of the variant's total instance count.")
    limit_s = policy.get("MaximumExecutionTimeoutInSeconds", _MAX_EXECUTION_S)
    waits_s = len(_shares(routing, instances)) * routing["WaitIntervalInSeconds"]
    if limit_s <= waits_s + policy.get("TerminationWaitInSeconds", 0):
        raise invalid(
            "MaximumExecutionTimeoutInSeconds must be larger than the total waiting time specified in "
            "TerminationWaitInSeconds and WaitIntervalInSeconds."
        )


class Deployment:
    """One deployment by a DeploymentConfig; without a configuration all traffic moves at once."""

    def __init__(
        self, config: dict[str, Any] | None, instances: int, roles: "Roles", closing: threading.Event
    ) -> None:
        """Initialize a deployment; its time limit begins now.

        Args:
            config: The DeploymentConfig.
            instances: The variant's instance count.
            roles: Gives the states of the alarms.
            closing: Set when the cloud stops.
        """
        policy = (config or {}).get("BlueGreenUpdatePolicy", {})
        all_at_once = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        routing = policy.get("TrafficRoutingConfiguration", all_at_once)
        self._shares = _shares(routing, instances)
        self._wait_s = routing["WaitIntervalInSeconds"]
        self._termination_wait_s = policy.get("TerminationWaitInSeconds", 0)
        self._limit_s = policy.get("MaximumExecutionTimeoutInSeconds", _MAX_EXECUTION_S)
        alarms = (config or {}).get("AutoRollbackConfiguration", {}).get("Alarms", [])
        self._alarms = [alarm["AlarmName"] for alarm in alarms if "AlarmName" in alarm]
        self._roles, self._closing = roles, closing
        self._began = time.monotonic()

    def run(self, traffic: Traffic, green: Fleet) -> None:
        """Move the traffic to `green`; the old fleet still runs at the end.

        Raises:
            RolledBackError: If an alarm fires, the deployment takes too long, or the cloud stops.
        """
        for share in self._shares:
            traffic.route(green, share, "ActivatingTraffic")
            traffic.stage = "Baking"
            self._bake(self._wait_s)
        self._bake(self._termination_wait_s)

    def _bake(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            self._check_alarms_and_limit()
            remaining = end - time.monotonic()
            if remaining <= 0:
                return
            if self._closing.wait(min(remaining, _POLL_S)):
                raise RolledBackError("The local cloud is stopping.")

    def _check_alarms_and_limit(self) -> None:
        states = self._roles.alarm_states(self._alarms) if self._alarms else {}
        if missing := [name for name in self._alarms if name not in states]:
            raise RolledBackError(f"Auto-rollback: there is no CloudWatch alarm {', '.join(missing)}.")
        if firing := [name for name, state in states.items() if state == "ALARM"]:
            raise RolledBackError(
                f"One or more configured alarms went into ALARM state: [{', '.join(firing)}]. "
                "The traffic is back on the old fleet."
            )
        if time.monotonic() - self._began > self._limit_s:
            raise RolledBackError(f"The deployment took longer than {self._limit_s} seconds.")


def _share(size: dict[str, Any], instances: int) -> float:
    value = float(size["Value"])
    return value / 100 if size["Type"] == "CAPACITY_PERCENT" else value / instances


def _shares(routing: dict[str, Any], instances: int) -> list[float]:
    """Return the green fleet's share after each step."""
    if routing["Type"] == "CANARY":
        return [_share(routing["CanarySize"], instances), 1.0]
    if routing["Type"] == "LINEAR":
        step = _share(routing["LinearStepSize"], instances)
        count = -int(-1 // step)
        return [min(1.0, step * (number + 1)) for number in range(count)]
    return [1.0]
