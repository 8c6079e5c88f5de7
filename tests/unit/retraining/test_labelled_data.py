"""The labelled data of a run: the last import, merged with the reviewed labels, and a test part that stays."""

import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.snapshots import part_of
from retraining import labelled
from retraining.documents import Documents
from retraining.errors import LabelledDataError
from retraining.labelled import merged
from retraining.snapshots import Snapshot
from tests.unit.retraining.snapshots import (
    BOX,
    as_training_reads,
    label,
    of_part,
    reviewed,
    sample,
    sha,
    snapshot,
    taken,
)

BASE = snapshot()
MOVED = (0.0, 0.0, 50.0, 50.0)

boxes = st.tuples(st.floats(0, 90), st.floats(0, 40), st.floats(91, 200), st.floats(41, 100))
shas = st.sampled_from([image["sha256"] for image in BASE["images"]]) | st.integers(0, 50).map(sha)
reviews = st.lists(
    st.builds(
        lambda sha256, objects: reviewed(sha256, *objects),
        shas,
        st.lists(st.tuples(st.sampled_from(["dent", "scratch", "rust", "kratzer ü"]), boxes), max_size=3),
    ),
    max_size=8,
)


def images(document: dict[str, Any], part: str) -> list[str]:
    return [image["sha256"] for image in document["images"] if image["split"] == part]


def objects(document: dict[str, Any], sha256: str) -> list[tuple[str, tuple[float, ...]]]:
    contents = Snapshot(document, "").contents[sha256]
    return sorted((name, tuple(box)) for name, *box in contents)


def put(documents: Documents, *snapshots: dict[str, Any]) -> None:
    for document in snapshots:
        assert documents.write(f"labelled/snapshots/{document['id'][:16]}.json", document)


def put_label(
    documents: Documents, sha256: str, *labelled_objects: tuple[str, tuple[float, float, float, float]]
) -> None:
    assert documents.write(f"labels/{sha256}.json", label(sha256, *labelled_objects))


# ---------------------------------------------------------------- merging


@given(reviews)
def test_training_accepts_every_merged_snapshot(
    tmp_path_factory: pytest.TempPathFactory, reviewed_images: list[labelled.Reviewed]
) -> None:
    document = merged(BASE, reviewed_images)
    dataset = as_training_reads(document, tmp_path_factory.getbasetemp())
    assert dataset.snapshot_id == document["id"]
    assert {item.sha256: item.part for item in dataset.samples} == {
        image["sha256"]: image["split"] for image in document["images"]
    }


@given(reviews)
def test_the_frozen_test_part_stays_byte_for_byte(reviewed_images: list[labelled.Reviewed]) -> None:
    assert of_part(merged(BASE, reviewed_images), "test") == of_part(BASE, "test")


@given(reviews)
def test_every_reviewed_image_gets_its_last_labels_and_no_other_image_changes(
    reviewed_images: list[labelled.Reviewed],
) -> None:
    document = merged(BASE, reviewed_images)
    last = {review.sha256: review for review in reviewed_images}
    frozen = set(images(BASE, "test"))
    for sha256 in {image["sha256"] for image in document["images"]}:
        if sha256 not in last or sha256 in frozen:
            assert objects(document, sha256) == objects(BASE, sha256)
            continue
        wanted = [
            (o.label, (o.box[0], o.box[1], o.box[2] - o.box[0], o.box[3] - o.box[1]))
            for o in last[sha256].objects
        ]
        for (name, box), (expected, other) in zip(
            objects(document, sha256), sorted(set(wanted)), strict=True
        ):
            assert name == expected
            assert box == pytest.approx(other, abs=0.01)


@given(reviews, st.randoms())
def test_the_id_depends_on_the_content_only(reviewed_images: list[labelled.Reviewed], random: Any) -> None:
    last = list({review.sha256: review for review in reviewed_images}.values())
    other = random.sample(last, len(last))
    assert merged(BASE, last) == merged(BASE, other)


def test_a_reviewed_test_image_changes_nothing() -> None:
    frozen = images(BASE, "test")[0]
    assert merged(BASE, [reviewed(frozen, ("rust", MOVED))]) is BASE


