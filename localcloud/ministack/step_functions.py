"""Changes to MiniStack's Step Functions: executions survive a restart and are counted, failed callbacks fail.

MiniStack fails the executions that an earlier run left (States.ServiceRestart). Here they continue with the state
they were in: a retraining takes hours, and a laptop is sometimes closed. AWS has no equivalent.

MiniStack makes the calls of an execution as nobody in particular. Here they are the state machine's role's, and a call
that the role may not make fails as on AWS:
https://docs.aws.amazon.com/step-functions/latest/dg/service-integration-iam-templates.html
"""

import contextvars
import copy
import json
import logging
import threading
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, request_scope
from ministack.services import stepfunctions

from localcloud.ministack import metrics, stores, task_permissions

logger = logging.getLogger(__name__)

_RESTART_ERROR = "States.ServiceRestart"
_ENTRY_STATE = "After a restart of the local cloud"  # leads to the state that the execution was in
_VARIABLES = "loupe_variables"  # a member of ours in MiniStack's record of an execution
_END_MEMBERS = ("stopDate", "error", "cause", "output")
_METRICS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}

_task_token: contextvars.ContextVar[str | None] = contextvars.ContextVar("task_token", default=None)
# The state machine that the next look-up in this thread finds.
_resumption = threading.local()


class _StateMachines(AccountRegionScopedDict):  # type: ignore[misc]
    """The state machines; a resumed execution, which looks up its own once, gets the changed definition."""

    def get(self, arn: str, default: Any = None) -> Any:
        machine, _resumption.machine = getattr(_resumption, "machine", None), None
        return machine if machine is not None else super().get(arn, default)


def apply() -> None:
    """Patch MiniStack."""
    stores.replace(stepfunctions, "_state_machines", _StateMachines)
    _save_variables()
    _count_executions()
    task_permissions.apply()
    fail_callbacks_of_failed_functions()


def resume_executions() -> None:
    """Continue, in the background, the executions that MiniStack has failed at this start."""
    for (account, region, arn), execution in list(stepfunctions._executions._data.items()):
        # Nobody waits any longer for the result of a synchronous execution.
        if execution.get("error") != _RESTART_ERROR or execution.get("sync"):
            continue
        with request_scope(account, region):
            machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
        resumed = _starting_from_last_state(machine, execution) if machine else None
        if resumed is None:
            continue
        logger.info("%s continues", arn)
        for member in _END_MEMBERS:
            execution[member] = None
        execution["status"] = "RUNNING"
        threading.Thread(
            target=_run, args=(account, region, arn, resumed), daemon=True, name="loupe-execution"
        ).start()


def was_resumed(execution: dict[str, Any]) -> bool:
    """Return whether this execution was continued after a restart."""
    return any(
        event.get("stateEnteredEventDetails", {}).get("name") == _ENTRY_STATE for event in execution["events"]
    )


def fail_callbacks_of_failed_functions() -> None:
    """Patch MiniStack: a task that waits for a token's answer fails when its function does.

    MiniStack keeps waiting, although nobody was given the token.
    """
    invoke_with_callback, call_lambda = stepfunctions._invoke_with_callback, stepfunctions._call_lambda

    def invoke_with_known_token(resource: str, given: Any, token: str, state: dict[str, Any]) -> Any:
        previous = _task_token.set(token)
        try:
            return invoke_with_callback(resource, given, token, state)
        finally:
            _task_token.reset(previous)

    def call_lambda_or_fail(function: str, event: Any) -> Any:
        try:
            return call_lambda(function, event)
        except stepfunctions._ExecutionError as error:
            waiting = stepfunctions._task_tokens.get(_task_token.get())
            if waiting is not None:
                waiting["error"] = {"Error": error.error, "Cause": error.cause}
                waiting["event"].set()
            raise

    stepfunctions._invoke_with_callback = invoke_with_known_token
    stepfunctions._call_lambda = call_lambda_or_fail


def _save_variables() -> None:
    """Save the values of an execution's variables with the execution."""
    assign = stepfunctions._apply_state_assign

    def assign_and_save(state: dict[str, Any], given: Any, context: Any, *more: Any, **named: Any) -> None:
        assign(state, given, context, *more, **named)
        # A Map starts again from its beginning, so its variables are not needed.
        if "Assign" in state and context and "Map" not in context:
            execution = stepfunctions._executions.get(context["Execution"]["Id"])
            if execution is not None:
                execution[_VARIABLES] = copy.deepcopy(context.get("variables", {}))

    stepfunctions._apply_state_assign = assign_and_save


def _count_executions() -> None:
    """Count executions as on AWS, each at its start and at its end.

    https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    """
    emit_event = stepfunctions._emit_execution_status_event

    def emit_event_and_count(execution: dict[str, Any]) -> None:
        emit_event(execution)
        dimensions = {"StateMachineArn": execution["stateMachineArn"]}
        metrics.record("AWS/States", _METRICS[execution["status"]], 1.0, "Count", dimensions)

    stepfunctions._emit_execution_status_event = emit_event_and_count


def _starting_from_last_state(machine: dict[str, Any], execution: dict[str, Any]) -> dict[str, Any] | None:
    """Return the state machine, changed to start with the last state that was entered, and its input.

    None if the state machine has been deployed again without that state.
    """
    definition = json.loads(machine["definition"])
    entered = [
        event["stateEnteredEventDetails"]
        for event in execution["events"]
        if "stateEnteredEventDetails" in event and event["stateEnteredEventDetails"]["name"] != _ENTRY_STATE
    ]
    if not entered:
        return machine
    if entered[-1]["name"] not in definition["States"]:
        return None
    definition["States"][_ENTRY_STATE] = {
        "Type": "Pass",
        "QueryLanguage": "JSONata",
        "Output": json.loads(entered[-1]["input"]),
        "Assign": execution.get(_VARIABLES, {}),
        "Next": entered[-1]["name"],
    }
    definition["StartAt"] = _ENTRY_STATE
    return {**machine, "definition": json.dumps(definition)}


def _run(account: str, region: str, arn: str, machine: dict[str, Any]) -> None:
    _resumption.machine = machine
    with request_scope(account, region):
        stepfunctions._run_execution(arn)
