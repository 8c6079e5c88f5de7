"""Endpoints: they start, are updated without losing a request, come back after a restart, and end."""

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.hosting import capacity, deployments
from localcloud.sagemaker.hosting.deployments import Deployment, RolledBackError, Traffic
from localcloud.sagemaker.hosting.fleets import START_FAILURES, Fleet
from localcloud.sagemaker.hosting.model_server import ModelServer
from localcloud.sagemaker.hosting.models import Models, Plan
from localcloud.sagemaker.hosting.scaling import Scaling
from localcloud.sagemaker.programs import Machine
from localcloud.sagemaker.quotas import Quotas
from localcloud.sagemaker.resources import Operation, Resources
from localcloud.sagemaker.store import Record

logger = logging.getLogger(__name__)

KIND = "Endpoint"
SERVING = ("InService", "Updating", "RollingBack")
_MAX_REASON_LENGTH = 1024
_CLOSING_S = 1.0


class Endpoints:
    """Creates, updates, deletes, describes and lists endpoints, and has every endpoint's traffic."""

    def __init__(
        self,
        resources: Resources,
        models: Models,
        scaling: Scaling,
        quotas: Quotas,
        folder: Path,
        machine: Machine,
    ) -> None:
        """Initialize the operations.

        Args:
            resources: The records of every kind.
            models: Tells what an endpoint runs.
            scaling: The endpoints' scalable targets.
            quotas: How many instances may run.
            folder: The folder for the servers' files.
            machine: What every program shares.
        """
        self._resources, self._models, self._machine = resources, models, machine
        self._scaling, self._quotas = scaling, quotas
        self._store = resources.store
        self._folder = folder
        self._lock = threading.Lock()
        self._traffic: dict[str, Traffic] = {}
        self._fleets: set[Fleet] = set()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def operations(self) -> dict[str, Operation]:
        """Return the operations by name."""
        return {
            "CreateEndpoint": self._create,
            "UpdateEndpoint": self._update,
            "UpdateEndpointWeightsAndCapacities": self._update_capacity,
            "DeleteEndpoint": self._delete,
            "DescribeEndpoint": lambda request: self._describe(request["EndpointName"]),
            "ListEndpoints": lambda request: self._resources.list_page(KIND, request),
        }

    def resume(self) -> None:
        """Start the endpoints of an earlier run of the cloud again, and remove the folders that it left."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for record in self._store.all(KIND):
            name, status = record["EndpointName"], record["EndpointStatus"]
            if status == "Deleting":
                self._resources.delete(KIND, name)
            elif status != "Failed":
                # At once: whoever asks in the meantime must not take it for one in service that refuses a picture.
                self._change(name, EndpointStatus="Creating", pending=None)
                self._in_background(self._restore, name, record.get("pending"))

    @contextlib.contextmanager
    def lease(self, name: str) -> Iterator[tuple[ModelServer | None, Plan]]:
        """Give a server and what it runs; it serves until the end of the block even if it is replaced meanwhile."""
        with self._lock:
            traffic = self._traffic.get(name)
            fleet = traffic.choose() if traffic is not None else None
            server = fleet.lease() if fleet is not None else None
        try:
            yield server, fleet.plan if fleet is not None else {}
        finally:
            if server is not None:
                server.release()

    def close(self) -> bool:
        """End every server; requests in progress get a moment.

        Returns:
            Whether the threads that change endpoints have ended too.
        """
        with self._lock:
            self._closing.set()
            fleets = list(self._fleets)
        closers = [threading.Thread(target=fleet.close, daemon=True) for fleet in fleets]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join()
        deadline = time.monotonic() + _CLOSING_S
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        shutil.rmtree(self._folder, ignore_errors=True)
        return not any(thread.is_alive() for thread in threads)

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["EndpointName"]
        self._resources.check_name_free(KIND, name)
        plan = self._models.plan(request["EndpointConfigName"])
        with self._quotas.lock:
            self._quotas.check_endpoint(plan)
            created = self._resources.create(KIND, request, EndpointStatus="Creating", plan=plan)
        self._in_background(self._bring_up, name)
        return created

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        name, config_name = request["EndpointName"], request["EndpointConfigName"]
        record = self._resources.get(KIND, name)
        # A configuration may be deleted while it is in use, but the endpoint can then not be updated any more:
        # https://github.com/hashicorp/terraform-provider-aws/issues/40048
        self._resources.get("EndpointConfig", record["EndpointConfigName"])
        plan = capacity.retained(self._models.plan(config_name), record["plan"], request)
        self._scaling.check_update(name, record["plan"], plan)
        deployment = request.get("DeploymentConfig")
        if deployment is None and request.get("RetainDeploymentConfig"):
            deployment = record.get("LastDeploymentConfig")
        deployments.check(deployment, plan["instances"])
        pending = {
            "plan": plan,
            "config_name": config_name,
            "deployment": deployment,
            "started": time.time(),
        }
        with self._quotas.lock:
            self._quotas.check_endpoint(plan)
            self._begin(record, EndpointStatus="Updating", LastDeploymentConfig=deployment, pending=pending)
        self._in_background(self._switch_over if name in self._traffic else self._bring_up, name)
        return {"EndpointArn": record["EndpointArn"]}

    def _update_capacity(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["EndpointName"]
        record = self._resources.get(KIND, name)
        plan = capacity.changed(record["plan"], request)
        with self._quotas.lock:
            self._quotas.check_endpoint(plan | {"instances": plan["instances"] - record["plan"]["instances"]})
            self._begin(record, EndpointStatus="Updating", plan=plan)
        self._in_background(self._scale, name)
        return {"EndpointArn": record["EndpointArn"]}

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["EndpointName"]
        self._begin(self._resources.get(KIND, name), EndpointStatus="Deleting")
        self._scaling.forget(name)
        self._in_background(self._take_down, name)
        return {}

    def _begin(self, record: Record, **members: Any) -> None:
        """Begin to change an endpoint. Raises AwsError while another change is in progress."""
        name, status = record["EndpointName"], record["EndpointStatus"]
        members["LastModifiedTime"] = time.time()
        settled = status in ("InService", "Failed")
        if not settled or not self._store.change_if(KIND, name, "EndpointStatus", status, **members):
            raise invalid(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')

    def _describe(self, name: str) -> dict[str, Any]:
        record = self._resources.get(KIND, name)
        traffic = self._traffic.get(name)
        if record["EndpointStatus"] in SERVING and traffic is not None:
            record["ProductionVariants"] = [_variant(traffic.blue.plan, 1 - traffic.share)]
        pending = record.get("pending")
        if pending and record["EndpointStatus"] in ("Updating", "RollingBack"):
            record["PendingDeploymentSummary"] = _pending_deployment(pending, traffic)
        return record

    def _restore(self, name: str, pending: dict[str, Any] | None) -> None:
        """After a restart, start what was in service, then begin the deployment again that was in progress."""
        self._bring_up(name)
        if pending and name in self._traffic and not self._closing.is_set():
            self._change(name, EndpointStatus="Updating", pending=pending)
            self._switch_over(name)

    def _bring_up(self, name: str) -> None:
        """Start an endpoint that serves nothing yet."""
        record = self._resources.get(KIND, name)
        pending = record.get("pending") or {}
        fleet = self._new_fleet(name, pending.get("plan") or record["plan"])
        try:
            fleet.start()
        except START_FAILURES as error:
            self._forget(fleet)
            if not self._closing.is_set():
                logger.warning("endpoint %s: %s", name, error)
                self._change(name, EndpointStatus="Failed", FailureReason=str(error), pending=None)
            return
        with self._lock:
            self._traffic[name] = Traffic(fleet)
        self._mark_in_service(name, fleet.plan, pending.get("config_name") or record["EndpointConfigName"])

    def _switch_over(self, name: str) -> None:
        """Replace the plan in service by the pending one; if that fails, the old one stays, as on AWS."""
        pending = self._resources.get(KIND, name)["pending"]
        traffic = self._traffic[name]
        green = self._new_fleet(name, pending["plan"])
        deployment = Deployment(
            pending["deployment"], pending["plan"]["instances"], self._machine.roles, self._closing
        )
        try:
            green.start()
            deployment.run(traffic, green)
        except (*START_FAILURES, RolledBackError) as error:
            if not self._closing.is_set():
                self._roll_back(name, traffic, green, error)
            return
        blue = traffic.blue
        with self._lock:
            self._traffic[name] = Traffic(green)
        self._mark_in_service(name, green.plan, pending["config_name"])
        blue.end()
        self._forget(blue)

    def _roll_back(self, name: str, traffic: Traffic, green: Fleet, error: Exception) -> None:
        logger.warning("endpoint %s: %s", name, error)
        if isinstance(error, RolledBackError):
            self._change(name, EndpointStatus="RollingBack")
            # With the lock, every request that was routed to the green fleet has its lease.
            with self._lock:
                traffic.route(None, 0.0)
            green.end()
        self._forget(green)
        reason = str(error)[:_MAX_REASON_LENGTH]
        self._change(name, EndpointStatus="InService", FailureReason=reason, pending=None)

    def _scale(self, name: str) -> None:
        """Let the fleet have the instances of the plan; one server stays one server."""
        with self._lock:
            traffic = self._traffic.get(name)
            if traffic is not None:
                traffic.blue.plan = self._resources.get(KIND, name)["plan"]
        self._change(name, EndpointStatus="InService" if traffic is not None else "Failed")

    def _take_down(self, name: str) -> None:
        with self._lock:
            traffic = self._traffic.pop(name, None)
        if traffic is not None:
            traffic.blue.end()
            self._forget(traffic.blue)
        self._resources.delete(KIND, name)

    def _new_fleet(self, name: str, plan: Plan) -> Fleet:
        fleet = Fleet(name, plan, self._folder, self._machine)
        with self._lock:
            self._fleets.add(fleet)
            closing = self._closing.is_set()
        if closing:
            fleet.close()
        return fleet

    def _forget(self, fleet: Fleet) -> None:
        with self._lock:
            self._fleets.discard(fleet)

    def _mark_in_service(self, name: str, plan: Plan, config_name: str) -> None:
        self._change(
            name,
            EndpointStatus="InService",
            EndpointConfigName=config_name,
            plan=plan,
            FailureReason=None,
            pending=None,
        )

    def _change(self, name: str, **members: Any) -> None:
        self._store.change(KIND, name, LastModifiedTime=time.time(), **members)

    def _in_background(self, function: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True, name="loupe-endpoint")
        thread.start()
        with self._lock:
            self._threads = [other for other in self._threads if other.is_alive()] + [thread]


def _variant(plan: Plan, weight: float) -> dict[str, Any]:
    variant = {
        "VariantName": plan["variant"],
        "DeployedImages": [{"SpecifiedImage": plan["image"], "ResolvedImage": plan["image"]}],
        "CurrentWeight": weight,
        "DesiredWeight": 1.0,
    }
    if plan.get("serverless"):
        return variant | {"CurrentInstanceCount": 0, "CurrentServerlessConfig": plan["serverless"]}
    count = plan["instances"]
    return variant | {"CurrentInstanceCount": count, "DesiredInstanceCount": count}


def _pending_deployment(pending: dict[str, Any], traffic: Traffic | None) -> dict[str, Any]:
    """Return the PendingDeploymentSummary of DescribeEndpoint."""
    share = traffic.share if traffic is not None else 0.0
    stage = traffic.stage if traffic is not None else "Creating"
    variant = _variant(pending["plan"], share) | {"VariantStatus": [{"Status": stage}]}
    if pending["plan"].get("instance_type"):
        variant["InstanceType"] = pending["plan"]["instance_type"]
    return {
        "EndpointConfigName": pending["config_name"],
        "ProductionVariants": [variant],
        "StartTime": pending["started"],
    }
