"""The whole system on one machine: real template, real functions, real model, through the loupe command."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from loupe.stack.alert_inbox import AlertInbox, DefectAlert
from loupe.stack.inspections import Inspection, to_json_types
from loupe.stack.logs import StackLogs
from loupe.stack.target import Target
from loupe.stack.uploads import Source, follow, upload
from tests.camera_pictures import forms, strip, twelve_in_sixteen
from tests.system import commands
from tests.system.bad_images import AWKWARD_SERIALS, UNREADABLE, jpeg
from tests.system.cloud_process import CloudProcess, eventually, wait_until_saved

pytestmark = pytest.mark.system
ROOT = Path(__file__).resolve().parents[2]


def loupe(
    *arguments: str, home: Path | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"LOUPE_HOME": str(home)} if home else {})
    return subprocess.run(
        [sys.executable, "-c", "from loupe.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=timeout,
    )


class Up:
    """`loupe up` in its own process."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from loupe.cli import main; main()", "up", "--json", "--home", str(home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            pytest.fail(f"loupe up did not come up: {self.process.communicate()[1]}")
        self.target = Target.local(home)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def put(target: Target, bodies: dict[str, bytes]) -> dict[str, Inspection]:
    """Upload objects by key, wait for their records, and return the records by key."""
    sources = [Source(key, lambda body=body: body, key) for key, body in bodies.items()]
    uploads = upload(target, sources, lambda _: None)
    records = follow(target, uploads, lambda _: None, patience=60)
    return {uploaded.origin: records[uploaded.identity] for uploaded in uploads}


def waiting(target: Target, queue: str) -> int:
    """Return how many messages are in a queue, in flight included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    reply = target.sqs.get_queue_attributes(QueueUrl=target.output(queue), AttributeNames=names)  # type: ignore[arg-type]
    return sum(int(reply["Attributes"][name]) for name in names)  # type: ignore[index]


def test_every_unreadable_file_gets_a_record_with_the_reason_and_the_queue_is_empty(target: Target):
    records = put(target, {f"incoming/line-9/bad/{name}": make() for name, make in UNREADABLE.items()})
    verdicts = {key.rsplit("/", 1)[1]: record["verdict"] for key, record in records.items()}
    assert verdicts == dict.fromkeys(UNREADABLE, "unreadable")
    assert all(record["reasons"][0]["message"] for record in records.values())
    codes = {key.rsplit("/", 1)[1]: record["reasons"][0]["code"] for key, record in records.items()}
    assert codes["empty.jpg"] == "empty_image"
    assert codes["fifty-megabytes.jpg"] == "too_large"
    assert codes["bomb.png"] == "too_many_pixels"
    assert eventually(lambda: waiting(target, "QueueUrl") == 0)
    assert waiting(target, "DeadLetterQueueUrl") == 0


def test_the_id_of_a_record_finds_what_the_container_says_about_its_image(target: Target):
    began = datetime.now(UTC)
    (record,) = put(target, {"incoming/line-9/logs/cut.jpg": UNREADABLE["truncated.jpg"]()}).values()

    def found() -> list[str]:
        """The lines of all logs of the stack that have the id; the endpoint's log appears with its first line."""
        return [line.message for line in StackLogs(target).read([], began, record["id"])]

    (line,) = eventually(found)
    assert "corrupt_image" in line


def test_an_image_too_large_for_a_request_is_inspected_by_reference_with_the_models_own_role(target: Target):
    key = "incoming/line-1/top/large.jpg"
    small = jpeg()
    records = put(target, {key: small + bytes(7 * 1024 * 1024), "incoming/line-1/top/small.jpg": small})
    large, same = records[key], records["incoming/line-1/top/small.jpg"]
    assert large["image_bytes"] > 6_291_456
    assert (large["verdict"], large["detections"]) == (same["verdict"], same["detections"])
    assert (large["image_format"], large["image_width"]) == (same["image_format"], same["image_width"])


def test_the_demo_s_failing_parts_fail_in_every_form_of_their_pictures(target: Target):
    bodies, unstated = {}, {}
    for serial in ("line-1/top/SN1002", "line-2/bottom/SN1003"):
        data = (ROOT / f"samples/{serial}.jpg").read_bytes()
        folder = f"incoming/camera/{serial.rsplit('/')[-1]}"
        bodies |= {f"{folder}/{name}": form for name, form in forms(data)}
        unstated[f"{folder}/12-in-16.png"] = twelve_in_sixteen(data)
    records = put(target, bodies | unstated)
    assert {key: records[key]["verdict"] for key in bodies} == dict.fromkeys(bodies, "fail")
    assert {key: records[key]["verdict"] for key in unstated} == dict.fromkeys(unstated, "review")


def test_a_strip_at_another_scale_than_learned_is_a_review_that_says_so(target: Target):
    data = (ROOT / "samples/line-2/bottom/SN1003.jpg").read_bytes()
    sizes = [(16000, 200), (200, 16000), (16000, 64)]
    records = put(target, {f"incoming/scan/strip/{w}x{h}.png": strip(data, (w, h), 7600) for w, h in sizes})
    for record in records.values():
        assert record["verdict"] == "review"
        assert any("wrong scale: " in reason["message"] for reason in record["reasons"])


def test_unusual_keys_arrive_unchanged(target: Target):
    records = put(target, {f"incoming/line 1/s+1/{serial}.jpg": jpeg() for serial in AWKWARD_SERIALS})
    assert {record["serial"] for record in records.values()} == set(AWKWARD_SERIALS)
    assert {(record["line"], record["station"]) for record in records.values()} == {("line 1", "s+1")}


def test_an_image_without_line_or_station_in_its_key_is_inspected(target: Target):
    records = put(target, {"incoming/alone.jpg": jpeg(), "incoming/line-1/half.jpg": jpeg()})
    assert [(r["line"], r["station"], r["verdict"]) for r in records.values()] == [
        ("unknown", "unknown", "pass"),
        ("line-1", "unknown", "pass"),
    ]


def test_messages_without_an_image_are_acknowledged(target: Target):
    for body in (
        "no json",
        '{"Event": "s3:TestEvent"}',
        '{"Records": [{"eventSource": "aws:sns"}]}',
        "[]",
        '"x"',
    ):
        target.sqs.send_message(QueueUrl=target.output("QueueUrl"), MessageBody=body)
    assert eventually(lambda: waiting(target, "QueueUrl") == 0)
    assert waiting(target, "DeadLetterQueueUrl") == 0


def test_an_image_that_was_deleted_before_it_is_read_gets_a_record(target: Target):
    bucket, key = target.output("ImagesBucketName"), "incoming/line-1/top/gone.jpg"
    event = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "s3": {
            "bucket": {"name": bucket},
            "object": {"key": key, "versionId": "7f0e4f1c-0000-0000-0000-000000000000", "sequencer": "01"},
        },
    }
    target.sqs.send_message(QueueUrl=target.output("QueueUrl"), MessageBody=json.dumps({"Records": [event]}))
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    identity = {"image": f"s3://{bucket}/{key}", "version_id": event["s3"]["object"]["versionId"]}  # type: ignore[index]
    record = to_json_types(eventually(lambda: table.get_item(Key=identity).get("Item")))
    assert (record["verdict"], record["reasons"][0]["code"]) == ("unreadable", "deleted")


