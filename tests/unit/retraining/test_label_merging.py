"""Merging reviewed labels into a snapshot: the test part stays, everything else gets its last labels."""

import os
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.snapshots import PARTS, part_of
from retraining.labelled import merged, ready_to_merge
from retraining.reviewed import Reviewed
from retraining.snapshots import Snapshot
from tests.unit.retraining.snapshots import (
    BOX,
    LABELS,
    as_training_reads,
    of_part,
    reviewed,
    reviewed_as_bad,
    sample,
    sha,
    snapshot,
    taken,
)
from training.datasets import Sample

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


@settings(max_examples=25)
@given(reviews)
def test_training_accepts_every_merged_snapshot(
    tmp_path_factory: pytest.TempPathFactory, reviewed_images: list[Reviewed]
) -> None:
    document = merged(BASE, reviewed_images)
    dataset = as_training_reads(document, tmp_path_factory.mktemp("merged"))
    assert dataset.snapshot_id == document["id"]
    assert {item.sha256: item.part for item in dataset.samples} == {
        image["sha256"]: image["split"] for image in document["images"]
    }


@given(reviews)
def test_the_frozen_test_part_stays_byte_for_byte_for_the_classes_that_it_shows(
    reviewed_images: list[Reviewed],
) -> None:
    known = [review for review in reviewed_images if review.labels <= {"dent", "scratch"}]
    assert of_part(merged(BASE, known), "test") == of_part(BASE, "test")
    document = merged(BASE, reviewed_images)
    joined = set(images(document, "test")) - set(images(BASE, "test"))
    assert all({name for name, _ in objects(document, sha256)} & {"rust", "kratzer ü"} for sha256 in joined)
    for sha256 in images(BASE, "test"):
        assert objects(document, sha256) == objects(BASE, sha256)


NEW_CLASS = st.lists(
    st.tuples(st.integers(0, 30).map(sha), st.sets(st.sampled_from(["dent", "rust", "burr"]), min_size=1)),
    max_size=12,
)


@given(NEW_CLASS)
def test_whatever_new_classes_people_label_a_model_can_be_trained_and_tested_on_it(
    labels: list[tuple[str, set[str]]],
) -> None:
    reviewed_images = [reviewed(sha256, *((name, BOX) for name in sorted(names))) for sha256, names in labels]
    ready, waiting = ready_to_merge(BASE, reviewed_images)
    document = merged(BASE, ready)
    result = Snapshot(document, "s3://artefacts/x")

    result.check({"detector"})
    # Nothing is lost: what is not in the snapshot waits, because of a class that it shows.
    last = {review.sha256: review for review in reviewed_images}
    left = {review.sha256 for review in ready}
    assert sum(waiting.values()) >= len(last) - len(left)
    assert all(last[sha256].labels & set(waiting) for sha256 in set(last) - left)
    assert not {"rust", "burr"} & result.labels_in("train") - result.labels_in("test")


def test_a_new_class_waits_until_it_can_be_learned_and_tested() -> None:
    train = [name for name in map(sha, range(200)) if part_of(name) == "train"]
    test = next(name for name in map(sha, range(200)) if part_of(name) == "test")
    learning = [reviewed(name, ("rust", BOX)) for name in train[:3]]

    alone, waiting = ready_to_merge(BASE, learning)
    both, none = ready_to_merge(BASE, [*learning, reviewed(test, ("rust", BOX))])

    assert (alone, waiting) == ([], {"rust": 3})
    assert (len(both), none) == (4, {})
    joined = set(images(merged(BASE, both), "test")) - set(images(BASE, "test"))
    assert joined == {test}


