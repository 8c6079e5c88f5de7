"""The audit reports what a person should know about a data set, and a repair changes only what needs no decision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.datasets import Dataset, Object, Sample
from training.datasets.checks.audit import SAME_BOX_IOU, audit, objects_per_class, same_boxes
from training.datasets.checks.duplicates import Duplicate
from training.datasets.checks.repair import repair
from training.datasets.storage.uris import FilesByUri


def sample(name: str = "a.png", *objects: Object, sha256: str | None = None, part=None) -> Sample:
    return Sample(name, sha256 or f"{abs(hash(name)):064x}"[:64], 100, 100, objects, part=part)


def dataset(*samples: Sample) -> Dataset:
    labels = dict.fromkeys(obj.label for s in samples for obj in s.objects)
    return Dataset(FilesByUri(), tuple(labels), samples)


def problems(kind: str, *samples: Sample, **options: object) -> list[tuple[str, str]]:
    reported = audit(dataset(*samples), options.pop("duplicates", ()), **options)
    return [(problem.file, problem.place) for problem in reported if problem.kind == kind]


DENT, SCRATCH = Object("dent", (10, 10, 50, 50)), Object("scratch", (10, 10, 50, 50))


def test_two_boxes_of_one_label_in_one_place_are_duplicates_and_of_two_labels_a_conflict():
    near = Object("dent", (10, 10, 50, 50.5))
    apart = Object("dent", (10, 10, 50, 56))
    labelled = sample("a.png", DENT, apart, near, SCRATCH)
    assert problems("duplicate-box", labelled) == [("a.png", "boxes 1 and 3")]
    # The fourth box is told once, with the first of those that it contradicts.
    assert problems("conflicting-boxes", labelled) == [("a.png", "boxes 1 and 4")]


BOXES = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40)).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)


@given(st.lists(st.one_of(BOXES, st.just((5.0, 5.0, 45.0, 45.0))), max_size=12))
def test_boxes_in_one_place_are_found_as_comparing_all_pairs_does(boxes):
    found = same_boxes(sample("a", *(Object("dent", box) for box in boxes)))
    pairs = {(first, second) for second, earlier in found for first in earlier}
    areas = np.zeros((len(boxes), 100, 100), bool)
    for area, (x1, y1, x2, y2) in zip(areas, np.array(boxes, int).reshape(-1, 4), strict=True):
        area[y1:y2, x1:x2] = True
    assert pairs == {
        (i, j)
        for j in range(len(boxes))
        for i in range(j)
        if (areas[i] & areas[j]).sum() / (areas[i] | areas[j]).sum() > SAME_BOX_IOU
    }


def test_labels_that_differ_by_case_or_space_are_reported_by_the_rare_spelling():
    samples = [sample(f"{i}.png", DENT) for i in range(3)]
    samples += [sample("upper.png", Object("Dent", DENT.box)), sample("space.png", Object("dent ", DENT.box))]
    assert sorted(problems("label-case", *samples)) == [
        ("space.png", "label 'dent '"),
        ("upper.png", "label 'Dent'"),
    ]


def test_one_picture_among_the_good_and_among_the_bad_is_told_and_no_repair_chooses():
    good = replace(sample("good/1.png", sha256="0" * 64), tags=("good",))
    bad = replace(good, name="bad/1.png", tags=("anomaly",))
    copies = [Duplicate(0, 1, "bytes", 1.0)]
    assert problems("duplicate-image", good, bad, duplicates=copies) == []
    assert problems("duplicate-image-other-labels", good, bad, duplicates=copies) == [("bad/1.png", "")]
    repaired, _ = repair(dataset(good, bad), copies, [])
    assert repaired.samples == (good, bad)


def test_a_train_part_of_good_products_alone_is_told_where_others_show_objects():
    good = replace(sample("good.png", part="train"), tags=("good",))
    bad = sample("bad.png", DENT, part="test")
    assert problems("good-only-train", good, bad) == [("good.png", "")]
    assert problems("good-only-train", good, replace(bad, objects=(), tags=("anomaly",))) == []
    assert problems("good-only-train", good, bad, sample("also.png", DENT, part="train")) == []


def test_unknown_labels_are_errors_only_against_a_list():
    labelled = sample("a.png", DENT, SCRATCH)
    assert problems("unknown-label", labelled) == []
    assert problems("unknown-label", labelled, known_labels=["dent", "hole"]) == [
        ("a.png", "label 'scratch'")
    ]


def test_one_class_imbalance_and_unlabelled_images_are_reported():
    many = [sample(f"{i}.png", DENT) for i in range(11)]
    assert problems("one-class", *many) == [("0.png", "")]
    assert problems("one-class", *many, sample("s.png", SCRATCH)) == []
    assert problems("imbalance", *many, sample("s.png", SCRATCH)) == [("s.png", "label 'scratch'")]
    assert problems("imbalance", *many[:10], sample("s.png", SCRATCH)) == []
    assert problems("unlabelled-image", sample("good.png"), *many) == [("good.png", "")]


def test_objects_are_counted_by_class_and_part():
    whole = dataset(sample("a", DENT, DENT, part="train"), sample("b", DENT, SCRATCH, part="test"))
    assert objects_per_class(whole) == {
        "dent": {"all": 3, "train": 2, "validation": 0, "test": 1},
        "scratch": {"all": 1, "train": 0, "validation": 0, "test": 1},
    }


def test_a_duplicate_across_the_split_names_the_image_of_the_lower_part():
    pair = sample("test.png", DENT, part="test"), sample("train.png", DENT, part="train")
    assert problems("duplicate-across-split", *pair, duplicates=[Duplicate(0, 1, "near", 0.9)]) == [
        ("train.png", "")
    ]


def test_duplicate_images_are_distinguished_by_their_labels_and_a_fixed_scene_is_reported_once():
    pair = sample("a.png", DENT), sample("b.png", DENT)
    twice = [Duplicate(0, 1, "bytes", 1.0)]
    assert problems("duplicate-image", *pair, duplicates=twice) == [("b.png", "")]
    assert problems("duplicate-image-other-labels", *pair, duplicates=twice) == []
    other = sample("a.png", DENT), sample("b.png", SCRATCH)
    assert problems("duplicate-image-other-labels", *other, duplicates=twice) == [("b.png", "")]
    assert problems("fixed-scene", *pair, fixed_scene=[0, 1]) == [("a.png", "")]


def test_every_repair_is_listed_with_its_file():
    first = sample("a.png", DENT, Object("Dent", (10, 10, 50, 50.5)), SCRATCH)
    copy = replace(first, name="copy.png")
    other = replace(sample("b.png", DENT), sha256=first.sha256)
    fixed, repairs = repair(
        dataset(first, copy, other), [Duplicate(0, 1, "bytes", 1.0), Duplicate(0, 2, "bytes", 1.0)], []
    )
    assert fixed.labels == ("dent", "scratch")
    assert [(s.name, [o.label for o in s.objects]) for s in fixed.samples] == [
        ("a.png", ["dent", "scratch"]),
        ("b.png", ["dent"]),  # other labels: a person decides
    ]
    assert [(item.kind, item.file) for item in repairs] == [
        ("label-case", "a.png"),
        ("label-case", "copy.png"),
        ("duplicate-box", "a.png"),
        ("duplicate-box", "copy.png"),
        ("duplicate-image", "copy.png"),
    ]


def test_a_repair_never_takes_a_duplicate_out_of_the_test_part():
    pair = sample("train.png", DENT, part="train"), sample("test.png", DENT, part="test")
    for order in (pair, pair[::-1]):
        fixed, _ = repair(dataset(*order), [Duplicate(0, 1, "pixels", 1.0)], [])
        assert [kept.name for kept in fixed.samples] == ["test.png"]
