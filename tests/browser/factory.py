"""What the browser tests look at: a local cloud with inspected images, and people who may use its dashboard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boto3.dynamodb.conditions import Attr

from contract.keys import incoming
from localcloud import Connection
from loupe.stack import deployment, users
from loupe.stack.target import Target
from tests.system.cloud_process import CloudProcess, eventually

REPOSITORY = Path(__file__).parents[2]
SAMPLES = REPOSITORY / "samples"
PASSWORD = "Steel-and-light-1"
LINES = {"line-1": "top", "line-2": "bottom"}
DEFECTIVE = SAMPLES / "line-2" / "bottom" / "SN1003.jpg"  # two patches, both above 0.9
Record = dict[str, Any]


@dataclass
class Factory:
    """A running local cloud, with the starter model.

    Attributes:
        process: Its process.
        people: The names of the users, by group.
    """

    process: CloudProcess
    people: dict[str, str] = field(default_factory=dict)
    _number: int = 0

    @property
    def cloud(self) -> Connection:
        return self.process.connection

    @property
    def site(self) -> str:
        """The dashboard's address."""
        return self.cloud.site_url

    @property
    def target(self) -> Target:
        return Target.local(self.process.home)

    def client(self, service: str) -> Any:
        return self.cloud.client(service)

    def table(self, output: str) -> Any:
        """Return a table of DynamoDB, by the stack's output that names it."""
        resource = self.cloud.session.resource("dynamodb", endpoint_url=self.cloud.endpoint_url)
        return resource.Table(self.cloud.outputs[output])

    def hire(self, name: str, group: users.Group | None) -> str:
        """Add a user with a password of his own, in a group or in none."""
        pool, cognito = self.cloud.outputs["UserPoolId"], self.client("cognito-idp")
        cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)
        if group:
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
        return name

    def drop(self, file: Path, line: str = "line-1", serial: str = "", station: str = "") -> str:
        """Upload an image as a camera does, and return its serial number."""
        self._number += 1
        serial = serial or f"B{self._number:04d}"
        self.client("s3").put_object(
            Bucket=self.cloud.outputs["ImagesBucketName"],
            Key=incoming(line, station or LINES.get(line, "top"), serial + file.suffix),
            # Another image of the same content is the same to the data set.
            Body=file.read_bytes() + b"\0" * self._number,
        )
        return serial

    def record(self, serial: str) -> Record:
        """Return the inspection of a serial number, once it is there."""
        found: Record = eventually(lambda: next(iter(self.records(serial)), None))
        return found

    def records(self, serial: str | None = None) -> list[Record]:
        """Return the inspections, of a serial number or all."""
        # The table has the heat maps, too, as items of their own.
        wanted = Attr("serial").eq(serial) if serial else Attr("serial").exists()
        items: list[Record] = self.table("InspectionsTableName").scan(FilterExpression=wanted)["Items"]
        return items

    def queued(self, serial: str) -> Record:
        """Return an inspection, once it is in the review queue."""
        record = self.record(serial)
        eventually(lambda: self.review(record["id"]))
        return record

    def review(self, identity: str) -> Record | None:
        """Return an item of the review queue; None if it is not there."""
        item: Record | None = self.table("ReviewsTableName").get_item(Key={"id": identity}).get("Item")
        return item


def open_factory(home: Path) -> Factory:
    """Start a local cloud with the starter model, inspect the sample images, and hire people."""
    process = CloudProcess(home, REPOSITORY)
    deployment.deploy(Target.local(home), deployment.STARTER, deployment.Hosting(), lambda status: None)
    factory = Factory(process)
    _show_every_failed_image_to_people(factory)
    for file in sorted(SAMPLES.rglob("*.jpg")):
        factory.drop(file, file.parents[1].name, file.stem)
    for group in users.Group:
        # The cloud's own administrator is `admin`.
        factory.people[group.value] = factory.hire(f"the-{group}", group)
    factory.people["second"] = factory.hire("second", users.Group.REVIEWER)
    factory.people["nobody"] = factory.hire("nobody", None)
    eventually(lambda: len(factory.records()) == len(list(SAMPLES.rglob("*.jpg"))))
    return factory


def _show_every_failed_image_to_people(factory: Factory) -> None:
    functions, name = factory.client("lambda"), factory.cloud.outputs["TrackFunctionName"]
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    variables |= {"REVIEW_FAIL_SHARE": "1", "REVIEW_PASS_SHARE": "0"}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


def soon(check: Callable[[], Any], timeout_s: float = 60) -> Any:
    """Return the first true result of a check, asked ten times a second."""
    deadline = time.monotonic() + timeout_s
    while not (result := check()):
        assert time.monotonic() < deadline, f"not within {timeout_s} seconds"
        time.sleep(0.1)
    return result
