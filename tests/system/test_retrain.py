"""The whole retraining on one machine: labels, real training jobs, the gate, and a swap under load."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.s3 import split
from localcloud import connection
from loupe.stack.target import Target
from loupe.stack.uploads import Source, follow, upload
from tests.system.bad_images import jpeg
from tests.system.cloud_process import CloudProcess, eventually, wait_until_saved
from training.datasets.generated.synthetic import generate

pytestmark = [pytest.mark.system, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
SMALL = {"input_size": "128", "batch_size": "8", "workers": "0", "validate_every": "1"}


class Factory:
    """A local cloud for this module, and the loupe command that works on it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process = CloudProcess(home, ROOT)

    @property
    def target(self) -> Target:
        return Target.local(self.home)

    def loupe(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from loupe.cli import main; main()", *arguments],
            capture_output=True,
            text=True,
            cwd=self.home,  # reports are written where the command is run
            env=os.environ | {"LOUPE_HOME": str(self.home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            timeout=timeout,
        )

    def retrain(self, *arguments: str, epochs: int = 1) -> dict[str, Any]:
        settings = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
        done = self.loupe("retrain", "--wait", "--json", "--epochs", str(epochs), *settings, *arguments)
        assert done.stdout, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        assert (done.returncode == 0) == (result["status"] == "SUCCEEDED"), done.stderr
        return result

    def document(self, uri: str) -> bytes:
        bucket, key = split(uri)
        return self.target.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def restart(self) -> None:
        self.process.kill()
        self.process = CloudProcess(self.home, ROOT)


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    factory = Factory(tmp_path_factory.mktemp("factory"))
    yield factory
    assert factory.process.stop() == 0


def alarming(factory: Factory) -> list[str]:
    """The names of the alarms in the state ALARM."""
    cloudwatch = connection(factory.home).client("cloudwatch")
    return [alarm["AlarmName"] for alarm in cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"]]


@pytest.fixture(scope="module")
def first(factory: Factory, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of the first run, which creates the endpoint."""
    folder = tmp_path_factory.mktemp("labels")
    generate(folder, 150, seed=5, size=128)
    nothing = factory.retrain("--families", "ssdlite")
    assert nothing["status"] == "FAILED"
    assert "loupe import" in nothing["cause"]
    eventually(lambda: "RetrainFailedAlarm" in str(alarming(factory)), 30)
    brought = factory.loupe("import", str(folder))
    assert brought.returncode == 0, brought.stderr
    return factory.retrain("--families", "ssdlite")


def test_the_first_model_goes_live_with_its_report_its_version_and_its_scaling(
    factory: Factory, first: dict[str, Any]
):
    assert (first["decision"], first["champion_before"]) == ("promoted", None)
    (candidate,) = first["candidates"]
    assert candidate["map"] > 0
    assert candidate["cost_usd"] > 0
    page = factory.document(first["report"]).decode()
    assert f"{candidate['map']:.3f}" in page
    here = factory.home / "loupe-reports" / first["run"]
    assert (here / "report.html").read_text() == page
    assert (here / "ssdlite" / "evaluation.html").stat().st_size > 10_000
    (version,) = json.loads(factory.loupe("models", "--json").stdout)["versions"]
    assert version["serving"]
    state = json.loads((factory.home / "sagemaker" / "sagemaker.json").read_text())
    assert list(state["ScalableTarget"]) == ["endpoint/loupe-detector/variant/AllTraffic"]


def test_the_same_data_and_settings_are_not_trained_twice(factory: Factory, first: dict[str, Any]):
    again = factory.retrain("--families", "ssdlite")
    assert again["decision"] == "nothing_new"
    assert again["report"] == first["report"]
    assert len(factory.target.sagemaker.list_training_jobs()["TrainingJobSummaries"]) == 1


def test_of_two_triggers_at_once_one_works_and_the_other_says_so(factory: Factory, first: dict[str, Any]):
    results: list[dict[str, Any]] = []
    requests = [
        ["--families", "ssdlite", "--set", "learning_rate=1e-9"],
        ["--families", "ssdlite", "--force"],
    ]
    threads = [
        threading.Thread(target=lambda options=options: results.append(factory.retrain(*options)))
        for options in requests
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result["decision"] for result in results) == ["already_running", "kept"]


def test_a_better_model_is_swapped_in_under_load_and_no_image_is_lost(
    factory: Factory, first: dict[str, Any]
):
    target, done = factory.target, threading.Event()
    dropped: list[Any] = []

    def camera() -> None:
        number = 0
        while not done.is_set():
            number += 1
            image = jpeg(shade=number % 256)
            source = Source(f"incoming/line-1/top/{number:05}.jpg", lambda image=image: image, "camera")
            dropped.extend(upload(target, [source], lambda _: None))
            time.sleep(0.25)

    thread = threading.Thread(target=camera)
    thread.start()
    try:
        second = factory.retrain("--families", "ssdlite", epochs=12)
    finally:
        done.set()
        thread.join()
    assert second["decision"] == "promoted", second["candidates"]
    assert second["champion_before"] == first["endpoint_model"]
    records = follow(target, dropped, lambda _: None, patience=60)
    assert len(records) == len(dropped)
    models = {record["model"]["version"] for record in records.values()}
    assert len(models) == 2
    assert {record["verdict"] for record in records.values()} <= {"pass", "fail", "review"}


def test_a_killed_cloud_goes_on_with_the_run_and_rollback_returns_to_the_former_version(
    factory: Factory, first: dict[str, Any]
):
    serving = factory.target.sagemaker.describe_endpoint(EndpointName="loupe-detector")["EndpointConfigName"]
    begun = factory.loupe("retrain", "--families", "ssdlite", "--epochs", "2", "--set", "seed=3")
    arn = re.search(r"arn:\S+", begun.stdout)
    assert arn, begun.stderr

    def training() -> bool:
        jobs = factory.target.sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"]
        return bool(jobs)

    eventually(training, 60)
    wait_until_saved(factory.home, arn[0], "stepfunctions")
    factory.restart()
    followed = factory.loupe("retrain", "--follow", "--json")
    assert followed.stdout, followed.stderr
    result = json.loads(followed.stdout)
    assert result["decision"] == "kept", result
    assert result["endpoint_model"].startswith("loupe-detector")
    now = factory.target.sagemaker.describe_endpoint(EndpointName="loupe-detector")
    assert (now["EndpointStatus"], now["EndpointConfigName"]) == ("InService", serving)
    back = factory.loupe("rollback")
    assert back.returncode == 0, back.stderr
    versions = json.loads(factory.loupe("models", "--json").stdout)["versions"]
    assert [version["version"] for version in versions if version["serving"]] == [1]
