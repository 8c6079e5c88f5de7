"""What is connected wrongly shows: a model that cannot judge, and a queue on which something foreign arrives."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from localcloud.sources import REPOSITORY
from loupe.errors import LoupeError
from loupe.stack import deployment, endpoint
from loupe.stack.alarms import alarms
from loupe.stack.target import Target
from tests.inspection_support import by_eventbridge, by_s3, by_sns, s3_record
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.commands import loupe

pytestmark = pytest.mark.system
SAMPLE = REPOSITORY / "samples" / "line-2" / "bottom" / "SN1003.jpg"


def poisoned(folder: Path, **changes: Any) -> Path:
    """Pack the starter model with changes in its model.json."""
    with tarfile.open(deployment.STARTER) as tar:
        tar.extractall(folder, filter="data")
    card = json.loads((folder / "model.json").read_text()) | changes
    (folder / "model.json").write_text(json.dumps(card))
    archive = folder / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("model.json", "model.onnx"):
            tar.add(folder / name, name)
    return archive


def serving(target: Target) -> str:
    current = endpoint.describe(target)
    assert current is not None
    assert current.status == "InService"
    return current.model_name


def test_a_model_without_a_threshold_is_not_deployed(
    loupe_process: CloudProcess, target: Target, tmp_path: Path
) -> None:
    before = serving(target)
    archive = poisoned(tmp_path, postprocess={"score_threshold": float("nan")})
    refused = loupe("deploy", str(archive), "--force", home=loupe_process.home)
    assert refused.returncode == 1
    assert "postprocess.score_threshold must be a number, not nan" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert serving(target) == before


def test_a_model_that_finds_nothing_goes_live_only_by_force_and_is_shown_so(
    loupe_process: CloudProcess, target: Target, tmp_path: Path
) -> None:
    before = serving(target)
    blind = str(poisoned(tmp_path, postprocess={"score_threshold": 0.9999}))
    refused = loupe("deploy", blind, home=loupe_process.home)
    assert refused.returncode == 1
    assert "finds nothing" in refused.stderr
    assert serving(target) == before
    try:
        forced = loupe("deploy", blind, "--force", "--json", home=loupe_process.home)
        assert forced.returncode == 0, forced.stderr
        assert json.loads(forced.stdout)["trial"]["passed"] is False
        for command in ("status", "models"):
            assert "deployed by force" in loupe(command, home=loupe_process.home).stdout
    finally:
        deployment.deploy(target, deployment.STARTER, deployment.Hosting(), lambda _: None)
    assert serving(target) == before


def test_the_endpoint_does_not_start_with_a_model_that_cannot_judge(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may deploy without `loupe deploy`, by SageMaker's own API."""
    before = serving(target)
    archive = poisoned(tmp_path, postprocess={"score_threshold": float("nan")})
    card = deployment.read_card(deployment.STARTER)
    monkeypatch.setattr(deployment, "read_card", lambda _: card)
    with pytest.raises(LoupeError, match="kept its previous model") as caught:
        deployment.deploy(target, archive, deployment.Hosting(), lambda _: None)
    assert "score_threshold" in str(caught.value)
    assert serving(target) == before


@pytest.mark.parametrize(
    "wrap", [by_eventbridge, lambda record: by_sns(by_s3(record))], ids=["EventBridge", "SNS"]
)
@pytest.mark.promise(1)
def test_an_image_is_judged_once_although_it_is_announced_in_two_ways(
    loupe_process: CloudProcess, target: Target, wrap: Any
) -> None:
    bucket, key = target.output("ImagesBucketName"), f"incoming/line-w/{wrap.__name__.strip('<>')}/a+b.jpg"
    version = target.s3.put_object(Bucket=bucket, Key=key, Body=SAMPLE.read_bytes())["VersionId"]
    record = s3_record(key.replace("+", "%2B"), object={"versionId": version})
    record["s3"]["bucket"]["name"] = bucket
    target.sqs.send_message(QueueUrl=target.output("QueueUrl"), MessageBody=json.dumps(wrap(record)))
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    identity = {"image": f"s3://{bucket}/{key}", "version_id": version}
    assert eventually(lambda: table.get_item(Key=identity).get("Item"))["verdict"] == "fail"


@pytest.mark.promise(5)
def test_what_is_foreign_on_the_queue_raises_an_alarm(target: Target) -> None:
    target.sqs.send_message(QueueUrl=target.output("QueueUrl"), MessageBody='{"detail": "of another system"}')

    def raised() -> bool:
        return any("UnknownMessages" in alarm.name and alarm.state == "ALARM" for alarm in alarms(target))

    assert eventually(raised, 180)