@given(reviews)
def test_every_reviewed_image_gets_its_last_labels_and_no_other_image_changes(
    reviewed_images: list[Reviewed],
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
def test_the_id_depends_on_the_content_only(reviewed_images: list[Reviewed], random: Any) -> None:
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


# ---------------------------------------------------------------- good products


def test_a_product_that_a_person_passes_is_a_good_image_that_the_next_training_learns_from(
    tmp_path: Path,
) -> None:
    document = merged(BASE, [reviewed(sha("passed")), reviewed(sha("failed"), ("dent", BOX))])
    dataset = as_training_reads(document, tmp_path)
    known = {image["sha256"] for image in BASE["images"]}
    new = {item.sha256: item for item in dataset.samples if item.sha256 not in known}
    assert {name: new[sha(name)].is_good for name in ("passed", "failed")} == {
        "passed": True,
        "failed": False,
    }
    assert new[sha("passed")].part in ("train", "validation")
    assert Snapshot(document, "").good_in("train", "validation") == 1 + Snapshot(BASE, "").good_in(
        "train", "validation"
    )


def tagged(tag: str) -> tuple[dict[str, Any], str]:
    """Return a snapshot with an image in the train part that has a label of its own, and its hash."""
    names = (f"tagged-{n}" for n in range(1000))
    name = next(name for name in names if part_of(sha(name)) == "train")
    whole = replace(sample(name), tags=(tag,))
    return taken([*(sample(f"{n}.png", *LABELS) for n in range(30)), whole]), sha(name)


def test_what_a_person_says_of_an_image_replaces_its_own_label(tmp_path: Path) -> None:
    document, sha256 = tagged("anomaly")
    image = next(image for image in document["images"] if image["sha256"] == sha256)
    image["masks"] = [{"name": "mask.png"}]
    after = merged(document, [reviewed(sha256)])
    (entry,) = [image for image in after["images"] if image["sha256"] == sha256]
    assert not {"tags", "masks"} & set(entry)
    (read,) = [item for item in as_training_reads(after, tmp_path).samples if item.sha256 == sha256]
    assert read.is_good


def test_a_review_that_says_what_the_image_s_own_label_says_changes_nothing() -> None:
    document, sha256 = tagged("normal")
    assert merged(document, [reviewed(sha256)]) is document


# ------------------------------------------------- bad products without a box


def drawn(part: str, word: str = "bad") -> str:
    """Return the hash of an image that is drawn for a part."""
    return next(sha256 for n in range(1000) if part_of(sha256 := sha(f"{word}-{n}")) == part)


def read_image(document: dict[str, Any], sha256: str, folder: Path) -> Sample:
    """Return an image as training reads it."""
    (found,) = [item for item in as_training_reads(document, folder).samples if item.sha256 == sha256]
    return found


def test_a_bad_product_without_a_box_is_neither_good_nor_background(tmp_path: Path) -> None:
    document = merged(BASE, [reviewed_as_bad(sha("bad"))])
    bad = read_image(document, sha("bad"), tmp_path)
    assert (bad.is_defective, bad.is_good, bad.has_unplaced_defect) == (True, False, True)
    assert bad.tags == ("anomaly",)
    assert Snapshot(document, "").good_in(*PARTS) == Snapshot(BASE, "").good_in(*PARTS)
    assert document["categories"] == BASE["categories"]
    assert document["annotations"] == merged(BASE, [reviewed(sha("bad"))])["annotations"]
    assert Snapshot(document, "").new_since(Snapshot(BASE, "")) == 1


def test_a_bad_product_without_a_box_waits_for_no_class() -> None:
    review = reviewed_as_bad(sha("bad"))
    assert ready_to_merge(BASE, [review]) == ([review], {})


@pytest.mark.parametrize("part", PARTS)
def test_a_bad_product_without_a_box_joins_the_test_part_only_if_no_test_image_shows_a_defect(
    part: str,
) -> None:
    good = taken([sample(f"{n}.png") for n in range(30)], ())
    bad = drawn(part)
    assert bad in images(merged(good, [reviewed_as_bad(bad)]), part)
    assert of_part(merged(BASE, [reviewed_as_bad(bad)]), "test") == of_part(BASE, "test")


def test_a_test_part_with_labels_of_whole_images_has_its_bad_products_already() -> None:
    tested = replace(sample("tested"), sha256=drawn("test", "tested"), tags=("broken",))
    document = taken([*(sample(f"{n}.png") for n in range(30)), tested], ())
    assert of_part(merged(document, [reviewed_as_bad(drawn("test"))]), "test") == of_part(document, "test")


def test_a_bad_product_replaces_the_label_good_of_the_same_picture_but_not_in_the_test_part(
    tmp_path: Path,
) -> None:
    document, sha256 = tagged("normal")
    assert read_image(merged(document, [reviewed_as_bad(sha256)]), sha256, tmp_path).is_defective

    frozen = images(document, "test")[0]
    assert merged(document, [reviewed_as_bad(frozen)]) is document


def test_of_several_reviews_of_one_picture_the_last_says_whether_it_is_good(tmp_path: Path) -> None:
    good, bad, framed = reviewed(sha("x")), reviewed_as_bad(sha("x")), reviewed(sha("x"), ("dent", BOX))
    for reviews_in_order in ([good, bad], [framed, bad]):
        assert read_image(merged(BASE, reviews_in_order), sha("x"), tmp_path).has_unplaced_defect
    assert read_image(merged(BASE, [bad, good]), sha("x"), tmp_path).is_good
    relabelled = read_image(merged(BASE, [bad, framed]), sha("x"), tmp_path)
    assert (relabelled.tags, [item.label for item in relabelled.objects]) == ((), ["dent"])


def test_who_calls_a_product_bad_without_a_box_takes_no_known_box_away() -> None:
    document, tagged_sha256 = tagged("broken")
    with_boxes = next(item for item in images(document, "train") if objects(document, item)[0][1])
    assert merged(document, [reviewed_as_bad(with_boxes), reviewed_as_bad(tagged_sha256)]) is document


def test_a_picture_that_is_listed_as_good_and_with_boxes_keeps_its_boxes_and_is_good_nowhere(
    tmp_path: Path,
) -> None:
    base = taken([*(sample(f"{n}.png", *LABELS) for n in range(30))])
    framed = next(image for image in base["images"] if image["split"] == "train")
    again = {**framed, "id": 1 + max(image["id"] for image in base["images"]), "file_name": "again.png"}
    base = {**base, "images": [*base["images"], {**again, "tags": ["good"]}]}

    document = merged(base, [reviewed_as_bad(framed["sha256"])])

    dataset = as_training_reads(document, tmp_path)
    both = {item.name: item for item in dataset.samples if item.sha256 == framed["sha256"]}
    assert len(both) == 2
    assert len(both[framed["file_name"]].objects) == len(LABELS)
    assert both["again.png"].has_unplaced_defect


def test_nobody_searches_the_folders_above_a_snapshot_for_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[Path] = []
    walk = os.walk

    def watched(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        walked.append(Path(folder))
        return walk(folder)

    monkeypatch.setattr(os, "walk", watched)
    # As many folders as are looked at above other annotation files.
    (folder := tmp_path / "a/b/c").mkdir(parents=True)
    assert as_training_reads(BASE, folder).snapshot_id == BASE["id"]
    assert set(walked) <= {folder}
