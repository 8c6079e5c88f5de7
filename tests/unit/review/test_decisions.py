"""A decision reaches the queue, the record, the counters, the history and the label."""

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retraining.reviewed import Reviewed
from review.decision import (
    LONGEST_LABEL,
    MOST_OBJECTS,
    Choice,
    Decision,
    LabelledObject,
    disagree,
    with_entry,
)
from review.errors import (
    AlreadyClaimedError,
    ClaimExpiredError,
    InvalidDecisionError,
    NotClaimedError,
    StaleVersionError,
)
from tests.unit.review.desk import PASSED, SCRATCH, UNUSABLE, Desk, declared, failed, picture, sha256


def test_a_decision_is_in_the_item_the_record_the_counters_the_history_and_the_label(desk: Desk) -> None:
    data = picture()
    inspected = desk.upload(data=data)
    desk.wait(minutes=2)

    written = desk.decide(inspected["id"], "ada", failed(("dent", (1.25, 2, 30, 40)), comment="deep"))

    item, record = desk.queue.get(inspected["id"]), desk.record(inspected)
    expected = {
        "verdict": "fail",
        "objects": [{"label": "dent", "box": [1.25, 2, 30, 40]}],
        "comment": "deep",
    }
    at = "2026-01-31T08:02:00.000Z"
    assert (item["state"], item["version"], item["disagreement"]) == ("decided", 2, False)
    assert item["decisions"] == [{"by": "ada", "at": at, "version": 1, **expected}]
    assert record["review"] == {
        "by": "ada",
        "at": at,
        "verdict": "fail",
        "comment": "deep",
        "disagreement": False,
    }
    assert record["verdict"] == "review"
    assert desk.counters() == {"decided:review:fail": 1, "decided:review:fail:dent": 1}
    (entry,) = desk.history.read(f"inspection#{inspected['id']}")
    assert (entry["by"], entry["action"], entry["comment"]) == ("ada", "decided", "deep")
    assert written.label == f"s3://artefacts/labels/{inspected['id']}.json"
    label = Reviewed.model_validate(desk.label(inspected["id"]))
    assert (label.sha256, label.width, label.height) == (sha256(data), 200, 100)
    assert label.uri == f"s3://artefacts/labelled/images/{sha256(data)}.jpg"
    copy = desk.s3.get_object(
        Bucket=label.image.bucket, Key=label.image.key, VersionId=label.image.version_id
    )
    assert (copy["Body"].read(), copy["ContentType"]) == (data, "image/jpeg")
    assert list(desk.queue.open_items()) == []
    assert [decided["id"] for decided in desk.queue.decided()] == [inspected["id"]]
    assert "claim" not in item


@pytest.mark.parametrize("role", ["TrainingRole", "SageMakerRole"])
def test_whoever_trains_or_tries_a_model_may_read_the_copies_of_the_pictures(role: str) -> None:
    policies = declared()[role]["Properties"]["Policies"]
    statements = [item for policy in policies for item in policy["PolicyDocument"]["Statement"]]
    readable = json.dumps([item["Resource"] for item in statements if "s3:GetObject" in item["Action"]])
    assert re.search(r"labelled/(images/)?\*", readable)


def test_a_good_part_leaves_a_label_without_objects_and_counts_what_the_model_named(desk: Desk) -> None:
    inspected = desk.upload(verdict="fail")

    desk.decide(inspected["id"], "ada", PASSED)

    label = desk.label(inspected["id"])
    assert label is not None
    assert label["objects"] == []
    assert desk.counters() == {"decided:fail:pass": 1, "decided:fail:pass:scratch": 1}
    assert desk.record(inspected)["verdict"] == "fail"


def test_who_has_no_claim_cannot_decide(desk: Desk) -> None:
    inspected = desk.upload()

    with pytest.raises(NotClaimedError):
        desk.decisions.decide(inspected["id"], "bob", PASSED, 1)
    desk.queue.claim(inspected["id"], "ada")
    with pytest.raises(NotClaimedError):
        desk.decisions.decide(inspected["id"], "bob", PASSED, 1)
    desk.wait(minutes=5)
    with pytest.raises(ClaimExpiredError):
        desk.decisions.decide(inspected["id"], "ada", PASSED, 1)

    assert desk.counters() == {}
    assert desk.label(inspected["id"]) is None
    assert desk.s3.list_objects_v2(Bucket="artefacts")["KeyCount"] == 0


