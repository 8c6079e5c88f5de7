"""The life of endpoints: come up, change over without losing a request, come back after a restart, end."""

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.sagemaker import deployments
from localcloud.sagemaker.deployments import Deployment, Traffic
from localcloud.sagemaker.errors import invalid
from localcloud.sagemaker.fleets import CAUSES, Fleet
from localcloud.sagemaker.models import Models, Plan
from localcloud.sagemaker.resources import Operation, Resources
from localcloud.sagemaker.server import ModelServer
from localcloud.sagemaker.store import Record

if TYPE_CHECKING:  # its import brings MiniStack's
    from localcloud.sagemaker.roles import Roles

logger = logging.getLogger(__name__)

KIND = "Endpoint"
SERVING = ("InService", "Updating", "RollingBack")


class Endpoints:
    """Every endpoint's traffic. The records lie in `resources`, the servers' files in `folder`."""

    def __init__(
        self,
        resources: Resources,
        models: Models,
        folder: Path,
        logs: Path,
        repo: Path,
        roles: "Roles",
    ) -> None:
        self._resources, self._models, self._roles = resources, models, roles
        self._store = resources.store
        self._folder, self._logs, self._repo = folder, logs, repo
        self._lock = threading.Lock()
        self._traffic: dict[str, Traffic] = {}
        self._fleets: set[Fleet] = set()
        self._closing = threading.Event()

    def operations(self) -> dict[str, Operation]:
        """By name."""
        return {
            "CreateEndpoint": self._create,
            "UpdateEndpoint": self._update,
            "DeleteEndpoint": self._delete,
            "DescribeEndpoint": lambda request: self._describe(request["EndpointName"]),
            "ListEndpoints": lambda request: self._resources.page(KIND, request),
        }

    def resume(self) -> None:
        """Bring back what an earlier run of the cloud had; folders left behind by it are removed."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for record in self._store.all(KIND):
            name, status = record["EndpointName"], record["EndpointStatus"]
            if status == "Deleting":
                self._resources.remove(KIND, name)
            elif status != "Failed":
                self._background(self._come_back, name, record.get("pending"))

    @contextlib.contextmanager
    def lease(self, name: str) -> Iterator[tuple[ModelServer | None, Plan]]:
        """A server and what it runs; it stays until the end of the block even if it is replaced meanwhile."""
        with self._lock:
            traffic = self._traffic.get(name)
            fleet = traffic.choose() if traffic is not None else None
            server = fleet.lease() if fleet is not None else None
        try:
            yield server, fleet.plan if fleet is not None else {}
        finally:
            if server is not None:
                server.release()

    def close(self) -> None:
        """End every server; requests in flight get a few seconds."""
        self._closing.set()
        with self._lock:
            fleets = list(self._fleets)
        ending = [threading.Thread(target=fleet.cut) for fleet in fleets]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["EndpointName"]
        plan = self._models.plan(request["EndpointConfigName"])
        created = self._resources.add(KIND, request, EndpointStatus="Creating", plan=plan)
        self._background(self._come_up, name)
        return created

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        name, config_name = request["EndpointName"], request["EndpointConfigName"]
        record = self._resources.found(KIND, name)
        plan = self._models.plan(config_name)
        config = request.get("DeploymentConfig")
        if config is None and request.get("RetainDeploymentConfig"):
            config = record.get("LastDeploymentConfig")
        deployments.check(config, plan["instances"])
        pending = {"plan": plan, "config_name": config_name, "deployment": config, "started": time.time()}
        self._leave(record, EndpointStatus="Updating", LastDeploymentConfig=config, pending=pending)
        self._background(self._change_over if name in self._traffic else self._come_up, name)
        return {"EndpointArn": record["EndpointArn"]}

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["EndpointName"]
        self._leave(self._resources.found(KIND, name), EndpointStatus="Deleting")
        self._background(self._go_down, name)
        return {}

    def _leave(self, record: Record, **members: Any) -> None:
        """Begin something with an endpoint. Raises AwsError while something else is under way."""
        name, status = record["EndpointName"], record["EndpointStatus"]
        members["LastModifiedTime"] = time.time()
        settled = status in ("InService", "Failed")
        if not settled or not self._store.change_from(KIND, name, "EndpointStatus", status, **members):
            raise invalid(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')

    def _describe(self, name: str) -> dict[str, Any]:
        record = self._resources.found(KIND, name)
        traffic = self._traffic.get(name)
        if record["EndpointStatus"] in SERVING and traffic is not None:
            record["ProductionVariants"] = [_variant(traffic.blue.plan, 1 - traffic.share)]
        pending = record.get("pending")
        if pending and record["EndpointStatus"] in ("Updating", "RollingBack"):
            share = traffic.share if traffic is not None else 0.0
            stage = traffic.stage if traffic is not None else "Creating"
            variant = _variant(pending["plan"], share) | {"VariantStatus": [{"Status": stage}]}
            if pending["plan"].get("instance_type"):
                variant["InstanceType"] = pending["plan"]["instance_type"]
            record["PendingDeploymentSummary"] = {
                "EndpointConfigName": pending["config_name"],
                "ProductionVariants": [variant],
                "StartTime": pending["started"],
            }
        return record

    def _come_back(self, name: str, pending: dict[str, Any] | None) -> None:
        """After a restart: what was in service first, then what was to take over."""
        self._change(name, EndpointStatus="Creating", pending=None)
        self._come_up(name)
        if pending and name in self._traffic and not self._closing.is_set():
            self._change(name, EndpointStatus="Updating", pending=pending)
            self._change_over(name)

    def _come_up(self, name: str) -> None:
        """Bring up an endpoint that serves nothing yet."""
        record = self._resources.found(KIND, name)
        pending = record.get("pending") or {}
        fleet = self._fleet(name, pending.get("plan") or record["plan"])
        try:
            fleet.start()
        except CAUSES as error:
            self._forget(fleet)
            if not self._closing.is_set():
                logger.warning("endpoint %s: %s", name, error)
                self._change(name, EndpointStatus="Failed", FailureReason=str(error), pending=None)
            return
        with self._lock:
            self._traffic[name] = Traffic(fleet)
        self._in_service(name, fleet.plan, pending.get("config_name") or record["EndpointConfigName"])

    def _change_over(self, name: str) -> None:
        """Let the pending plan take over, step by step. A failure leaves what was in service, as on AWS."""
        pending = self._resources.found(KIND, name)["pending"]
        traffic = self._traffic[name]
        green = self._fleet(name, pending["plan"])
        deployment = Deployment(
            pending["deployment"], pending["plan"]["instances"], self._roles, self._closing
        )
        try:
            green.start()
            deployment.run(traffic, green)
        except (*CAUSES, deployments.RolledBackError) as error:
            if self._closing.is_set():
                return
            logger.warning("endpoint %s: %s", name, error)
            if isinstance(error, deployments.RolledBackError):
                self._change(name, EndpointStatus="RollingBack")
                with self._lock:  # whoever chose the green fleet has its lease by now
                    traffic.route(None, 0.0)
                green.end()
            self._forget(green)
            self._change(name, EndpointStatus="InService", FailureReason=str(error)[:1024], pending=None)
            return
        blue = traffic.blue
        with self._lock:
            self._traffic[name] = Traffic(green)
        self._in_service(name, green.plan, pending["config_name"])
        blue.end()
        self._forget(blue)

    def _go_down(self, name: str) -> None:
        with self._lock:
            traffic = self._traffic.pop(name, None)
        if traffic is not None:
            traffic.blue.end()
            self._forget(traffic.blue)
        self._resources.remove(KIND, name)

    def _fleet(self, name: str, plan: Plan) -> Fleet:
        fleet = Fleet(name, plan, self._folder, self._logs, self._repo, self._roles)
        with self._lock:
            self._fleets.add(fleet)
        return fleet

    def _forget(self, fleet: Fleet) -> None:
        with self._lock:
            self._fleets.discard(fleet)

    def _in_service(self, name: str, plan: Plan, config_name: str) -> None:
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

    def _background(self, work: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, daemon=True, name="loupe-endpoint").start()


def _variant(plan: Plan, weight: float) -> dict[str, Any]:
    return {
        "VariantName": plan["variant"],
        "DeployedImages": [{"SpecifiedImage": plan["image"], "ResolvedImage": plan["image"]}],
        "CurrentWeight": weight,
        "DesiredWeight": 1.0,
        "CurrentInstanceCount": plan["instances"],
        "DesiredInstanceCount": plan["instances"],
    }
