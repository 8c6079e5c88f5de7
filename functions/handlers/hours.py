"""Schedule → the endpoint's hours: it rests between the shifts, and serves again before the next one."""

import functools
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.shifts import Shifts
from handlers.environment import HoursEnvironment
from handlers.observability import logger
from hours.keeper import Keeper
from hours.memory import Memory
from hours.scaling import Scaling
from hours.swaps import is_swapping
from inspection import clients


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Look at the clock and at the endpoint, and do what is due. The answer says what that was."""
    look = asdict(_keeper().look())
    logger.info("the endpoint's hours", extra=look)
    return look


@functools.cache
def _keeper() -> Keeper:
    environment = HoursEnvironment.read()
    hours, states = environment.endpoint_hours, clients.states()
    return Keeper(
        sagemaker=clients.sagemaker(),
        endpoint=environment.endpoint_name,
        shifts=Shifts.parse(hours, environment.endpoint_timezone) if hours else None,
        memory=Memory(clients.ssm(), environment.hours_parameter),
        scaling=Scaling(
            clients.scaling(),
            environment.endpoint_name,
            environment.min_instances,
            environment.max_instances,
            environment.invocations_per_instance,
        ),
        is_swapping=functools.partial(is_swapping, states, environment.state_machine_arn),
    )
