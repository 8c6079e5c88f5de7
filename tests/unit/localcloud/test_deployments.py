"""How a deployment shares the requests, and which DeploymentConfig is accepted."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.hosting import deployments
from localcloud.sagemaker.hosting.deployments import Traffic
from localcloud.sagemaker.hosting.fleets import Fleet


def config(policy: dict[str, Any] | None = None, **routing: Any) -> dict[str, Any]:
    routed = {"Type": "CANARY", "WaitIntervalInSeconds": 60, **routing}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routed, **(policy or {})}}


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


@given(st.integers(1, 100), st.integers(1, 400))
def test_the_share_is_kept_at_every_moment(share: int, requests: int) -> None:
    blue, green = cast(Fleet, object()), cast(Fleet, object())
    traffic = Traffic(blue)
    traffic.route(green, share / 100)
    chosen = [traffic.choose() is green for _ in range(requests)]
    for count in range(1, requests + 1):
        assert abs(sum(chosen[:count]) - count * share / 100) < 1
    traffic.route(None, 0.0)
    assert traffic.choose() is blue


@pytest.mark.parametrize(
    ("deployment", "shares"),
    [
        (config(CanarySize=percent(10)), [0.1, 1.0]),
        (config(CanarySize={"Type": "INSTANCE_COUNT", "Value": 1}), [0.25, 1.0]),
        (config(Type="ALL_AT_ONCE"), [1.0]),
        (config(Type="LINEAR", LinearStepSize=percent(40)), [0.4, 0.8, 1.0]),
        (config(Type="LINEAR", LinearStepSize=percent(10)), pytest.approx([n / 10 for n in range(1, 11)])),
    ],
)
def test_the_steps_of_each_routing(deployment: dict[str, Any], shares: list[float]) -> None:
    deployments.check(deployment, 4)
    routing = deployment["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert deployments._shares(routing, 4) == shares


@pytest.mark.parametrize(
    ("deployment", "message"),
    [
        (config(CanarySize=percent(51)), "less than or equal to 50%"),
        (config(CanarySize={"Type": "INSTANCE_COUNT", "Value": 3}), "less than or equal to 50%"),
        (config(), "CanarySize goes with"),
        (config(Type="ALL_AT_ONCE", CanarySize=percent(5)), "CanarySize goes with"),
        (config(Type="LINEAR", LinearStepSize=percent(5)), "10-50%"),
        (
            config(
                {"MaximumExecutionTimeoutInSeconds": 600, "TerminationWaitInSeconds": 500},
                CanarySize=percent(5),
            ),
            "must be larger",
        ),
        ({"RollingUpdatePolicy": {}}, "BlueGreenUpdatePolicy"),
    ],
)
def test_a_deployment_config_that_cannot_be_followed_is_refused(
    deployment: dict[str, Any], message: str
) -> None:
    with pytest.raises(AwsError, match=message):
        deployments.check(deployment, 4)