def test_labels_that_are_already_known_change_nothing() -> None:
    known = next(sha256 for sha256 in images(BASE, "train") if objects(BASE, sha256))
    same = [(name, (x, y, x + w, y + h)) for name, (x, y, w, h) in objects(BASE, known)]
    assert merged(BASE, [reviewed(known, *same)]) is BASE
    nudged = [(name, (x + 1e-9, y, x2, y2 - 1e-9)) for name, (x, y, x2, y2) in same]
    assert merged(BASE, [reviewed(known, *nudged)]) is BASE


def test_a_relabelled_image_gets_its_new_objects_and_stays_in_its_part() -> None:
    changed = images(BASE, "validation")[0]
    document = merged(BASE, [reviewed(changed, ("dent", MOVED))])
    assert document["id"] != BASE["id"]
    assert objects(document, changed) == [("dent", (0.0, 0.0, 50.0, 50.0))]
    assert [images(document, part) for part in ("train", "validation", "test")] == [
        images(BASE, part) for part in ("train", "validation", "test")
    ]
    entries = [{image["sha256"]: image["uri"] for image in source["images"]} for source in (document, BASE)]
    assert entries[0] == entries[1]


def test_an_image_reviewed_as_good_loses_its_objects() -> None:
    changed = next(sha256 for sha256 in images(BASE, "train") if objects(BASE, sha256))
    assert objects(merged(BASE, [reviewed(changed)]), changed) == []


def test_a_new_image_is_added_with_the_uri_of_its_upload() -> None:
    document = merged(BASE, [reviewed(sha("new"), ("dent", BOX))])
    (entry,) = [image for image in document["images"] if image["sha256"] == sha("new")]
    assert entry["uri"] == f"s3://images/incoming/line-1/{sha('new')[:8]}.jpg"
    assert (entry["width"], entry["height"]) == (200, 100)
    assert len(document["images"]) == len(BASE["images"]) + 1


def test_a_new_class_comes_after_the_known_ones() -> None:
    document = merged(BASE, [reviewed(sha("new"), ("bent", BOX), ("Xyz", BOX))])
    assert document["categories"] == [
        {"id": 1, "name": "dent"},
        {"id": 2, "name": "scratch"},
        {"id": 3, "name": "Xyz"},
        {"id": 4, "name": "bent"},
    ]


def test_an_image_that_is_listed_twice_keeps_both_entries_and_their_own_objects(tmp_path: Path) -> None:
    twice = [sample("a.png", "dent"), sample("b.png", "scratch", sha256=sha("a.png"))]
    names = [name for name in map(str, range(200)) if part_of(sha(name)) == "test"]
    frozen = [sample(names[0], "dent"), sample("other", "scratch", sha256=sha(names[0]))]
    base = taken([*twice, *frozen, *(sample(f"{n}.png", "dent") for n in range(20))])
    document = merged(base, [reviewed(sha("new"), ("dent", BOX))])
    as_training_reads(document, tmp_path)
    assert of_part(document, "test") == of_part(base, "test")
    assert len(document["images"]) == len(base["images"]) + 1
    assert len(document["annotations"]) == len(base["annotations"]) + 1

    relabelled = merged(base, [reviewed(sha("a.png"), ("dent", MOVED))])
    by_name = {image["file_name"]: image["id"] for image in relabelled["images"]}
    for name in ("a.png", "b.png"):
        (annotation,) = [item for item in relabelled["annotations"] if item["image_id"] == by_name[name]]
        assert annotation["bbox"] == [0.0, 0.0, 50.0, 50.0]


def test_ten_thousand_images_merge_in_a_fifth_of_the_function_s_memory() -> None:
    base = snapshot(10_000)
    more = [reviewed(sha(f"new {n}"), ("dent", BOX)) for n in range(1_000)]
    tracemalloc.start()
    document = merged(base, more)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(document["images"]) == 11_000
    assert peak < 200 * 2**20  # the function has 1,024 MiB