def test_who_saw_an_older_version_cannot_decide(desk: Desk) -> None:
    inspected = desk.upload()
    desk.queue.claim(inspected["id"], "ada")
    desk.wait(minutes=6)
    desk.decide(inspected["id"], "bob", PASSED)
    desk.queue.claim(inspected["id"], "ada")

    with pytest.raises(StaleVersionError):
        desk.decisions.decide(inspected["id"], "ada", failed(SCRATCH), 1)

    assert desk.counters() == {"decided:review:pass": 1, "decided:review:pass:scratch": 1}


def test_to_repeat_a_decision_changes_nothing(desk: Desk) -> None:
    inspected = desk.upload()
    first = desk.decide(inspected["id"], "ada", failed(SCRATCH, comment="same"), 1)
    before = [desk.items(table) for table in ("reviews", "history", "statistics", "inspections")]
    desk.wait(minutes=1)

    second = desk.decisions.decide(inspected["id"], "ada", failed(SCRATCH, comment="same"), 1)

    assert second == first
    assert [desk.items(table) for table in ("reviews", "history", "statistics", "inspections")] == before


def test_a_second_opinion_that_differs_is_a_disagreement_and_the_label_follows_it(desk: Desk) -> None:
    inspected = desk.upload()
    identity = inspected["id"]
    desk.decide(identity, "ada", PASSED)
    desk.wait(minutes=1)

    desk.decide(identity, "bob", failed(SCRATCH))

    item, label = desk.queue.get(identity), desk.label(identity)
    assert item["disagreement"]
    assert [found["id"] for found in desk.queue.disagreements()] == [identity]
    assert [found["id"] for found in desk.queue.decided()] == [identity]
    assert desk.record(inspected)["review"]["disagreement"]
    assert label is not None
    assert label["objects"] == [{"label": "scratch", "box": [10.0, 20.0, 60.0, 80.0]}]
    assert desk.counters() == {"decided:review:fail": 1, "decided:review:fail:scratch": 1}
    history = desk.history.read(f"inspection#{identity}")
    assert [(entry["by"], entry["new"]["verdict"]) for entry in history] == [("bob", "fail"), ("ada", "pass")]
    assert history[0]["old"] == {"verdict": "pass"}

    desk.decide(identity, "ada", failed(SCRATCH))

    assert not desk.queue.get(identity)["disagreement"]
    assert list(desk.queue.disagreements()) == []


def test_who_corrects_himself_does_not_disagree(desk: Desk) -> None:
    inspected = desk.upload()
    desk.decide(inspected["id"], "ada", PASSED)

    desk.decide(inspected["id"], "ada", failed(SCRATCH))

    assert not desk.queue.get(inspected["id"])["disagreement"]
    assert desk.counters() == {"decided:review:fail": 1, "decided:review:fail:scratch": 1}


@pytest.mark.parametrize("earlier", [PASSED, failed(SCRATCH), failed()])
def test_what_cannot_be_learned_from_leaves_no_label_and_withdraws_an_earlier_one(
    desk: Desk, earlier: Decision
) -> None:
    inspected = desk.upload()
    desk.decide(inspected["id"], "ada", earlier)
    assert desk.label(inspected["id"])

    written = desk.decide(inspected["id"], "bob", UNUSABLE)

    assert written.label is None
    assert written.reason
    assert desk.label(inspected["id"]) is None


def test_a_bad_part_without_a_box_leaves_a_label_of_the_whole_image_and_counts_what_the_model_named(
    desk: Desk,
) -> None:
    inspected = desk.upload(verdict="pass")

    written = desk.decide(inspected["id"], "ada", failed())

    label = desk.label(inspected["id"])
    assert label is not None
    assert (label["objects"], label["tags"]) == ([], ["anomaly"])
    assert (written.label, written.reason) == (f"s3://artefacts/labels/{inspected['id']}.json", None)
    assert Reviewed.model_validate(label).has_unplaced_defect
    assert desk.counters() == {"decided:pass:fail": 1}


