"""The values of the autoscaling that the functions and the command share are those of the state machine."""

import json
from pathlib import Path

import pytest

from contract import scaling

STATES = json.loads((Path(__file__).parents[3] / "statemachine/retrain.asl.json").read_text())["States"]


@pytest.mark.parametrize("state", ["PutScalingPolicy", "RestoreScalingPolicy"])
def test_the_state_machine_registers_the_same_policy(state: str):
    arguments = STATES[state]["Arguments"]
    configuration = arguments["TargetTrackingScalingPolicyConfiguration"]
    assert "InvocationsPerInstance" in configuration["TargetValue"]
    expected = scaling.scalable_target("E", "V") | scaling.policy(600)
    expected["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] = configuration["TargetValue"]
    expected["ResourceId"] = arguments["ResourceId"]
    assert arguments == expected
    assert arguments["ResourceId"].startswith("endpoint/${EndpointName}/variant/")
