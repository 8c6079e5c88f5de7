"""The function that counts, the tables that it writes, and records of inspections."""

from __future__ import annotations

import functools
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeSerializer
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from contract.inspections import record_id, timestamp
from handlers import track
from inspection import clients
from inspection.records import Record
from review.items import from_item
from review.sampling import Sampling
from tests.inspection_support import Context, http
from tests.stack_template import stack_template

REGION = "eu-central-1"
START = datetime(2026, 1, 31, 8, 20, tzinfo=UTC)
PASS_SHARE, FAIL_SHARE = 0.2, 0.5
TABLES = {"statistics": "StatisticsTable", "reviews": "ReviewsTable"}
_serialize = TypeSerializer().serialize
_COUNTED = {"review": ("doubtful", "doubt:"), "fail": ("defect", "defect:")}


def record(name: str = "SN1", verdict: str = "pass", **changes: Any) -> Record:
    """Return a record. labels: the classes that decided; at: when the image was received."""
    at = changes.pop("at", START)
    line, station = changes.pop("line", "line-1"), changes.pop("station", "top")
    labels = changes.pop("labels", ("scratches",))
    image, version = f"s3://images/incoming/{line}/{station}/{name}.jpg", changes.pop("version_id", "v1")
    code = _COUNTED.get(verdict, ("",))[0]
    model = {"model": {"name": "steel", "version": changes.pop("model", "7")}}
    return {
        "image": image,
        "version_id": version,
        "id": record_id(image, version),
        "sequencer": changes.pop("sequencer", f"{int(at.timestamp()):X}".ljust(64, "0")),
        "line": line,
        "station": station,
        "serial": name,
        "verdict": verdict,
        "reasons": [_reason(code, label) for label in labels if code],
        "detections": [],
        "received_at": timestamp(at),
        "inspected_at": timestamp(changes.pop("inspected", at + timedelta(seconds=1))),
        "expires_at": int((at + timedelta(days=400)).timestamp()),
        **(model if verdict != "unreadable" else {}),
        **changes,
    }


def _reason(code: str, label: str) -> dict[str, Any]:
    score = Decimal("0.4") if code == "doubtful" else Decimal("0.9")
    return {
        "code": code,
        "label": label,
        "message": f"{code}: {label} {score}",
        "score": score,
        "fail_score": Decimal("0.5"),
        "severity": "major",
    }


def stream_event(changes: Iterable[tuple[str, Record]]) -> dict[str, Any]:
    """Return changes (event name, new image) as Lambda delivers them."""
    return {
        "Records": [
            {
                "eventID": str(number),
                "eventName": name,
                "eventSource": "aws:dynamodb",
                "dynamodb": {
                    "SequenceNumber": str(number),
                    "StreamViewType": "NEW_IMAGE",
                    "NewImage": {key: _serialize(value) for key, value in image.items()},
                },
            }
            for number, (name, image) in enumerate(changes)
        ]
    }


def expected(records: Iterable[Record]) -> dict[tuple[str, str], Counter[str]]:
    """Return the counters that a clean count of these records gives, by span and place."""
    sampling = Sampling(PASS_SHARE, FAIL_SHARE)
    counters: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for item in records:
        verdict = item["verdict"]
        counts = Counter({"inspected": 1, verdict: 1})
        if verdict in _COUNTED:
            counts.update({_COUNTED[verdict][1] + reason["label"]: 1 for reason in item["reasons"]})
        if sampling.select(item):
            counts[f"queued:{verdict}"] += 1
        place = f"{item['line']}/{item['station']}/{item.get('model', {}).get('version', '')}"
        for span in (item["received_at"][:13], item["received_at"][:10]):
            counters[span, place].update(counts)
    return dict(counters)


