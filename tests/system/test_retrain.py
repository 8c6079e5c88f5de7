"""The whole retraining on one machine: labels, real training jobs, the gate, and a swap under load."""

import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud import connection
from loupe.stack.uploads import Source, follow, upload
from tests.system.bad_images import jpeg
from tests.system.cloud_process import eventually, wait_until_saved
from tests.system.factory import SMALL, STARTER, Factory
from training.datasets.generated.synthetic import generate

# A run takes minutes on a busy machine.
pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(900)]
# The starter's weights at half its image size, unchanged: a model that the second run can beat.
FIRST = ("--families", "ssdlite", "--set", "learning_rate=1e-9")


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
    eventually(lambda: "RetrainFailedAlarm" in str(alarming(factory)))
    brought = factory.loupe("import", str(folder))
    assert brought.returncode == 0, brought.stderr
    # An epoch from random weights gives a model that fails every good image, which the gate refuses.
    bucket = factory.target.output("ArtefactsBucketName")
    factory.target.s3.upload_file(str(STARTER), bucket, "pretrained/ssdlite/model.tar.gz")
    return factory.retrain(*FIRST)


def test_the_first_model_goes_live_with_its_report_its_version_and_its_scaling(
    factory: Factory, first: dict[str, Any]
):
    assert (first["decision"], first["champion_before"]) == ("promoted", None)
    (candidate,) = first["candidates"]
    assert candidate["map"] > 0
    assert candidate["cost_usd"] is None, "a laptop has no price"
    page = factory.document(first["report"]).decode()
    assert f"{candidate['map']:.3f}" in page
    here = factory.home / "loupe-reports" / first["run"]
    assert (here / "report.html").read_text() == page
    assert (here / "ssdlite" / "evaluation.html").stat().st_size > 10_000
    (version,) = json.loads(factory.loupe("models", "--json").stdout)["versions"]
    assert version["serving"]
    state = json.loads((factory.home / "sagemaker" / "sagemaker.json").read_text())
    assert list(state["ScalableTarget"]) == ["endpoint/loupe-detector/variant/AllTraffic"]


def test_with_the_first_model_its_operating_points_are_in_force(factory: Factory, first: dict[str, Any]):
    rules = first["rules"]
    proposed = json.loads(factory.document(rules["proposal"]))["classes"]
    assert (rules["applied"], rules["before"]["version"]) == (True, "1"), rules
    assert factory.rules["version"] == rules["after"]["version"]
    assert factory.rules["classes"] == proposed
    assert "candidate" not in factory.rules
    package = factory.target.sagemaker.describe_model_package(ModelPackageName=first["package"])
    assert package["CustomerMetadataProperties"]["rules"] == rules["after"]["version"]


def test_the_command_of_the_report_puts_operating_points_into_force(factory: Factory, first: dict[str, Any]):
    assert factory.loupe("rules", "restore", "1").returncode == 0
    done = factory.loupe("rules", "set", "--scores", first["rules"]["proposal"])
    assert done.returncode == 0, done.stderr
    assert factory.rules["classes"] == json.loads(factory.document(first["rules"]["after"]["uri"]))["classes"]
    again = factory.loupe("rules", "set", first["rules"]["after"]["uri"])
    assert again.returncode == 0, again.stderr
    assert factory.rules["version"] == first["rules"]["after"]["version"]


def test_the_same_data_and_settings_are_not_trained_twice(factory: Factory, first: dict[str, Any]):
    again = factory.retrain(*FIRST)
    assert again["decision"] == "nothing_new"
    assert again["report"] == first["report"]
    assert len(factory.target.sagemaker.list_training_jobs()["TrainingJobSummaries"]) == 1


def test_jobs_of_a_run_that_is_stopped_are_stopped_too(factory: Factory, first: dict[str, Any]):
    """Step Functions stops the jobs that it waits for itself; a tuning job is stopped from outside."""
    sagemaker = factory.target.sagemaker
    long = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
    begun = factory.loupe(
        "retrain", "--families", "ssdlite", "--tune", "--jobs", "2", "--epochs", "500", "--force", *long
    )
    assert begun.returncode == 0, begun.stderr

    def running() -> list[str]:
        listed = sagemaker.list_hyper_parameter_tuning_jobs(StatusEquals="InProgress")
        return [job["HyperParameterTuningJobName"] for job in listed["HyperParameterTuningJobSummaries"]]

    (name,) = eventually(running)
    assert factory.loupe("retrain", "--stop").returncode == 0
    eventually(lambda: not running())
    described = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert described["HyperParameterTuningJobStatus"] in ("Stopping", "Stopped")
    eventually(lambda: not sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"])


def test_of_two_triggers_at_once_one_works_and_the_other_says_so(factory: Factory, first: dict[str, Any]):
    results: list[dict[str, Any]] = []
    # It is trained already, so the one that works evaluates only.
    threads = [
        threading.Thread(target=lambda: results.append(factory.retrain(*FIRST, "--force"))) for _ in range(2)
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
    # Each model was judged by its own rules, also while both answered.
    judged = {(record["model"]["version"], record["rules_version"]) for record in records.values()}
    assert len(judged) == 2, judged
    assert {rules for _, rules in judged} == {
        second["rules"]["before"]["version"],
        second["rules"]["after"]["version"],
    }
    assert factory.rules["version"] == second["rules"]["after"]["version"]
    assert second["rules"]["before"]["version"] == first["rules"]["after"]["version"]


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

    eventually(training)
    wait_until_saved(factory.home, arn[0], "stepfunctions")
    factory.restart()
    followed = factory.loupe("retrain", "--follow", "--json")
    assert followed.stdout, followed.stderr
    result = json.loads(followed.stdout)
    assert result["decision"] == "kept", result
    assert result["endpoint_model"].startswith("loupe-detector")
    assert result["rules"] is None
    now = factory.target.sagemaker.describe_endpoint(EndpointName="loupe-detector")
    assert (now["EndpointStatus"], now["EndpointConfigName"]) == ("InService", serving)
    back = factory.loupe("rollback")
    assert back.returncode == 0, back.stderr
    versions = json.loads(factory.loupe("models", "--json").stdout)["versions"]
    assert [version["version"] for version in versions if version["serving"]] == [1]
    assert factory.rules["version"] == first["rules"]["after"]["version"]
    assert factory.loupe("rollback", "2").returncode == 0
    assert factory.rules["version"] != first["rules"]["after"]["version"]
