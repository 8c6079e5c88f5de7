"""Reviews, labels and rates by the API, on moto: from the queue to the rates and the export."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from contract.inspections import Verdict
from contract.keys import last_run, snapshots_of
from inspection.records import Record
from inspection.rules import Reason
from retraining import labelled
from retraining.documents import Documents
from review.labels import Labels
from tests.api_support import Answer, call, forget
from tests.inspection_support import anomaly, detection, jpeg
from tests.integration.api_cloud import ApiCloud, start
from tests.unit.retraining.account import Account
from tests.unit.retraining.planning import EXECUTION, planner
from tests.unit.retraining.snapshots import LABELS, as_training_reads, sample, snapshot, taken
from training.job.container import Container
from training.learning.anomalies.data import AnomalyData, open_anomaly_data

DOUBT = Reason("doubtful", "possible defect: scratch 0.41", "scratch", 0.41, 0.5, "major", 0)
DEFECT = Reason("defect", "defect: scratch 0.91", "scratch", 0.91, 0.5, "major", 0)
BOX = [11.5, 20, 60, 80]
FAIL: dict[str, Any] = {"verdict": "fail", "objects": [{"label": "scratch", "box": BOX}]}
FINISHED = {"run": "r", "finished": "2026-01-01T00:00:00Z", "report": None, "settings": "s"}
PASS: dict[str, Any] = {"verdict": "pass"}


@pytest.fixture(scope="module")
def _cloud() -> Iterator[ApiCloud]:
    with pytest.MonkeyPatch.context() as patch:
        for started in start(patch):
            for name in ("ENDPOINT_NAME", "STATE_MACHINE_ARN", "MODEL_PACKAGE_GROUP"):
                patch.setenv(name, name.lower())
            patch.setenv("DATASET_NAME", "default")
            patch.setenv("REVIEW_FAIL_SHARE", "1")
            yield started


@pytest.fixture
def cloud(_cloud: ApiCloud) -> ApiCloud:
    _cloud.empty()
    return _cloud


def doubtful(cloud: ApiCloud, serial: str = "SN1", line: str = "line-1", shade: int = 128) -> Record:
    found = detection("scratch", 0.41)
    key = f"incoming/{line}/top/{serial}.jpg"
    return cloud.add(key, Verdict.REVIEW, DOUBT, data=jpeg(shade=shade), detections=(found,))


def reviewing(method: str, path: str, name: str = "ada", **parts: Any) -> Answer:
    return call(method, path, "reviewer", name=name, **parts)


def decide(identity: str, decision: dict[str, Any], name: str = "ada") -> Answer:
    claimed = reviewing("POST", f"/reviews/{identity}/claim", name)
    assert claimed.status == 200, claimed.body
    body = {"version": claimed.body["version"], **decision}
    return reviewing("POST", f"/reviews/{identity}/decision", name, body=body)


def test_a_doubtful_image_goes_from_the_queue_to_its_label(cloud: ApiCloud) -> None:
    record = doubtful(cloud)
    cloud.add("incoming/line-1/top/SN2.jpg", Verdict.PASS, data=jpeg())

    listed = call("GET", "/reviews", "viewer").body
    taken = reviewing("POST", "/reviews/next", body={})
    refused = reviewing("POST", f"/reviews/{record['id']}/claim", "bob")
    empty = reviewing("POST", "/reviews/next", "bob", body={"line": "line-1"})
    decision = {"version": taken.body["version"], **FAIL, "comment": "below the edge"}
    decided = reviewing("POST", f"/reviews/{record['id']}/decision", body=decision)

    assert [item["id"] for item in listed["items"]] == [record["id"]]
    assert (listed["count"], listed["next"]) == (1, None)
    assert listed["items"][0]["links"]["picture"].startswith("https://")
    assert "queue" not in listed["items"][0]
    assert taken.body["claim"]["by"] == "ada"
    assert taken.body["inspection"]["detections"][0]["label"] == "scratch"
    assert (refused.status, refused.code) == (409, "already_claimed")
    assert refused.body["error"]["details"] == [taken.body["claim"]]
    assert (empty.status, empty.code) == (404, "queue_empty")
    assert decided.status == 200, decided.body
    assert decided.body["label"] == f"s3://{cloud.artefacts}/labels/{record['id']}.json"
    assert decided.body["inspection"]["review"]["verdict"] == "fail"
    assert decided.body["inspection"]["verdict"] == "review"
    shown = call("GET", f"/inspections/{record['id']}", "viewer").body
    assert shown["queue"]["state"] == "decided"
    assert shown["history"][0]["new"]["objects"] == [{"label": "scratch", "box": BOX}]
    assert call("GET", "/reviews", "viewer").body["count"] == 0
    done = call("GET", "/reviews", "viewer", query={"state": "decided"}).body
    assert [item["id"] for item in done["items"]] == [record["id"]]


def test_a_second_opinion_is_listed_as_a_disagreement_and_counted(cloud: ApiCloud) -> None:
    record = doubtful(cloud)

    assert decide(record["id"], FAIL).status == 200
    assert decide(record["id"], PASS, "bob").body["disagreement"]

    listed = call("GET", "/reviews", "viewer", query={"state": "disagreement"}).body
    assert [item["id"] for item in listed["items"]] == [record["id"]]
    rates = call("GET", "/statistics/rates", "viewer").body
    assert (rates["disagreements"], rates["decided"]) == (1, 1)
    assert call("GET", "/statistics/rates", "viewer", query={"line": "line-9"}).body["disagreements"] == 0


def test_what_the_queue_refuses_has_a_code(cloud: ApiCloud) -> None:
    record = doubtful(cloud)
    path = f"/reviews/{record['id']}/decision"

    unclaimed = reviewing("POST", path, body={"version": 1, **PASS})
    unknown = reviewing("POST", f"/reviews/{'0' * 32}/claim")
    reviewing("POST", f"/reviews/{record['id']}/claim")
    stale = reviewing("POST", path, body={"version": 2, **PASS})
    outside = {"version": 1, "verdict": "fail", "objects": [{"label": "a\x1b[0m", "box": [0, 0, 999, 5]}]}
    invalid = reviewing("POST", path, body=outside)
    shapeless = reviewing("POST", path, body={"version": 1, "verdict": "fail", "objects": [{"label": "a"}]})
    misspelt = reviewing("POST", path, body={"version": 1, "verdict": "good"})

    assert (unclaimed.status, unclaimed.code) == (409, "not_claimed")
    assert (unknown.status, unknown.code) == (404, "not_found")
    assert (stale.status, stale.code) == (409, "stale_version")
    assert (invalid.status, invalid.code) == (400, "invalid_request")
    assert [problem.split(":")[0] for problem in invalid.body["error"]["details"]] == [
        "objects.0.label",
        "objects.0.box",
    ]
    for answer in (shapeless, misspelt):
        assert (answer.status, answer.code) == (400, "invalid_request")
    assert call("GET", "/reviews", "viewer").body["count"] == 1


def test_a_claim_that_is_given_up_is_free(cloud: ApiCloud) -> None:
    record = doubtful(cloud)
    reviewing("POST", f"/reviews/{record['id']}/claim")

    given_up = reviewing("DELETE", f"/reviews/{record['id']}/claim")

    assert given_up.status == 204
    assert reviewing("POST", f"/reviews/{record['id']}/claim", "bob").status == 200


@pytest.mark.parametrize("group", ["viewer", "operator"])
def test_only_reviewers_decide(cloud: ApiCloud, group: str) -> None:
    record = doubtful(cloud)
    asked = [
        call("POST", "/reviews/next", group, body={}),
        call("POST", f"/reviews/{record['id']}/claim", group),
        call("DELETE", f"/reviews/{record['id']}/claim", group),
        call("POST", f"/reviews/{record['id']}/decision", group, body={"version": 1, **PASS}),
    ]
    assert {answer.status for answer in asked} == {403}


@pytest.mark.parametrize("state", ["open", "decided", "disagreement"])
def test_a_list_is_read_page_by_page(cloud: ApiCloud, state: str) -> None:
    records = [doubtful(cloud, f"SN{number}", f"line-{number % 2}") for number in range(3)]
    for record in records if state != "open" else ():
        decide(record["id"], FAIL)
        if state == "disagreement":
            decide(record["id"], PASS, "bob")
    found, cursor = list[str](), None
    for _ in range(3):
        query = {"state": state, "limit": 1} | ({"cursor": cursor} if cursor else {})
        page = call("GET", "/reviews", "viewer", query=query).body
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]

    assert sorted(found) == sorted(record["id"] for record in records)
    assert cursor is None
    other = call("GET", "/reviews", "viewer", query={"state": state, "line": "line-1"}).body
    assert {item["line"] for item in other["items"]} == {"line-1"}
    assert len(other["items"]) == 1


def test_the_rates_come_of_the_decisions(cloud: ApiCloud) -> None:
    records = [
        cloud.add(f"incoming/line-1/top/SN{number}.jpg", Verdict.FAIL, DEFECT, data=jpeg())
        for number in range(4)
    ]
    for record in records:
        decide(record["id"], FAIL if record is not records[0] else PASS)

    rates = call("GET", "/statistics/rates", "viewer").body

    assert (rates["escape"]["value"], rates["escape"]["of"]) == (0, 0)
    assert (rates["overkill"]["value"], rates["overkill"]["wrong"], rates["overkill"]["of"]) == (1, 1, 4)
    assert [item["line"] for item in rates["by_line"]] == ["line-1"]
    assert [item["label"] for item in rates["by_label"]] == ["scratch"]
    assert [item["version"] for item in rates["by_model"]] == ["7"]
    cloud.add("incoming/line-1/top/SN9.jpg", Verdict.PASS, data=jpeg())
    again = call("GET", "/statistics/rates", "viewer").body
    assert again["escape"]["reason"] == "Nobody has decided about a passed image yet."
    assert call("GET", "/statistics/rates", "viewer", query={"since": "x"}).status == 400


def test_the_classes_in_use_are_those_of_data_decisions_and_records(cloud: ApiCloud) -> None:
    assert call("GET", "/labels", "viewer").body == {"items": []}
    document = snapshot()
    documents = Documents(boto3.client("s3"), cloud.artefacts)
    documents.write(f"{snapshots_of('default')}{document['id'][:16]}.json", document)
    record = doubtful(cloud)
    decide(record["id"], {"verdict": "fail", "objects": [{"label": "rust", "box": BOX}]})
    forget()
    items = call("GET", "/labels", "viewer").body["items"]

    assert {item["name"]: item["images"] for item in items} == {"dent": 40, "scratch": 40, "rust": 1}


def test_the_labels_of_decisions_are_exported(cloud: ApiCloud) -> None:
    bad, good, unusable = (doubtful(cloud, f"SN{number}", shade=100 + number) for number in range(3))
    decide(bad["id"], FAIL)
    decide(good["id"], PASS)
    decide(unusable["id"], {"verdict": "unusable"})

    first = call("GET", "/exports/labels.coco.json", "viewer", query={"limit": 1})
    cursor = first.headers["x-next-cursor"]
    second = call("GET", "/exports/labels.coco.json", "viewer", query={"limit": 1, "cursor": cursor})

    assert "x-next-cursor" not in second.headers
    images = [answer.body["images"][0]["uri"] for answer in (first, second)]
    assert len(set(images)) == 2
    boxes = [item["bbox"] for answer in (first, second) for item in answer.body["annotations"]]
    assert boxes == [[11.5, 20, 48.5, 60]]


SUSPECTED = Reason("doubtful", "possible defect: anomaly 0.93", "anomaly", 0.93, 0.5, "major", 0)


def unusual(cloud: ApiCloud, serial: str, shade: int) -> Record:
    """Add an image in which an anomaly model has found something, and that a person shall look at."""
    return cloud.add(
        f"incoming/line-1/top/{serial}.jpg",
        Verdict.REVIEW,
        SUSPECTED,
        data=jpeg(shade=shade),
        detections=(detection("anomaly", 0.93),),
        anomaly=anomaly(),
    )


def test_who_claims_an_unusual_image_sees_its_heat_map_and_the_list_does_not_read_it(
    cloud: ApiCloud,
) -> None:
    unusual(cloud, "SN1", 100)
    (listed,) = call("GET", "/reviews", "viewer").body["items"]
    assert "base64" not in str(listed)
    taken = reviewing("POST", "/reviews/next", body={}).body["inspection"]
    assert taken["anomaly"]["heat_map"].startswith("data:image/png;base64,")


def test_a_person_makes_of_an_anomaly_a_good_part_or_a_class_and_only_that_is_learned(
    cloud: ApiCloud, tmp_path: Path
) -> None:
    """From good parts alone to the next snapshot: what the model has framed is no label before a person says so."""
    base = taken([sample(f"{number}.png") for number in range(30)], ())
    documents = Documents(boto3.client("s3"), cloud.artefacts)
    documents.write(f"{snapshots_of('default')}{base['id'][:16]}.json", base)
    good, scratched, unknown, _ = (unusual(cloud, f"SN{number}", 100 + number) for number in range(4))
    assert decide(good["id"], PASS).body["label"]
    assert decide(scratched["id"], FAIL).body["label"]
    # Nobody knows what it is, and where the model has framed it is right.
    confirmed = {"verdict": "fail", "objects": [{"label": "anomaly", "box": [10, 20, 60, 80]}]}
    assert decide(unknown["id"], confirmed).body["label"]

    merged = labelled.current(documents, "default", "default")
    stored = {document["source"]: document for document in labels_of(cloud)}
    assert stored.keys() == {item["image"] for item in (good, scratched, unknown)}
    # One image of a new class is not enough to learn and to test it.
    assert merged.waiting == {"scratch": 1, "anomaly": 1}
    samples = {item.sha256: item for item in as_training_reads(merged.document, tmp_path).samples}
    assert len(samples) == len(base["images"]) + 1
    learned = samples[stored[good["image"]]["sha256"]]
    assert learned.is_good
    assert learned.belongs_to() in ("train", "validation")
    exported = call("GET", "/exports/labels.coco.json", "viewer").body
    assert sorted(category["name"] for category in exported["categories"]) == ["anomaly", "scratch"]
    assert (len(exported["images"]), len(exported["annotations"])) == (3, 2)


def test_a_bad_part_without_a_box_is_a_bad_picture_for_the_next_anomaly_model_until_somebody_says_otherwise(
    cloud: ApiCloud, tmp_path: Path
) -> None:
    base = taken([sample(f"{number}.png", *(LABELS if number < 10 else ())) for number in range(30)])
    documents = Documents(boto3.client("s3"), cloud.artefacts)
    documents.write(f"{snapshots_of('default')}{base['id'][:16]}.json", base)
    record = unusual(cloud, "SN1", 100)

    def learned(name: str) -> AnomalyData:
        """Return what a training job reads of the next snapshot."""
        (folder := tmp_path / name).mkdir()
        as_training_reads(labelled.current(documents, "default", "default").document, folder)
        return open_anomaly_data(Container(tmp_path / f"{name}-job", {"train": folder}, {}))

    before = learned("before")
    decided = decide(record["id"], {"verdict": "fail", "objects": []}).body
    assert (decided["label"], decided["no_label"]) == (
        f"s3://{cloud.artefacts}/labels/{record['id']}.json",
        None,
    )
    (label,) = labels_of(cloud)
    bad = learned("bad")
    (new,) = {picture.sample for picture in bad.bad} - {picture.sample for picture in before.bad}
    assert (new.sha256, new.tags, new.has_unplaced_defect) == (label["sha256"], ("anomaly",), True)
    assert {picture.sample for picture in bad.good} == {picture.sample for picture in before.good}
    assert hashlib.sha256(bad.bad[0].dataset.read(new)).hexdigest() == label["sha256"]

    decide(record["id"], PASS)
    good = learned("good")
    assert label["sha256"] in {picture.sample.sha256 for picture in good.good}
    assert len(good.bad) == len(before.bad)

    decide(record["id"], {"verdict": "unusable"})
    after = learned("after")
    assert (len(after.good), len(after.bad)) == (len(before.good), len(before.bad))


def labels_of(cloud: ApiCloud) -> list[dict[str, Any]]:
    return Labels(cloud.s3, cloud.artefacts).page(1000)[0]


def test_the_next_training_learns_from_what_people_decided(cloud: ApiCloud) -> None:
    """The decisions reach the next snapshot, and what is new starts the run that waits for so many labels."""
    base = snapshot()
    documents = Documents(boto3.client("s3"), cloud.artefacts)
    documents.write(f"{snapshots_of('default')}{base['id'][:16]}.json", base)
    already = {image["sha256"] for image in base["images"]}
    bad, good = (doubtful(cloud, f"SN{number}", shade=100 + number) for number in range(2))
    account = Account()
    first = planner(account, documents, artefacts_bucket=cloud.artefacts).plan({}, EXECUTION)
    documents.write(last_run("default"), {**FINISHED, "snapshot": first["snapshot"]["uri"]})

    def plan(required: int) -> dict[str, Any]:
        request = {"minimum_new_labels": required}
        return planner(account, documents, artefacts_bucket=cloud.artefacts).plan(request, EXECUTION)

    assert plan(1)["status"] == "nothing_new"
    decide(bad["id"], FAIL)
    assert plan(2)["status"] == "nothing_new"
    decide(good["id"], PASS)
    due = plan(2)

    assert (due["status"], due["snapshot"]["new_labels"]) == ("train", 2)
    merged = labelled.current(documents, "default", "default")
    assert due["snapshot"]["uri"] == merged.uri
    new = {sha: objects for sha, objects in merged.contents.items() if sha not in already}
    assert sorted(map(sorted, new.values())) == [[], [("scratch", 11.5, 20.0, 48.5, 60.0)]]
    for image in merged.document["images"]:
        if image["sha256"] in new:
            bucket, key = image["uri"].removeprefix("s3://").split("/", 1)
            body = cloud.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            assert hashlib.sha256(body).hexdigest() == image["sha256"]
