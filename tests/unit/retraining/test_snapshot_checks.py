"""Snapshots: which images are new, and whether a model can be trained and tested on them."""

from typing import Any

import pytest

from contract.snapshots import part_of
from retraining.errors import LabelledDataError
from retraining.labelled import merged
from retraining.snapshots import Snapshot
from tests.unit.retraining.snapshots import BOX, reviewed, sample, sha, snapshot, taken

BASE = snapshot()
MOVED = (0.0, 0.0, 50.0, 50.0)


def images(document: dict[str, Any], part: str) -> list[str]:
    return [image["sha256"] for image in document["images"] if image["split"] == part]


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
    Snapshot(BASE, "").check({"detector"})


@pytest.mark.parametrize("missing", ["train", "validation", "test"])
def test_a_part_without_images_is_named(missing: str) -> None:
    samples = [
        item
        for part in ("train", "validation", "test")
        if part != missing
        for item in samples_of(part, 3, *BOTH)
    ]
    with pytest.raises(LabelledDataError, match=f"the {missing} part of the snapshot s3://here is empty"):
        Snapshot(taken(samples), "s3://here").check({"detector"})


def test_a_snapshot_without_a_labelled_defect_is_refused() -> None:
    samples = [*samples_of("train"), *samples_of("validation", 3, *BOTH), *samples_of("test", 3, *BOTH)]
    with pytest.raises(LabelledDataError, match="no training image in s3://here has a labelled defect"):
        Snapshot(taken(samples), "s3://here").check({"detector"})


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
        Snapshot(document, "s3://here").check({"detector"})


def test_a_new_class_from_reviews_alone_is_named_too() -> None:
    document = merged(BASE, [reviewed(sha("new"), ("rust", BOX))])
    with pytest.raises(LabelledDataError, match="shows rust"):
        Snapshot(document, "s3://here").check({"detector"})
