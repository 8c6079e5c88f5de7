"""`loupe replay` in the local cloud: by the function, its queue and its role, while the endpoint serves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.inspections import record_id, timestamp
from contract.s3 import join
from localcloud.sources import REPOSITORY
from loupe.stack.target import Target
from loupe.stack.uploads import Source, follow, upload
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.site_client import Client
from tests.system.test_chain import loupe

pytestmark = [pytest.mark.system, pytest.mark.slow]
LINE = "replayed-line"
SAMPLES = sorted((REPOSITORY / "samples" / "line-2" / "bottom").glob("*.jpg"))[:4]


@contextmanager
def rules_of_the_line(target: Target, version: str, **scores: float) -> Iterator[None]:
    """Let other rules be in force for the line."""
    name = target.output("RulesParameterName")
    before = target.ssm.get_parameter(Name=name)["Parameter"]["Value"]
    document = json.loads(before)
    document |= {"version": version, "lines": {**document["lines"], LINE: {"default": scores}}}
    target.ssm.put_parameter(Name=name, Value=json.dumps(document), Overwrite=True)
    try:
        yield
    finally:
        target.ssm.put_parameter(Name=name, Value=before, Overwrite=True)


def replay(process: CloudProcess, *options: str) -> dict[str, Any]:
    done = loupe("replay", "--since", "1h", "--line", LINE, "--json", *options, home=process.home)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def verdicts(admin: Client) -> dict[str, int]:
    now = datetime.now(UTC)
    since, until = (timestamp(now + timedelta(hours=hours)) for hours in (-2, 1))
    reply = admin.send("GET", f"/api/statistics?line={LINE}&since={since}&until={until}&by=hour").json
    return {name: reply["totals"][name] for name in ("pass", "fail", "review") if reply["totals"][name]}


def open_reviews(admin: Client) -> set[str]:
    listed = admin.send("GET", f"/api/reviews?line={LINE}&state=open").json
    return {item["id"] for item in listed["items"] if item["verdict"] == "review"}


def test_images_are_judged_again_by_todays_rules_without_alerts_and_the_old_judgement_stays(
    loupe_process: CloudProcess, target: Target, admin: Client, tried: Callable[..., None]
) -> None:
    keys = {f"incoming/{LINE}/top/SN{number}.jpg": file for number, file in enumerate(SAMPLES)}
    sources = [Source(key, file.read_bytes, key) for key, file in keys.items()]
    with rules_of_the_line(target, "doubt", fail_score=1.0, review_score=0.01):
        # The functions read the rules every two seconds; what they judged before is judged again.
        uploaded = upload(target, sources, lambda _: None)
        follow(target, uploaded, lambda _: None, patience=60)
        eventually(lambda: sum(verdicts(admin).values()) == len(SAMPLES))
        eventually(lambda: replay(loupe_process, "--yes") and verdicts(admin) == {"review": len(SAMPLES)})
        assert len(eventually(lambda: open_reviews(admin))) == len(SAMPLES)

    def judged() -> list[dict[str, Any]]:
        bucket = target.output("ImagesBucketName")
        ids = [record_id(join(bucket, each.origin), each.version_id) for each in uploaded]
        return [admin.send("GET", f"/api/inspections/{identity}").json for identity in ids]

    decided = judged()[0]["id"]
    assert loupe("review", "decide", decided, "pass", home=loupe_process.home).returncode == 0

    assert replay(loupe_process, "--dry-run")["by_verdict"] == {"review": len(SAMPLES)}
    first: dict[str, Any] = {}
    eventually(lambda: first.update(replay(loupe_process, "--yes")) or first["changed"])
    after = judged()
    assert first["not_judged"] == 0
    assert sum(first["changed"].values()) == sum(each["verdict"] != "review" for each in after) > 0
    assert verdicts(admin) == {
        name: count
        for name in ("pass", "fail", "review")
        if (count := sum(each["verdict"] == name for each in after))
    }
    assert open_reviews(admin) == {
        each["id"] for each in after if each["verdict"] == "review" and each["id"] != decided
    }
    # What a person has decided stays, and so does the judgement that he saw.
    assert after[0]["review"]["verdict"] == "pass"
    assert first["reviewed"] >= 1
    replaced = [entry for entry in after[0]["history"] if entry["action"] == "judged_again"]
    assert {entry["old"]["verdict"] for entry in replaced} >= {"review"}
    assert after[0]["replay"]["number"] >= 2

    # Nobody is alerted about what fails now, but it gets its picture.
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    failed = [each for each in after if each["verdict"] == "fail"]
    for each in failed:
        key = {"image": each["image"], "version_id": each["version_id"]}
        stored = eventually(lambda key=key: "picture" in (item := table.get_item(Key=key)["Item"]) and item)
        assert "alert" not in stored
    assert failed

    # Again, it changes nothing.
    again = replay(loupe_process, "--yes", "--verdict", "fail")
    assert again["same_model_and_rules"] == again["images"] == len(failed)
    assert again["changed"] == {}
    tried(images=2 * len(SAMPLES))


def test_a_replay_goes_on_by_its_name_and_an_unknown_one_is_told(loupe_process: CloudProcess) -> None:
    done = replay(loupe_process, "--yes", "--station", "top")
    resumed = loupe("replay", "--resume", done["id"], "--json", home=loupe_process.home)
    assert json.loads(resumed.stdout) == done
    unknown = loupe("replay", "--resume", "nothing", home=loupe_process.home)
    assert unknown.returncode == 1
    assert "there is no replay nothing" in unknown.stderr
    asked = loupe("replay", "--since", "1h", "--line", LINE, home=loupe_process.home)
    assert (asked.returncode, "Add --yes." in asked.stderr) == (1, True)
