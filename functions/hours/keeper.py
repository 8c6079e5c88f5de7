"""Compares the endpoint with its hours, and lets it rest or serve. Each look may be repeated, and may be the last one.

What is remembered is written before the endpoint is deleted, and forgotten after it serves again with its autoscaling:
whatever is interrupted, the next look goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from contract.shifts import LEAD, Shifts
from hours.memory import Memory, State
from hours.scaling import Scaling

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

Action = Literal["none", "stopped", "created", "ready", "waits"]
_MISSING, _IN_PROGRESS = "Could not find", "in-progress"
_BROKEN = ("Failed", "OutOfService")


class EndpointBrokenError(Exception):
    """The endpoint did not come up for the shift. It is created again at the next look."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look has found and done.

    Attributes:
        action: What was done.
        run: Whether the endpoint shall run.
        status: SageMaker's status of the endpoint; Missing if there is none.
    """

    action: Action
    run: bool
    status: str


@dataclass(frozen=True)
class Keeper:
    """Keeps the endpoint to its hours.

    Attributes:
        sagemaker: The SageMaker client.
        endpoint: The endpoint's name.
        shifts: The hours; None for always.
        memory: What outlasts the endpoint.
        scaling: The endpoint's autoscaling.
        is_swapping: Whether a retraining is exchanging the model.
        now: Returns the time.
    """

    sagemaker: SageMakerClient
    endpoint: str
    shifts: Shifts | None
    memory: Memory
    scaling: Scaling
    is_swapping: Callable[[], bool]
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def look(self) -> Look:
        """Stop the endpoint outside its hours, and create it before they begin.

        Raises:
            EndpointBrokenError: It did not come up.
        """
        state = self._without_old_wish(self.memory.read())
        run = self._shall_run(state)
        description = self._describe()
        status = description["EndpointStatus"] if description else "Missing"
        action = self._start(state, description) if run else self._stop(state, description)
        return Look(action, run, status)

    def _shall_run(self, state: State) -> bool:
        if state.wish:
            return state.wish.run
        now = self.now()
        return self.shifts is None or self.shifts.is_open(now) or self.shifts.is_open(now + LEAD)

    def _without_old_wish(self, state: State) -> State:
        if state.wish is None or state.wish.holds(self.now()):
            return state
        state = replace(state, wish=None)
        self.memory.write(state)
        return state

    def _start(self, state: State, description: Any) -> Action:
        """Create the endpoint that rests; make it complete once it serves."""
        if state.resting is None:
            return "none"  # nobody has deployed a model yet, or it serves
        if description is None:
            self.sagemaker.create_endpoint(EndpointName=self.endpoint, EndpointConfigName=state.resting)
            return "created"
        status = description["EndpointStatus"]
        if status in _BROKEN:
            self.sagemaker.delete_endpoint(EndpointName=self.endpoint)
            reason = description.get("FailureReason", "no reason given")
            raise EndpointBrokenError(f"the endpoint {self.endpoint} did not come up: {reason}")
        if status != "InService":
            return "waits"
        self.scaling.register(self._variant(description))
        self.memory.write(replace(state, resting=None))
        return "ready"

    def _stop(self, state: State, description: Any) -> Action:
        """Delete the endpoint, unless somebody changes it now."""
        if description is None or description["EndpointStatus"] in _BROKEN:
            return "none"
        if description["EndpointStatus"] != "InService" or self.is_swapping():
            return "waits"
        self.memory.write(replace(state, resting=description["EndpointConfigName"]))
        # Before the endpoint: once it is gone, nothing reminds the next look of its autoscaling.
        self.scaling.deregister(self._variant(description))
        try:
            self.sagemaker.delete_endpoint(EndpointName=self.endpoint)
        except ClientError as error:
            # It changed after the look at it.
            if _IN_PROGRESS in error.response["Error"]["Message"]:
                return "waits"
            raise
        return "stopped"

    def _describe(self) -> Any:
        """Return SageMaker's description; None if there is no endpoint, which SageMaker calls a validation error."""
        try:
            return self.sagemaker.describe_endpoint(EndpointName=self.endpoint)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationException" and _MISSING in str(error):
                return None
            raise

    def _variant(self, description: Any) -> str:
        config = self.sagemaker.describe_endpoint_config(EndpointConfigName=description["EndpointConfigName"])
        return config["ProductionVariants"][0]["VariantName"]
