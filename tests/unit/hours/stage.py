"""The function that keeps the endpoint's hours, and the services that it calls, in memory below the clients."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest

from handlers import hours
from inspection import clients
from tests.stack_template import stack_template

ENDPOINT, PARAMETER = "press-detector", "/press/endpoint"
ACCOUNT, REGION = "123456789012", "eu-central-1"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:press-retrain"
BERLIN = ZoneInfo("Europe/Berlin")
MAKERS = {
    "sagemaker": "sagemaker",
    "states": "stepfunctions",
    "ssm": "ssm",
    "scaling": "application-autoscaling",
}
TEMPLATE: dict[str, Any] = stack_template()


class RefusedError(Exception):
    """An error of a service."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


_active: list[Stage] = []


@functools.cache
def _client(service: str) -> Any:
    """Return a client that the active stage answers. To make one takes longer than all calls of a test."""
    session = boto3.Session("testing", "testing", region_name=REGION)
    client = session.client(service)  # type: ignore[call-overload]
    client.meta.events.register_first("before-call", lambda **call: _active[0]._answer(**call))
    return client


class Stage:
    """The account.

    Attributes:
        clock: The time, on the wall in Berlin.
        endpoint: SageMaker's description of the endpoint; None if there is none.
        remembered: The document in the parameter.
        target: The scalable target; None if there is none.
        policies: The names of its scaling policies.
        running: The state that the running execution entered last; None if none runs.
        calls: Operations so far.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.clock = "2026-01-05T12:00:00"
        self.endpoint: dict[str, Any] | None = None
        self.remembered: dict[str, Any] = {}
        self.target: dict[str, Any] | None = None
        self.policies: list[str] = []
        self.running: str | None = None
        self.calls: list[str] = []
        self.answers: dict[str, Callable[[], Any]] = {}
        self._patch = patch
        environment = {
            "ENDPOINT_NAME": ENDPOINT,
            "ENDPOINT_HOURS": "MON-FRI 05:45-22:15",
            "ENDPOINT_TIMEZONE": "Europe/Berlin",
            "HOURS_PARAMETER": PARAMETER,
            "STATE_MACHINE_ARN": MACHINE,
            "MIN_INSTANCES": "2",
            "MAX_INSTANCES": "4",
            "INVOCATIONS_PER_INSTANCE": "600",
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        _active[:] = [self]
        for maker, service in MAKERS.items():
            patch.setattr(clients, maker, functools.partial(_client, service))
        hours._keeper.cache_clear()

    def look(self, at: str | None = None) -> dict[str, Any]:
        """Invoke the function once, at a time in Berlin."""
        self.clock = at or self.clock
        keeper = hours._keeper()
        object.__setattr__(keeper, "now", lambda: datetime.fromisoformat(self.clock).replace(tzinfo=BERLIN))
        return hours.handler({}, None)  # type: ignore[arg-type]

    def without_hours(self) -> None:
        """Take the hours away, as an update of the stack does."""
        self._patch.setenv("ENDPOINT_HOURS", "")
        hours._keeper.cache_clear()

    def serve(self, config: str = "press-detector-1", status: str = "InService") -> None:
        """Let the endpoint be there, with its autoscaling."""
        self.endpoint = {"EndpointName": ENDPOINT, "EndpointConfigName": config, "EndpointStatus": status}
        self.target, self.policies = {"MinCapacity": 2, "MaxCapacity": 4}, ["invocations"]

    def settle(self) -> None:
        """Let SageMaker finish what it does."""
        if self.endpoint and self.endpoint["EndpointStatus"] == "Deleting":
            self.endpoint = None
        elif self.endpoint and self.endpoint["EndpointStatus"] == "Creating":
            self.endpoint["EndpointStatus"] = "InService"

    @property
    def configuration(self) -> str | None:
        return self.endpoint and self.endpoint["EndpointConfigName"]

    @property
    def status(self) -> str:
        return self.endpoint["EndpointStatus"] if self.endpoint else "Missing"

    def _answer(self, model: Any, params: dict[str, Any], **_: Any) -> Any:
        request = json.loads(params["body"])
        self.calls.append(model.name)
        try:
            answer = self.answers.get(model.name, lambda: getattr(self, f"_{model.name}")(request))()
        except RefusedError as refusal:
            error = {"Error": {"Code": refusal.code, "Message": refusal.message}}
            return SimpleNamespace(status_code=400), error | {"ResponseMetadata": {"HTTPStatusCode": 400}}
        return SimpleNamespace(status_code=200), answer

    def _DescribeEndpoint(self, request: dict[str, Any]) -> Any:
        if self.endpoint is None:
            raise RefusedError("ValidationException", f'Could not find endpoint "{ENDPOINT}".')
        return dict(self.endpoint)

    def _DescribeEndpointConfig(self, request: dict[str, Any]) -> Any:
        name = request["EndpointConfigName"]
        return {"EndpointConfigName": name, "ProductionVariants": [{"VariantName": "AllTraffic"}]}

    def _CreateEndpoint(self, request: dict[str, Any]) -> Any:
        if self.endpoint is not None:
            raise RefusedError("ValidationException", "Cannot create already existing endpoint")
        self.endpoint = {**request, "EndpointStatus": "Creating"}
        return {"EndpointArn": "arn"}

    def _DeleteEndpoint(self, request: dict[str, Any]) -> Any:
        if self.endpoint is None:
            raise RefusedError("ValidationException", f'Could not find endpoint "{ENDPOINT}".')
        if self.endpoint["EndpointStatus"] not in ("InService", "Failed", "OutOfService"):
            raise RefusedError("ValidationException", 'Cannot update in-progress endpoint "arn".')
        self.endpoint["EndpointStatus"] = "Deleting"
        return {}

    def _GetParameter(self, request: dict[str, Any]) -> Any:
        return {"Parameter": {"Name": request["Name"], "Value": json.dumps(self.remembered)}}

    def _PutParameter(self, request: dict[str, Any]) -> Any:
        assert request["Overwrite"]
        self.remembered = json.loads(request["Value"])
        return {"Version": 2}

    def _RegisterScalableTarget(self, request: dict[str, Any]) -> Any:
        if self.status != "InService":
            raise RefusedError("ValidationException", "No scalable resource found")
        assert request["ResourceId"] == f"endpoint/{ENDPOINT}/variant/AllTraffic"
        self.target = {name: request[name] for name in ("MinCapacity", "MaxCapacity")}
        return {}

    def _DeregisterScalableTarget(self, request: dict[str, Any]) -> Any:
        if self.target is None:
            raise RefusedError("ObjectNotFoundException", "No scalable target found")
        self.target, self.policies = None, []
        return {}

    def _PutScalingPolicy(self, request: dict[str, Any]) -> Any:
        if self.target is None:
            raise RefusedError("ObjectNotFoundException", "No scalable target registered")
        self.policies = [request["PolicyName"]]
        return {"PolicyARN": "arn", "Alarms": []}

    def _ListExecutions(self, request: dict[str, Any]) -> Any:
        assert request["statusFilter"] == "RUNNING"
        arn = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:press-retrain:one"
        return {"executions": [{"executionArn": arn}] if self.running else []}

    def _GetExecutionHistory(self, request: dict[str, Any]) -> Any:
        assert request["reverseOrder"]
        entered = {"stateEnteredEventDetails": {"name": self.running}}
        return {
            "events": [{"type": "TaskScheduled", "id": 9}, {"type": "TaskStateEntered", "id": 8} | entered]
        }
