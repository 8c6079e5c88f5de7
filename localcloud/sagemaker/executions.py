"""Executions of state machines that an earlier run of the cloud left: they go on with the state they were in.

MiniStack fails them (States.ServiceRestart); on AWS nothing of the kind exists. A retrain takes hours, and a
laptop is closed at times.
"""

import copy
import json
import logging
import threading
import types
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import stepfunctions

logger = logging.getLogger(__name__)

_MARK = "States.ServiceRestart"
_ENTRY = "After a restart of the local cloud"  # a state that leads to the one that was left
_VARIABLES = "loupe_variables"  # a member of our own in MiniStack's record of an execution
_ENDING = ("stopDate", "error", "cause", "output")


def remember_variables() -> None:
    """Patch MiniStack: the values of an execution's variables are saved with it."""
    assign = stepfunctions._apply_state_assign

    def apply_state_assign(state: dict[str, Any], given: Any, context: Any, *more: Any, **named: Any) -> None:
        assign(state, given, context, *more, **named)
        if "Assign" in state and context and "Map" not in context:  # a Map begins anew
            execution = stepfunctions._executions.get(context["Execution"]["Id"])
            if execution is not None:
                execution[_VARIABLES] = copy.deepcopy(context.get("variables", {}))

    stepfunctions._apply_state_assign = apply_state_assign


def go_on() -> None:
    """Continue, in the background, what MiniStack has failed at this start."""
    for (account, region, arn), execution in list(stepfunctions._executions._data.items()):
        if execution.get("error") == _MARK and not execution.get("sync"):  # whose caller waits no longer
            with request_scope(account, region):
                machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
                changed = _from_where_it_was(machine, execution) if machine else None
            if changed is None:
                continue
            logger.info("%s goes on", arn)
            for member in _ENDING:
                execution[member] = None
            execution["status"] = "RUNNING"
            threading.Thread(
                target=_run, args=(account, region, arn, changed), daemon=True, name="loupe-execution"
            ).start()


def went_on(execution: dict[str, Any]) -> bool:
    """Whether this execution has survived a restart."""
    return any(
        event.get("stateEnteredEventDetails", {}).get("name") == _ENTRY for event in execution["events"]
    )


def _from_where_it_was(machine: dict[str, Any], execution: dict[str, Any]) -> dict[str, Any] | None:
    """The state machine, but starting with the last state that was entered, and its input."""
    definition = json.loads(machine["definition"])
    entered = [
        event["stateEnteredEventDetails"]
        for event in execution["events"]
        if "stateEnteredEventDetails" in event and event["stateEnteredEventDetails"]["name"] != _ENTRY
    ]
    if not entered:
        return machine
    if entered[-1]["name"] not in definition["States"]:
        return None  # it was deployed anew without that state
    entry = {
        "Type": "Pass",
        "QueryLanguage": "JSONata",
        "Output": json.loads(entered[-1]["input"]),
        "Assign": execution.get(_VARIABLES, {}),
        "Next": entered[-1]["name"],
    }
    definition["States"][_ENTRY] = entry
    definition["StartAt"] = _ENTRY
    return {**machine, "definition": json.dumps(definition)}


def _run(account: str, region: str, arn: str, machine: dict[str, Any]) -> None:
    run = stepfunctions._run_execution
    own = {**vars(stepfunctions), "_state_machines": {machine["stateMachineArn"]: machine}}
    with request_scope(account, region):
        types.FunctionType(run.__code__, own)(arn)
