"""Whether a retraining is exchanging the model: the endpoint must not go away under its hands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# The states of statemachine/retrain.asl.yaml from the end of PauseForRules, where a run also waits for the shift, until
# the new model serves or the former one again. tests/unit/hours/test_swaps.py compares them with the file.
SWAP_STATES = frozenset(
    [
        "Alarmed",
        "ApplyRules",
        "AwaitRollBack",
        "AwaitSwap",
        "CreateEndpoint",
        "DeleteEndpoint",
        "DeleteFailedEndpoint",
        "DescribeAlarms",
        "DescribeEndpoint",
        "DescribeServingConfig",
        "EndpointState",
        "ForgetFailedScaling",
        "ForgetScaling",
        "Instances",
        "Live",
        "Missing",
        "NotDeleted",
        "PauseForDeletion",
        "PauseForRollBack",
        "PauseForSwap",
        "PauseScaling",
        "PauseScalingAgain",
        "PutScalingPolicy",
        "RegisterScaling",
        "Restorable",
        "RestoreScaling",
        "RestoreScalingPolicy",
        "Restored",
        "RollBack",
        "RolledBack",
        "Smoke",
        "Swapped",
        "UpdateEndpoint",
        "WaitForAlarms",
        "WaitForEndpoint",
    ]
)
_EVENTS = 25  # the newest; between two states lie fewer


def is_swapping(states: SFNClient, machine_arn: str) -> bool:
    """Return whether a run of a state machine is exchanging the model."""
    running = states.list_executions(stateMachineArn=machine_arn, statusFilter="RUNNING")["executions"]
    return any(_state(states, execution["executionArn"]) in SWAP_STATES for execution in running)


def _state(states: SFNClient, execution: str) -> str | None:
    """Return the state that a run entered last."""
    reply = states.get_execution_history(executionArn=execution, reverseOrder=True, maxResults=_EVENTS)
    entered = (event.get("stateEnteredEventDetails") for event in reply["events"])
    return next((details["name"] for details in entered if details), None)
