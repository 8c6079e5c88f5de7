"""The states in which a run exchanges the model are those of the state machine."""

from typing import Any

import yaml

from hours.swaps import SWAP_STATES
from localcloud.sources import REPOSITORY

# Where a run waits for the shift, and where the exchange is over.
BEFORE, AFTER = "PauseForRules", {"Report", "Withdraw", "Retract"}


def following(state: dict[str, Any]) -> set[str]:
    ways = [state, *state.get("Choices", []), *state.get("Catch", [])]
    return {way["Next"] for way in ways if "Next" in way} | {
        way["Default"] for way in ways if "Default" in way
    }


def test_the_states_of_a_swap_are_those_between_the_pause_and_the_report() -> None:
    states = yaml.safe_load((REPOSITORY / "statemachine/retrain.asl.json").read_text())["States"]
    found: set[str] = set()
    ways = following(states[BEFORE])
    while ways:
        name = ways.pop()
        if name not in found and name not in AFTER:
            found.add(name)
            ways |= following(states[name])
    assert found == SWAP_STATES
