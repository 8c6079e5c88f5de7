"""The factory that the faults meet: one local cloud for all tests, with the starter model behind its endpoint."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from loupe.stack import deployment
from loupe.stack.alert_inbox import AlertInbox, DefectAlert
from loupe.stack.target import Target
from loupe.stack.uploads import Source, follow, upload
from tests.faults import Faults
from tests.faults.clock import Clock
from tests.system.cloud_process import CloudProcess, eventually

ROOT = Path(__file__).parents[2]
# Above what a batch takes on a busy machine, and short enough to wait for when its worker was killed; 360 s elsewhere.
VISIBILITY_S = 30


@dataclass(frozen=True)
class Judged:
    """What an undisturbed factory says about a picture."""

    verdict: str
    reasons: Any
    detections: Any


class Factory:
    """A local cloud whose functions take orders for faults.

    Attributes:
        home: The cloud's home.
        process: The cloud.
        target: Its stack.
        faults: Gives the orders.
        clock: The clock of the cloud and of the functions.
        pictures: What the cameras send.
        version: The version of the starter model.
        judged: What it says about each of them.
        alerts: How often each alert has come so far, by its id.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        self.home = home
        self.clock = Clock(folder / "clock")
        self.faults = Faults(folder / "faults")
        self.alerts: Counter[str] = Counter()
        self._messages: set[str] = set()
        samples = sorted((ROOT / "samples").rglob("*.jpg"))
        self.pictures = [sample.read_bytes() for sample in samples] + [b"no picture at all"]
        self.start()
        deployment.deploy(self.target, deployment.STARTER, deployment.Hosting(), lambda status: None)
        self.version, self.judged = self.judge("golden")

    def start(self) -> None:
        """Start the cloud, also again after it was killed."""
        self.process = CloudProcess(self.home, ROOT, **self.clock.environment)
        self.target = Target.local(self.home)
        self._inbox = AlertInbox(self.target)
        # Each time: if functions/ was edited meanwhile, the start has deployed it, and set these back.
        self.faults.install(self.target, **self.clock.environment)
        self.target.sqs.set_queue_attributes(
            QueueUrl=self.target.output("QueueUrl"), Attributes={"VisibilityTimeout": str(VISIBILITY_S)}
        )

    def kill(self) -> None:
        """Kill the cloud as `kill -9` does."""
        self.process.kill()

    def stop(self) -> None:
        """End the cloud, however long that takes on a busy machine."""
        self.process.process.send_signal(signal.SIGINT)
        self.process.process.wait(timeout=600)

    def model_server(self) -> psutil.Process:
        """Return the program that answers the endpoint's requests, once there is one."""
        found: psutil.Process = eventually(lambda: next(iter(self._model_servers()), None))
        return found

    def serving_worker(self) -> psutil.Process:
        """Return one of the processes in which that program runs the model."""

        def workers() -> list[psutil.Process]:
            below = [
                process for server in self._model_servers() for process in server.children(recursive=True)
            ]
            parents = {process.ppid() for process in below}
            return [child for child in below if child.pid not in parents and "forkserver" in _command(child)]

        found: psutil.Process = eventually(workers)[0]
        return found

    def _model_servers(self) -> list[psutil.Process]:
        return [
            child
            for child in self.process.children()
            if "program_wrapper.py training.serve" in _command(child)
        ]

    def messages(self, *outputs: str) -> int:
        """Return the number of messages of queues: waiting, in work and delayed."""
        counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        names: Any = [*counts, "ApproximateNumberOfMessagesDelayed"]
        total = 0
        for url in outputs:
            reply = self.target.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
            total += sum(int(reply["Attributes"][name]) for name in names)
        return total

    def waiting(self) -> int:
        """Return the number of images in the queue."""
        return self.messages(self.target.output("QueueUrl"))

    def given_up(self) -> int:
        """Return the number of messages in the dead-letter queue, and of records that alerts or counters gave up."""
        urls = self.target.sqs.list_queues().get("QueueUrls", [])
        failures = [url for url in urls if "FailureQueue" in url]
        assert len(failures) >= 2, urls
        return self.messages(self.target.output("DeadLetterQueueUrl"), *failures)

    def receive_alerts(self) -> None:
        """Count the alerts that have come since the last time."""
        while received := self._inbox.receive(wait_seconds=0):
            for message in received:
                if isinstance(message, DefectAlert):
                    # A cloud that was killed may give a message of SNS back to the inbox.
                    if message.envelope["MessageId"] not in self._messages:
                        self.alerts[str(message.document["alert_id"])] += 1
                    self._messages.add(message.envelope["MessageId"])

    def variable(self, function: str, name: str) -> str:
        """Return an environment variable of a function of the stack."""
        configuration = self.target.functions.get_function_configuration(
            FunctionName=self.target.output(function)
        )
        return configuration["Environment"]["Variables"][name]

    def set_timeout(self, function: str, seconds: int) -> None:
        """Set how long a function of the stack may run."""
        self.target.functions.update_function_configuration(
            FunctionName=self.target.output(function), Timeout=seconds
        )

    def judge(self, line: str) -> tuple[str, list[Judged]]:
        """Send each picture once, undisturbed. Return the version of the model that serves, and what it says."""
        sources = [
            Source(f"incoming/{line}/top/{number}.jpg", lambda body=body: body, str(number))
            for number, body in enumerate(self.pictures)
        ]
        uploads = upload(self.target, sources, lambda _: None)
        records = follow(self.target, uploads, lambda _: None, patience=120)
        (version,) = {record["model"]["version"] for record in records.values() if "model" in record}
        by_picture = {uploaded.origin: judgement(records[uploaded.identity]) for uploaded in uploads}
        return version, [by_picture[source.origin] for source in sources]


def judgement(record: dict[str, Any]) -> Judged:
    """Return what a record says about its picture."""
    return Judged(record["verdict"], _plain(record.get("reasons")), _plain(record.get("detections")))


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def small_disk(folder: Path, size: str) -> bool:
    """Mount a small disk on a folder. Return whether that is allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return shutil.which("mount") is not None and not subprocess.run(mount, capture_output=True).returncode