@pytest.mark.parametrize("later", [PASSED, failed(SCRATCH)])
def test_a_later_decision_takes_the_place_of_a_label_of_the_whole_image(desk: Desk, later: Decision) -> None:
    inspected = desk.upload()
    desk.decide(inspected["id"], "ada", failed())

    desk.decide(inspected["id"], "ada", later)

    label = desk.label(inspected["id"])
    assert label is not None
    assert "tags" not in label
    assert [item["label"] for item in label["objects"]] == [item.label for item in later.objects]


def test_a_bad_part_without_a_box_whose_picture_was_deleted_leaves_no_label(desk: Desk) -> None:
    inspected = desk.upload()
    key, version = inspected["image"].removeprefix("s3://images/"), inspected["version_id"]
    desk.s3.delete_object(Bucket="images", Key=key, VersionId=version)

    written = desk.decide(inspected["id"], "ada", failed())

    assert (written.label, written.reason) == (
        None,
        "The picture was deleted, so there is nothing to learn from.",
    )


def test_the_picture_of_an_earlier_label_serves_when_the_first_is_gone(desk: Desk) -> None:
    inspected = desk.upload()
    desk.decide(inspected["id"], "ada", PASSED)
    key, version = inspected["image"].removeprefix("s3://images/"), inspected["version_id"]
    desk.s3.delete_object(Bucket="images", Key=key, VersionId=version)

    assert desk.decide(inspected["id"], "bob", failed(SCRATCH)).label
    label = desk.label(inspected["id"])
    assert label is not None
    assert label["sha256"] == sha256(picture())


def test_a_decision_about_a_picture_that_was_deleted_is_kept_without_a_label(desk: Desk) -> None:
    inspected = desk.upload()
    key, version = inspected["image"].removeprefix("s3://images/"), inspected["version_id"]
    desk.s3.delete_object(Bucket="images", Key=key, VersionId=version)

    written = desk.decide(inspected["id"], "ada", failed(SCRATCH))

    assert (written.label, written.reason) == (
        None,
        "The picture was deleted, so there is nothing to learn from.",
    )
    assert desk.record(inspected)["review"]["verdict"] == "fail"
    assert desk.label(inspected["id"]) is None


def test_a_decision_about_a_picture_that_the_model_could_not_read_leaves_no_label(desk: Desk) -> None:
    inspected = desk.upload(reasons=[{"code": "model_error", "message": "m"}], image_format=None)
    assert desk.decide(inspected["id"], "ada", failed(SCRATCH)).label is None
    assert desk.counters() == {"decided:review:fail": 1, "decided:review:fail:scratch": 1}


def test_a_decision_about_a_record_that_was_deleted_is_kept(desk: Desk) -> None:
    inspected = desk.upload()
    desk.client.delete_item(
        TableName="inspections",
        Key={"image": {"S": inspected["image"]}, "version_id": {"S": inspected["version_id"]}},
    )

    written = desk.decide(inspected["id"], "ada", PASSED)

    assert written.label is None
    assert desk.queue.get(inspected["id"])["state"] == "decided"
    assert desk.items("inspections") == []


def test_an_image_that_was_decided_about_is_not_queued_again(desk: Desk) -> None:
    inspected = desk.upload()
    desk.decide(inspected["id"], "ada", PASSED)
    before = desk.queue.get(inspected["id"])

    with pytest.raises(AssertionError):
        desk.enqueue(**inspected)

    assert desk.queue.get(inspected["id"]) == before


def test_the_label_of_a_finished_decision_is_out_of_reach_until_it_is_written(desk: Desk) -> None:
    """A writer that is slow between decision and label must not overwrite the label of the next decision."""
    inspected = desk.upload()
    write = desk.decisions.labels.write
    decisions = desk.decisions

    class Slow(type(decisions.labels)):  # type: ignore[misc]
        def write(self, *arguments: object) -> str:
            desk.wait(seconds=29)
            with pytest.raises(AlreadyClaimedError):
                desk.queue.claim(inspected["id"], "bob")
            return write(*arguments)  # type: ignore[arg-type]

    object.__setattr__(decisions, "labels", Slow(desk.s3, "artefacts"))
    desk.queue.claim(inspected["id"], "ada")
    desk.wait(minutes=4, seconds=58)
    decisions.decide(inspected["id"], "ada", failed(SCRATCH), 1)

    desk.decide(inspected["id"], "bob", PASSED)