@dataclass
class Stage:
    """The function and its tables.

    Attributes:
        client: Of DynamoDB.
        calls: AWS operations of the function so far.
        used: The same as IAM sees them: the action and the table.
        counting: How many of them were transactions of the counters.
        answer: Returns DynamoDB's error for the body of such a transaction, or None to let it through.
    """

    client: Any
    calls: list[str] = field(default_factory=list)
    counting: int = 0
    used: set[tuple[str, str]] = field(default_factory=set)
    answer: Callable[[bytes], Any] | None = None

    @classmethod
    def make(cls, patch: pytest.MonkeyPatch) -> Stage:
        """Create the tables as the template declares them, and the environment of the function."""
        declared = stack_template()["Resources"]
        stage = cls(boto3.client("dynamodb"))
        for name, logical_id in TABLES.items():
            properties = declared[logical_id]["Properties"]
            names = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
            stage.client.create_table(
                TableName=name, **{key: properties[key] for key in names if key in properties}
            )
        for name, value in {
            "TABLE_NAME": "inspections",
            "STATISTICS_TABLE": "statistics",
            "REVIEWS_TABLE": "reviews",
            "REVIEW_PASS_SHARE": str(PASS_SHARE),
            "REVIEW_FAIL_SHARE": str(FAIL_SHARE),
        }.items():
            patch.setenv(name, value)
        stage._hook()
        stage.client = boto3.client("dynamodb")
        # A client takes longer to make than all calls of a test together.
        for maker in ("dynamodb", "dynamodb_once"):
            patch.setattr(clients, maker, functools.cache(getattr(clients, maker)))
        return stage

    def _hook(self) -> None:
        """Count the calls of all clients made from now on."""

        def before_call(model: Any, params: Any, **_: Any) -> Any:
            self.calls.append(model.name)
            self.counting += self._counts(model.name, params)
            self.used |= _uses(model.name, json.loads(params["body"]))
            if self.answer is None or not self._counts(model.name, params):
                return None
            error = self.answer(params["body"])
            return error and (http(400, {}), error)

        assert boto3.DEFAULT_SESSION
        boto3.DEFAULT_SESSION.events.register("before-call", before_call)

    @staticmethod
    def _counts(operation: str, params: Any) -> bool:
        """Return whether a call counts records: the review queue has transactions, too."""
        return operation == "TransactWriteItems" and b'"statistics"' in params["body"]

    def reset(self) -> None:
        """Empty the tables, and start the function anew."""
        self.answer = None
        for table in dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables.values():
            table.items.clear()
        self.restart()

    def restart(self) -> None:
        """Let the next call find a new process."""
        track._stream.cache_clear()
        self.calls.clear()
        self.used.clear()

    def deliver(self, *records: Record, name: str = "INSERT") -> list[int]:
        """Invoke the function with new records. Return the numbers of those that it wants again."""
        return self.deliver_changes([(name, item) for item in records])

    def deliver_changes(self, changes: Sequence[tuple[str, Record]]) -> list[int]:
        """Invoke the function with changes of the table. Return the numbers of those that it wants again."""
        self.calls.clear()
        self.counting = 0
        reply = track.handler(stream_event(changes), Context())  # type: ignore[arg-type]
        return [int(failure["itemIdentifier"]) for failure in reply["batchItemFailures"]]

    def items(self, table: str = "statistics") -> list[dict[str, Any]]:
        """Return all items of a table. moto takes long for a scan, so they are read from its memory."""
        stored = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[table]
        return [from_item(item.to_json()["Attributes"]) for item in stored.all_items()]

    def counters(self) -> dict[tuple[str, str], Counter[str]]:
        """Return the counters by span and place, as `expected`. What has become 0 is left out."""
        found = {}
        for item in self.items():
            kind, _, span = item["pk"].partition("#")
            if kind in ("hour", "day"):
                part, *names = item["sk"].split("#")
                separator = "T" if kind == "hour" else "-"
                numbers = {
                    name: number
                    for name, number in item.items()
                    if name not in ("pk", "sk", "expires_at") and number
                }
                found[span + separator + part, "/".join(names)] = Counter(numbers)
        return {key: numbers for key, numbers in found.items() if numbers}

    def feed(self) -> list[dict[str, Any]]:
        """Return the items of the feed, in the order of their keys."""
        found = [item for item in self.items() if item["pk"].startswith("feed#")]
        return sorted(found, key=lambda item: (item["pk"], item["sk"]))

    def queued(self) -> set[str]:
        """Return the ids of the images in the review queue."""
        return {item["id"] for item in self.items("reviews") if "image" in item}


def _uses(operation: str, request: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the actions of a request. IAM sees a transaction as its actions."""
    if operation != "TransactWriteItems":
        return {(operation, request["TableName"])}
    actions = [action for item in request["TransactItems"] for action in item.items()]
    return {(f"{name}Item", content["TableName"]) for name, content in actions}


def mixed(number: int) -> list[Record]:
    """Return records of all verdicts, of two lines and two hours."""
    verdicts = itertools.cycle(["pass", "fail", "review", "pass", "unreadable"])
    return [
        record(
            f"SN{index}",
            verdict,
            line=f"line-{index % 2}",
            at=START + timedelta(hours=index % 2, milliseconds=index),
            labels=("scratches", "dent")[: 1 + index % 2],
        )
        for index, verdict in zip(range(number), verdicts, strict=False)
    ]