# ---------------------------------------------------------------- the data of a run


def test_without_reviewed_labels_the_import_itself_is_used(documents: Documents) -> None:
    put(documents, BASE)
    data = labelled.current(documents)
    assert data.uri == f"s3://artefacts/labelled/snapshots/{BASE['id'][:16]}.json"
    assert data.document == BASE
    assert len(list(documents.listing("labelled/"))) == 1


def test_reviewed_labels_make_a_snapshot_that_is_stored_next_to_the_import(documents: Documents) -> None:
    put(documents, BASE)
    put_label(documents, sha("new"), ("dent", BOX))
    data = labelled.current(documents)
    stored = documents.find(data.uri.removeprefix("s3://artefacts/"))
    assert stored is not None
    assert stored[0] == data.document
    assert data.document["info"]["previous"] == BASE["id"]
    assert sha("new") in data.contents
    assert labelled.current(documents).uri == data.uri


def test_a_merged_snapshot_is_never_the_base_of_the_next(documents: Documents) -> None:
    put(documents, BASE)
    put_label(documents, sha("new"), ("dent", BOX))
    first = labelled.current(documents)
    documents.s3.delete_object(Bucket="artefacts", Key=f"labels/{sha('new')}.json")
    put_label(documents, sha("newer"), ("dent", BOX))
    second = labelled.current(documents)
    assert second.document["info"]["previous"] == BASE["id"]
    assert sha("new") not in second.contents
    assert second.id != first.id


def test_the_latest_import_is_used_not_the_first_by_name(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = sorted((BASE, snapshot(30)), key=lambda document: str(document["id"]), reverse=True)
    put(documents, first, last)
    listed = [
        {
            "Key": f"labelled/snapshots/{document['id'][:16]}.json",
            "LastModified": datetime(2026, 3, day, tzinfo=UTC),
        }
        for day, document in ((2, last), (1, first))
    ]
    monkeypatch.setattr(
        Documents, "listing", lambda _, prefix: iter(listed if prefix == labelled.SNAPSHOTS else [])
    )
    assert labelled.current(documents).id == last["id"]


def test_other_files_next_to_the_labels_are_ignored(documents: Documents) -> None:
    put(documents, BASE)
    documents.s3.put_object(Bucket="artefacts", Key="labels/README.txt", Body=b"by hand")
    assert labelled.current(documents).document == BASE


def test_without_an_import_the_error_says_so(documents: Documents) -> None:
    with pytest.raises(LabelledDataError, match="no labelled data yet: import images with `loupe import"):
        labelled.current(documents)
    put_label(documents, sha("new"), ("dent", BOX))
    with pytest.raises(LabelledDataError, match="no labelled data yet"):
        labelled.current(documents)


NEW = label(sha("new"), ("dent", BOX))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        b"\xff\xfe",
        json.dumps(NEW | {"sha256": "0"}),
        json.dumps(NEW | {"width": 0}),
        json.dumps(NEW | {"image": {"bucket": "images"}}),
        json.dumps(NEW | {"objects": [{"label": "", "box": BOX}]}),
        json.dumps(NEW | {"objects": [{"label": "dent", "box": [1, 2, 3]}]}),
        json.dumps(NEW | {"objects": [{"label": "dent", "box": [1, 2, 3, float("nan")]}]}),
        json.dumps(NEW | {"objects": [{"label": "dent", "box": [1, 2, float("inf"), 4]}]}),
        json.dumps(NEW | {"objects": [{"label": "dent", "box": [3, 2, 1, 4]}]}),
        json.dumps(NEW | {"objects": [{"label": "dent", "box": [1, 2, 3, 2]}]}),
    ],
)
def test_an_invalid_label_is_named(documents: Documents, body: str | bytes) -> None:
    put(documents, BASE)
    put_label(documents, sha("good"), ("dent", BOX))
    documents.s3.put_object(Bucket="artefacts", Key="labels/bad.json", Body=body)
    with pytest.raises(LabelledDataError, match=r"s3://artefacts/labels/bad\.json is not a reviewed image"):
        labelled.current(documents)


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "{}", '{"loupe_snapshot":1}', '{"loupe_snapshot":2,"id":"0"}']
)
def test_an_invalid_snapshot_is_named(documents: Documents, body: str) -> None:
    documents.s3.put_object(Bucket="artefacts", Key="labelled/snapshots/0.json", Body=body)
    with pytest.raises(
        LabelledDataError, match=r"s3://artefacts/labelled/snapshots/0\.json (is not a|was altered)"
    ):
        labelled.current(documents)


