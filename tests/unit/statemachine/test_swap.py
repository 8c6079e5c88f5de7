"""The swap itself: how much traffic the canary gets, who watches it, and what scales the endpoint afterwards."""

from typing import Any

import pytest

from tests.unit.statemachine.account import Account
from tests.unit.statemachine.scenarios import (
    Start,
    assert_safe,
    fails_its_smoke_test,
    first_model_fails_its_smoke_test,
    on_other_instances,
    on_other_instances_and_fails_its_smoke_test,
)

REGISTERED = ["RegisterScalableTarget", "PutScalingPolicy"]


def deployment(account: Account) -> dict[str, Any]:
    """Return how the champion was to be replaced."""
    config: dict[str, Any] = account.requests["UpdateEndpoint"][0]["DeploymentConfig"]
    return config


def with_instances(number: int) -> Any:
    def scenario(account: Account) -> None:
        assert account.endpoint
        account.endpoint.instances = number

    return scenario


@pytest.mark.parametrize(("instances", "canary"), [(2, 1), (25, 2)])
def test_the_canary_is_a_share_of_the_instances_that_the_endpoint_has_now(
    start: Start, instances: int, canary: int
) -> None:
    """The stack's CanaryPercent is 10, and its EndpointMinInstances 2."""
    outcome = start(with_instances(instances))
    assert_safe(outcome)
    assert outcome.decision == "promoted"
    routing = deployment(outcome.account)["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing == {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 600,
        "CanarySize": {"Type": "INSTANCE_COUNT", "Value": canary},
    }


def test_an_endpoint_with_one_instance_moves_at_once_whatever_the_stack_asks_for(start: Start) -> None:
    outcome = start(with_instances(1))
    assert_safe(outcome)
    assert outcome.decision == "promoted"
    routing = deployment(outcome.account)["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 600}


def test_a_rollback_keeps_the_instances_that_autoscaling_has_started(start: Start) -> None:
    def scaled_out(account: Account) -> None:
        fails_its_smoke_test(account)
        with_instances(7)(account)

    outcome = start(scaled_out)
    assert_safe(outcome)
    assert outcome.decision == "rolled_back"
    assert outcome.account.endpoint
    assert outcome.account.endpoint.instances == 7


def test_after_a_rollback_the_champion_is_scaled(start: Start) -> None:
    outcome = start(fails_its_smoke_test)
    assert outcome.account.scaled == REGISTERED * 2
    assert outcome.account.registered


def test_an_endpoint_that_sagemaker_brought_back_is_scaled(start: Start) -> None:
    def alarmed(account: Account) -> None:
        account.swap = "fails"

    outcome = start(alarmed)
    assert (outcome.decision, outcome.account.scaled) == ("rolled_back", REGISTERED)


def test_another_instance_type_is_swapped_without_a_scalable_target(start: Start) -> None:
    outcome = start(on_other_instances)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("promoted", "new")
    assert outcome.account.scaled == ["DeregisterScalableTarget", *REGISTERED]


def test_the_way_back_to_another_instance_type_has_no_scalable_target_either(start: Start) -> None:
    outcome = start(on_other_instances_and_fails_its_smoke_test)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("rolled_back", "champion")
    assert outcome.account.scaled == ["DeregisterScalableTarget", *REGISTERED] * 2


def test_if_the_swap_is_refused_the_champion_is_scaled_again(start: Start) -> None:
    def refused(account: Account) -> None:
        on_other_instances(account)
        account.refusals["UpdateEndpoint"] = (
            9,
            "The account-level service limit 'ml.c6i.xlarge' is 0 Instances",
        )

    outcome = start(refused)
    assert_safe(outcome)
    assert (outcome.status, outcome.output["Error"], outcome.serves) == ("FAILED", "SwapRefused", "champion")
    assert "'ml.c6i.xlarge' is 0 Instances" in outcome.notice
    assert outcome.account.scaled == ["DeregisterScalableTarget", *REGISTERED]


def test_nothing_scales_an_endpoint_that_is_deleted(start: Start) -> None:
    outcome = start(first_model_fails_its_smoke_test)
    assert_safe(outcome)
    assert outcome.account.endpoint is None
    assert not outcome.account.registered
    assert outcome.account.scaled == [*REGISTERED, "DeregisterScalableTarget"]


def test_a_swap_waits_until_an_alarm_is_off(start: Start) -> None:
    outcome = start(lambda account: setattr(account, "alarms", [["latency"], ["latency"], []]))
    assert_safe(outcome)
    assert outcome.decision == "promoted"
    assert outcome.entered.count("WaitForAlarms") == 2
    watching = deployment(outcome.account)["AutoRollbackConfiguration"]["Alarms"]
    assert [alarm["AlarmName"] for alarm in watching] == ["errors", "latency", "defects"]
    assert not any("watching" in reason for reason in outcome.output["reasons"])


def test_an_alarm_that_stays_on_does_not_watch_the_swap_and_the_report_says_so(start: Start) -> None:
    outcome = start(lambda account: setattr(account, "alarms", [["defects"]]))
    assert_safe(outcome)
    assert outcome.decision == "promoted"
    watching = deployment(outcome.account)["AutoRollbackConfiguration"]["Alarms"]
    assert [alarm["AlarmName"] for alarm in watching] == ["errors", "latency"]
    assert "on before the swap, and therefore not watching it: defects" in outcome.notice


def test_if_every_alarm_stays_on_none_watches_the_swap(start: Start) -> None:
    outcome = start(lambda account: setattr(account, "alarms", [["errors", "latency", "defects"]]))
    assert_safe(outcome)
    assert outcome.decision == "promoted"
    assert "AutoRollbackConfiguration" not in deployment(outcome.account)
    assert "not watching it: errors, latency, defects" in outcome.notice