def test_each_version_of_a_key_gets_its_own_record(target: Target):
    key = "incoming/line-1/top/again.jpg"
    first = put(target, {key: jpeg(shade=90)})[key]
    second = put(target, {key: b""})[key]
    assert (first["verdict"], second["verdict"]) == ("pass", "unreadable")
    assert first["version_id"] != second["version_id"]


def test_a_duplicate_event_raises_one_alert(target: Target):
    inbox = AlertInbox(target)
    sample = (ROOT / "samples" / "line-2" / "bottom" / "SN1003.jpg").read_bytes()
    key = "incoming/line-dup/top/patches.jpg"
    record = put(target, {key: sample})[key]
    assert record["verdict"] == "fail"
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    identity = {"image": record["image"], "version_id": record["version_id"]}
    alert = eventually(lambda: table.get_item(Key=identity)["Item"].get("alert"))
    event = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": record["received_at"],
        "s3": {
            "bucket": {"name": target.output("ImagesBucketName")},
            "object": {"key": key, "versionId": record["version_id"], "sequencer": record["sequencer"]},
        },
    }
    for _ in range(3):
        target.sqs.send_message(
            QueueUrl=target.output("QueueUrl"), MessageBody=json.dumps({"Records": [event]})
        )
    assert eventually(lambda: waiting(target, "QueueUrl") == 0)
    alerts: list[dict[str, Any]] = []

    def more() -> bool:
        """Take what is in the inbox, the alerts of other tests too; false if it stays empty for two seconds."""
        received = inbox.receive(2)
        documents = [message.document for message in received if isinstance(message, DefectAlert)]
        alerts.extend(document for document in documents if document["line"] == "line-dup")
        return bool(received)

    eventually(lambda: more() and alerts)
    while more():
        pass
    assert [alert["alert_id"] for alert in alerts] == [record["id"]]
    assert table.get_item(Key=identity)["Item"]["alert"] == alert