@pytest.mark.parametrize("member", ["info", "categories", "images", "annotations", "left_out"])
def test_a_snapshot_that_was_altered_is_named(documents: Documents, member: str) -> None:
    damaged = json.loads(json.dumps(BASE))
    if isinstance(damaged[member], list):
        damaged[member].append({})
    else:
        del damaged[member]
    put(documents, damaged)
    with pytest.raises(LabelledDataError, match=f"{BASE['id'][:16]}.json was altered"):
        labelled.current(documents)


# ---------------------------------------------------------------- what is new


def test_without_an_earlier_run_all_images_are_new() -> None:
    assert Snapshot(BASE, "").new_since(None) == len(BASE["images"])


def test_images_that_were_added_or_relabelled_are_new() -> None:
    relabelled = images(BASE, "train")[:3]
    later = merged(
        BASE,
        [
            *(reviewed(sha256, ("dent", MOVED)) for sha256 in relabelled),
            reviewed(sha("new"), ("dent", BOX)),
            reviewed(sha("good")),
        ],
    )
    assert Snapshot(later, "").new_since(Snapshot(BASE, "")) == 5
    assert Snapshot(later, "").new_since(Snapshot(later, "")) == 0


def test_an_image_that_is_gone_is_not_new() -> None:
    assert Snapshot(snapshot(30), "").new_since(Snapshot(BASE, "")) == 0


# ---------------------------------------------------------------- the check


def samples_of(part: str, count: int = 3, *labels: str) -> list[Any]:
    names = (f"{part}-{n}" for n in range(10_000))
    return [sample(name, *labels) for name in (n for n in names if part_of(sha(n)) == part)][:count]


BOTH = ("dent", "scratch")


def test_a_complete_snapshot_passes() -> None:
    Snapshot(BASE, "").check()


@pytest.mark.parametrize("missing", ["train", "validation", "test"])
def test_a_part_without_images_is_named(missing: str) -> None:
    samples = [
        item
        for part in ("train", "validation", "test")
        if part != missing
        for item in samples_of(part, 3, *BOTH)
    ]
    with pytest.raises(LabelledDataError, match=f"the {missing} part of the snapshot s3://here is empty"):
        Snapshot(taken(samples), "s3://here").check()


def test_a_snapshot_without_a_labelled_defect_is_refused() -> None:
    samples = [*samples_of("train"), *samples_of("validation", 3, *BOTH), *samples_of("test", 3, *BOTH)]
    with pytest.raises(LabelledDataError, match="no training image in s3://here has a labelled defect"):
        Snapshot(taken(samples), "s3://here").check()


@pytest.mark.parametrize("shown_in", ["train", "validation", None])
def test_a_class_that_no_test_image_shows_is_named_before_anything_is_trained(shown_in: str | None) -> None:
    """The gate would refuse every model that is trained on it."""
    labels_by_part = {
        part: [*BOTH, "rust"] if part == shown_in else [*BOTH] for part in ("train", "validation", "test")
    }
    samples = [item for part, labels in labels_by_part.items() for item in samples_of(part, 3, *labels)]
    document = taken(samples, (*BOTH, "rust"))
    with pytest.raises(
        LabelledDataError, match="no test image in s3://here shows rust, so no model can be tested"
    ):
        Snapshot(document, "s3://here").check()


def test_a_new_class_from_reviews_alone_is_named_too() -> None:
    document = merged(BASE, [reviewed(sha("new"), ("rust", BOX))])
    with pytest.raises(LabelledDataError, match="shows rust"):
        Snapshot(document, "s3://here").check()
