"""The endpoint rests outside its hours, and serves again before they begin."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hours.keeper import EndpointBrokenError
from tests.crashes import Story
from tests.promises import Tell
from tests.unit.hours.stage import RefusedError, Stage

SHIFT, EVENING, NIGHT, SATURDAY = (
    "2026-01-05T12:00:00",
    "2026-01-05T22:16:00",
    "2026-01-06T02:00:00",
    "2026-01-10T12:00:00",
)
BEFORE, BEGIN = "2026-01-06T05:30:00", "2026-01-06T05:45:00"


def test_during_a_shift_nothing_happens(stage: Stage) -> None:
    stage.serve()
    assert stage.look(SHIFT) == {"action": "none", "run": True, "status": "InService"}
    assert set(stage.calls) == {"GetParameter", "DescribeEndpoint"}


def test_after_the_shift_the_endpoint_is_deleted_with_its_autoscaling(stage: Stage) -> None:
    stage.serve("press-detector-7")
    assert stage.look(EVENING)["action"] == "stopped"
    assert (stage.status, stage.target) == ("Deleting", None)
    assert stage.remembered["resting"] == "press-detector-7"
    assert stage.look()["action"] == "waits"
    stage.settle()
    assert stage.look(SATURDAY) == {"action": "none", "run": False, "status": "Missing"}


def test_before_the_shift_the_same_configuration_serves_again_and_scales(stage: Stage) -> None:
    stage.serve("press-detector-7")
    stage.look(EVENING)
    stage.settle()
    assert stage.look("2026-01-06T05:29:00")["action"] == "none"
    assert stage.look(BEFORE)["action"] == "created"
    assert stage.look()["action"] == "waits"
    stage.settle()
    assert stage.look("2026-01-06T05:40:00")["action"] == "ready"
    assert stage.configuration == "press-detector-7"
    assert (stage.target, stage.policies) == ({"MinCapacity": 2, "MaxCapacity": 4}, ["invocations"])
    assert stage.remembered["resting"] is None
    assert stage.look(BEGIN)["action"] == "none"


def test_an_endpoint_that_nobody_has_deployed_is_not_created(stage: Stage) -> None:
    assert stage.look(SHIFT) == {"action": "none", "run": True, "status": "Missing"}


def test_an_endpoint_that_a_person_deleted_during_the_shift_stays_deleted(stage: Stage) -> None:
    stage.serve()
    stage.look(EVENING)
    stage.settle()
    for at in (BEFORE, "2026-01-06T05:40:00"):
        stage.look(at)
        stage.settle()
    stage.look(BEGIN)
    stage.endpoint = None
    assert stage.look("2026-01-06T09:00:00")["action"] == "none"


@pytest.mark.parametrize("status", ["Creating", "Updating", "RollingBack", "SystemUpdating", "Deleting"])
def test_an_endpoint_that_changes_is_left_alone(stage: Stage, status: str) -> None:
    stage.serve(status=status)
    assert stage.look(NIGHT)["action"] == "waits"
    assert stage.status == status
    assert stage.remembered == {}


def test_an_endpoint_that_begins_to_change_after_the_look_at_it_is_left_alone(stage: Stage) -> None:
    def refuse() -> None:
        raise RefusedError("ValidationException", 'Cannot update in-progress endpoint "arn".')

    stage.serve()
    stage.answers["DeleteEndpoint"] = refuse
    assert stage.look(NIGHT)["action"] == "waits"
    assert stage.status == "InService"
    assert stage.look(BEFORE)["action"] == "ready"
    assert stage.target


@pytest.mark.parametrize("state", ["UpdateEndpoint", "AwaitSwap", "Smoke", "RollBack"])
def test_a_run_that_exchanges_the_model_is_not_disturbed(stage: Stage, state: str) -> None:
    stage.serve()
    stage.running = state
    assert stage.look(NIGHT)["action"] == "waits"
    assert stage.status == "InService"


@pytest.mark.parametrize("state", ["Candidates", "Evaluate", "AskApproval", "PauseForRules", "Report"])
def test_a_run_that_does_not_need_the_endpoint_keeps_it_from_nothing(stage: Stage, state: str) -> None:
    stage.serve()
    stage.running = state
    assert stage.look(NIGHT)["action"] == "stopped"


def test_a_model_that_was_deployed_at_night_comes_back_in_the_morning(stage: Stage) -> None:
    stage.serve("press-detector-7")
    stage.look(EVENING)
    stage.settle()
    stage.serve("press-detector-8")  # loupe deploy
    assert stage.look(NIGHT)["action"] == "stopped"
    stage.settle()
    stage.look(BEFORE)
    assert stage.configuration == "press-detector-8"


def test_an_endpoint_that_does_not_come_up_is_reported_and_created_again(stage: Stage) -> None:
    stage.remembered = {"resting": "press-detector-7"}
    stage.look(BEFORE)
    assert stage.endpoint
    stage.endpoint |= {"EndpointStatus": "Failed", "FailureReason": "no capacity"}
    with pytest.raises(EndpointBrokenError, match="no capacity"):
        stage.look()
    stage.settle()
    assert stage.look()["action"] == "created"


def test_an_account_without_a_free_instance_is_reported(stage: Stage) -> None:
    def refuse() -> None:
        raise RefusedError("ResourceLimitExceeded", "The account-level service limit is 0 Instances")

    stage.remembered = {"resting": "press-detector-7"}
    stage.answers["CreateEndpoint"] = refuse
    with pytest.raises(ClientError, match="service limit"):
        stage.look(BEFORE)


def test_an_endpoint_whose_state_cannot_be_read_is_not_taken_for_missing(stage: Stage) -> None:
    def refuse() -> None:
        raise RefusedError("AccessDeniedException", "not authorized")

    stage.remembered = {"resting": "press-detector-7"}
    stage.answers["DescribeEndpoint"] = refuse
    with pytest.raises(ClientError, match="not authorized"):
        stage.look(BEFORE)
    assert "CreateEndpoint" not in stage.calls


def test_a_start_by_hand_lasts_as_long_as_it_was_meant_to(stage: Stage) -> None:
    stage.remembered = {
        "resting": "press-detector-7",
        "wish": {"run": True, "until": "2026-01-10T14:00:00.000Z"},
    }
    assert stage.look(SATURDAY)["action"] == "created"
    stage.settle()
    assert stage.look()["action"] == "ready"
    assert stage.look("2026-01-10T15:00:01")["action"] == "stopped"
    assert stage.remembered["wish"] is None


def test_a_stop_by_hand_ends_with_the_next_shift(stage: Stage) -> None:
    stage.serve("press-detector-7")
    stage.remembered = {"wish": {"run": False, "until": "2026-01-06T04:45:00.000Z"}}
    assert stage.look(SHIFT)["action"] == "stopped"
    stage.settle()
    assert stage.look("2026-01-06T05:44:00")["action"] == "none"
    assert stage.look(BEGIN)["action"] == "created"


def test_an_endpoint_comes_back_when_its_hours_are_taken_away(stage: Stage) -> None:
    stage.serve()
    stage.look(EVENING)
    stage.settle()
    stage.without_hours()
    assert stage.look(NIGHT)["action"] == "created"
    stage.settle()
    assert stage.look()["action"] == "ready"
    assert stage.look(SATURDAY)["action"] == "none"


def goes_to_rest(stage: Stage) -> None:
    stage.serve("press-detector-7")
    stage.remembered, stage.clock = {}, EVENING


def comes_back(stage: Stage) -> None:
    stage.endpoint, stage.target, stage.policies = None, None, []
    stage.remembered, stage.clock = {"resting": "press-detector-7"}, BEFORE


def gets_its_autoscaling(stage: Stage) -> None:
    comes_back(stage)
    stage.look()
    stage.settle()


def had_a_wish(stage: Stage) -> None:
    stage.serve("press-detector-7")
    stage.remembered = {"wish": {"run": True, "until": "2026-01-05T14:00:00.000Z"}}
    stage.clock = EVENING


@pytest.mark.promise(9)
@pytest.mark.parametrize("begins", [goes_to_rest, comes_back, gets_its_autoscaling, had_a_wish])
def test_whatever_is_interrupted_is_finished_by_the_next_looks(
    stage: Stage, begins: Callable[[Stage], None], tried: Tell
) -> None:
    def left() -> Any:
        for _ in range(3):
            stage.settle()
            stage.look()
        return [stage.status, stage.configuration, stage.remembered, stage.target, stage.policies]

    Story(lambda: begins(stage), stage.look, left).converges(tried, everywhere=True)