def test_drop_and_inspections_print_the_same_records_as_json(loupe_process: CloudProcess, target: Target):
    dropped = loupe("drop", "samples", "--wait", "--json", home=loupe_process.home)
    assert dropped.returncode == 0, dropped.stderr
    result = json.loads(dropped.stdout)
    files = [path for path in (ROOT / "samples").rglob("*") if path.is_file()]
    assert (result["dropped"], result["lost"], len(result["records"])) == (len(files), 0, len(files))
    listed = commands.loupe(
        "inspections", "--line", "line-2", "--json", "--limit", "500", home=loupe_process.home
    )
    versions = {(i["image"], i["version_id"]) for i in json.loads(listed.stdout)["inspections"]}
    assert {(r["image"], r["version_id"]) for r in result["records"] if r["line"] == "line-2"} <= versions
    failed = commands.loupe(
        "inspections", "--verdict", "fail", "--since", "1h", "--json", home=loupe_process.home
    )
    assert {i["verdict"] for i in json.loads(failed.stdout)["inspections"]} == {"fail"}


def test_a_second_up_names_the_running_process_and_what_to_do(loupe_process: CloudProcess):
    second = loupe("up", "--home", str(loupe_process.home))
    assert second.returncode == 1
    assert "is already running by process" in second.stderr
    assert "loupe down" in second.stderr


# The small chain of test_local_cloud.py is killed in the fast tests.
@pytest.mark.slow
def test_a_killed_cloud_comes_back_with_its_records_and_its_endpoint(tmp_path: Path):
    first = Up(tmp_path)
    before = put(first.target, {"incoming/line-1/top/kept.jpg": jpeg()})["incoming/line-1/top/kept.jpg"]
    wait_until_saved(tmp_path, "kept.jpg")
    children = psutil.Process(first.process.pid).children(recursive=True)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait(60)
    assert psutil.wait_procs(children, timeout=60)[1] == []
    second = Up(tmp_path)
    try:
        table = second.target.dynamodb.Table(second.target.output("InspectionsTableName"))
        identity = {"image": before["image"], "version_id": before["version_id"]}
        assert to_json_types(table.get_item(Key=identity)["Item"])["verdict"] == "pass"
        after = put(second.target, {"incoming/line-1/top/new.jpg": jpeg()})["incoming/line-1/top/new.jpg"]
        assert after["verdict"] == "pass"
    finally:
        stopped = loupe("down", home=tmp_path)
        second.process.wait(60)
    assert stopped.returncode == 0


def test_the_demo_loses_nothing_and_its_last_line_is_its_figures(tmp_path: Path):
    demo = loupe("demo", "--pictures", str(tmp_path / "pictures"))
    assert demo.returncode == 0, demo.stderr
    last = demo.stdout.splitlines()[-1]
    assert last.startswith("demo: ")
    figures = dict(pair.split("=") for pair in last.removeprefix("demo: ").split())
    assert list(figures) == [
        *("images", "inspected", "pass", "fail", "review", "unreadable", "alerts", "lost", "p50_ms", "p95_ms")
    ]
    assert figures["lost"] == "0"
    assert figures["images"] == figures["inspected"]
    assert int(figures["unreadable"]) >= 1
    assert int(figures["fail"]) >= 1
    assert figures["alerts"] == figures["fail"]
    assert len(list((tmp_path / "pictures").glob("*.jpg"))) == int(figures["fail"]) + int(figures["review"])
