"""Fills a local cloud with ten days of a small factory, for the pictures in the documentation.

The images are generated. They take the way of all images: they lie in the bucket, and a message for each, in the form
of S3's, comes to the queue; only its time of the upload lies in the past. People's decisions, comments and rules go
through the HTTP API.
"""

from __future__ import annotations

import json
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import APIRequestContext, Playwright

from contract.inspections import timestamp
from contract.keys import incoming
from localcloud import Connection
from loupe.stack import users
from loupe.stack.target import Target
from training.datasets.generated import synthetic

# As in the Lambda packages.
sys.path.insert(0, "functions")

from tracking.beginning import Beginning

DAYS = 10
PLACES = (("line-1", "top"), ("line-1", "bottom"), ("line-2", "top"), ("line-3", "edge"))
_DEFECTIVE, _DEFECTIVE_ON_THE_BAD_DAY = 0.08, 0.75
_BAD_DAY, _BAD_LINE = 3, "line-2"
_BATCH = 10  # messages, the most that SQS takes at once
_PATIENCE_S = 600
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Surface:
    """A generated image.

    Attributes:
        content: The file.
        objects: Its true defects, as the API takes them.
    """

    content: bytes
    objects: list[dict[str, Any]]


@dataclass
class Factory:
    """A local cloud that is being filled.

    Attributes:
        cloud: The running cloud.
        target: The same, for the command's functions.
        good: Images without a defect.
        defective: Images with defects.
        chance: The same in each run.
        shown: What each serial shows.
    """

    cloud: Connection
    target: Target
    good: list[Surface]
    defective: list[Surface]
    chance: random.Random = field(default_factory=lambda: random.Random(20))  # noqa: S311 - no secret
    shown: dict[str, Surface] = field(default_factory=dict)

    def run(self, images_a_day: int) -> None:
        """Let the factory work for ten days, until now."""
        now = datetime.now(UTC)
        Beginning(self.cloud.client("dynamodb"), self.cloud.outputs["StatisticsTableName"]).remember(
            now - timedelta(days=DAYS)
        )
        with self._silent_bucket():
            moments = sorted(
                now - timedelta(seconds=self.chance.uniform(900, DAYS * 86_400))
                for _ in range(images_a_day * DAYS)
            )
            messages = [self._message(number, at, now) for number, at in enumerate(moments)]
        queue = self.cloud.client("sqs")
        for first in range(0, len(messages), _BATCH):
            batch = messages[first : first + _BATCH]
            entries = [
                {"Id": str(number), "MessageBody": json.dumps(body)} for number, body in enumerate(batch)
            ]
            queue.send_message_batch(QueueUrl=self.cloud.outputs["QueueUrl"], Entries=entries)
        self._wait(lambda: self._records() >= len(messages))

    def upload(self, line: str, station: str, serial: str, surface: Surface) -> str:
        """Upload an image as a camera does, and return its version."""
        self.shown[serial] = surface
        reply = self.cloud.client("s3").put_object(
            Bucket=self.cloud.outputs["ImagesBucketName"],
            Key=incoming(line, station, f"{serial}.jpg"),
            Body=surface.content,
        )
        return str(reply["VersionId"])

    def _message(self, number: int, at: datetime, now: datetime) -> dict[str, Any]:
        line, station = self.chance.choice(PLACES)
        bad = line == _BAD_LINE and (now - at).days == _BAD_DAY
        share = _DEFECTIVE_ON_THE_BAD_DAY if bad else _DEFECTIVE
        surface = self.chance.choice(self.defective if self.chance.random() < share else self.good)
        serial = f"SN{24_001 + number}"
        version = self.upload(line, station, serial, surface)
        entity = {
            "bucket": {"name": self.cloud.outputs["ImagesBucketName"]},
            "object": {
                "key": quote(incoming(line, station, f"{serial}.jpg")),
                "size": len(surface.content),
                "versionId": version,
                "sequencer": f"{number:016X}",
            },
        }
        event = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": timestamp(at)}
        return {"Records": [{**event, "s3": entity}]}

    @contextmanager
    def _silent_bucket(self) -> Iterator[None]:
        """Let the bucket announce nothing until the block ends."""
        s3, bucket = self.cloud.client("s3"), self.cloud.outputs["ImagesBucketName"]
        announced = s3.get_bucket_notification_configuration(Bucket=bucket)
        announced.pop("ResponseMetadata")
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
        yield
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=announced)

    def _records(self) -> int:
        table = self.cloud.outputs["InspectionsTableName"]
        pages = self.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=table, Select="COUNT")
        return sum(page["Count"] for page in pages)

    def _wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not done():
            if time.monotonic() > deadline:
                raise SystemExit(f"the factory is not done after {_PATIENCE_S} seconds")
            time.sleep(1)


def surfaces(folder: Path) -> tuple[list[Surface], list[Surface]]:
    """Draw images, and return those without a defect and those with defects."""
    synthetic.generate(folder, 240, seed=21)
    document = json.loads((folder / "annotations.json").read_text())
    names = {category["id"]: category["name"] for category in document["categories"]}
    drawn = []
    for image in document["images"]:
        boxes = [label for label in document["annotations"] if label["image_id"] == image["id"]]
        objects = [{"label": names[each["category_id"]], "box": _corners(each["bbox"])} for each in boxes]
        drawn.append(Surface((folder / image["file_name"]).read_bytes(), objects))
    return [each for each in drawn if not each.objects], [each for each in drawn if each.objects]


def _corners(bbox: list[float]) -> Box:
    x, y, width, height = bbox
    return x, y, x + width, y + height


def show_more_to_people(cloud: Connection, pass_share: float, fail_share: float) -> None:
    """Set the shares of passed and failed images that also come into the review queue."""
    functions, name = cloud.client("lambda"), cloud.outputs["TrackFunctionName"]
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    variables |= {"REVIEW_PASS_SHARE": str(pass_share), "REVIEW_FAIL_SHARE": str(fail_share)}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


class Person:
    """Somebody who is signed in, and asks the HTTP API."""

    def __init__(
        self, playwright: Playwright, site: str, target: Target, name: str, group: users.Group
    ) -> None:
        password = f"{secrets.token_urlsafe(12)}-aA1"
        users.add(target, name, group)
        target.cognito.admin_set_user_password(
            UserPoolId=target.output("UserPoolId"), Username=name, Password=password, Permanent=True
        )
        self._http: APIRequestContext = playwright.request.new_context(base_url=site)
        answer = self._http.post("/api/session", data={"username": name, "password": password})
        self._headers = {"authorization": f"Bearer {answer.json()['token']}"}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return what the API answers; None for an empty queue."""
        answer = self._http.fetch(f"/api{path}", method=method, headers=self._headers, data=body)
        if answer.status == 404:
            return None
        if not answer.ok:
            raise SystemExit(f"{method} {path}: {answer.status} {answer.text()}")
        return answer.json()