def test_an_image_that_is_decided_again_and_again_stays_small_enough_to_be_stored() -> None:
    large = failed(*[("ä" * 20, SCRATCH[1])] * 400, comment="x" * 2000)
    entries = list[dict[str, Any]]()
    for number in range(100):
        decision = large if number % 3 else PASSED
        entries = with_entry(entries, decision.entry(("ada", "bob")[number % 2], "2026-01-31", number))

    assert len(json.dumps(entries).encode()) < 300_000
    assert [entry["verdict"] for entry in entries][:4] == ["pass", "fail", "fail", "pass"]
    assert [bool(entry["objects"]) for entry in entries][-4:] == [False, True, True, False]
    assert [entry["version"] for entry in entries] == list(range(100))
    assert disagree(entries)


INVALID = {
    "outside": failed(("scratch", (10, 20, 210, 80))),
    "left of it": failed(("scratch", (-3, 20, 60, 80))),
    "no area": failed(("scratch", (10, 20, 10.4, 80))),
    "turned": failed(("scratch", (60, 20, 10, 80))),
    "no number": failed(("scratch", (math.nan, 20, 60, 80))),
    "infinite": failed(("scratch", (0, 0, math.inf, 80))),
    "empty label": failed(("  ", SCRATCH[1])),
    "spaces": failed((" scratch", SCRATCH[1])),
    "escape": failed(("scr\x1b[31match", SCRATCH[1])),
    "two lines": failed(("scratch\nes", SCRATCH[1])),
    "turns text around": failed(("scratch\u202e", SCRATCH[1])),
    "long label": failed(("x" * (LONGEST_LABEL + 1), SCRATCH[1])),
    "too much text": failed(*[("\U0001f4a5" * LONGEST_LABEL, SCRATCH[1])] * 400),
    "too many": failed(*[SCRATCH] * (MOST_OBJECTS + 1)),
    "good with objects": Decision(Choice.PASS, failed(SCRATCH).objects),
    "unusable with objects": Decision(Choice.UNUSABLE, failed(SCRATCH).objects),
    "comment": failed(SCRATCH, comment="x" * 2001),
    "comment with an escape": failed(SCRATCH, comment="\x1b]0;title\x07"),
}


@pytest.mark.parametrize("decision", INVALID.values(), ids=INVALID)
def test_what_contradicts_itself_or_the_picture_is_refused(desk: Desk, decision: Decision) -> None:
    inspected = desk.upload()

    with pytest.raises(InvalidDecisionError):
        desk.decide(inspected["id"], "ada", decision)

    assert desk.queue.get(inspected["id"])["state"] == "open"
    assert desk.label(inspected["id"]) is None


EDGES = st.floats(-1, 301)


@given(edges=st.tuples(EDGES, EDGES, EDGES, EDGES), width=st.integers(8, 300), height=st.integers(8, 300))
def test_every_accepted_box_is_inside_the_picture_and_has_an_area(
    edges: tuple[float, float, float, float], width: int, height: int
) -> None:
    decision = Decision(Choice.FAIL, (LabelledObject("scratch", edges),))
    try:
        (item,) = decision.fitted(width, height).objects
    except InvalidDecisionError:
        return
    x1, y1, x2, y2 = item.box
    assert 0 <= x1 < x2 <= width
    assert 0 <= y1 < y2 <= height
    assert all(abs(inside - drawn) <= 1.01 for inside, drawn in zip(item.box, edges, strict=True))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(list(Choice)))))
def test_people_disagree_if_their_last_verdicts_differ(decisions: list[tuple[str, Choice]]) -> None:
    entries = [{"by": by, "verdict": verdict.value} for by, verdict in decisions]
    last = dict(decisions)

    assert disagree(entries) == any(one != other for one in last.values() for other in last.values())
