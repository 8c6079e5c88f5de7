"""An evaluation says what it leaves out or cannot count."""

from __future__ import annotations

import numpy as np
import pytest

from training.datasets import Dataset, Object, Sample
from training.datasets.storage.uris import ImagesByUri
from training.evaluation.left_out import left_out, without
from training.evaluation.metrics import score
from training.model.decoding import Detections

LABELS = ("dent", "scratch", "stain")


def sample(name: str, *objects: Object, tags: tuple[str, ...] = ()) -> Sample:
    return Sample(name, name, 1000, 1000, objects, tags)


def data_set(*samples: Sample) -> Dataset:
    return Dataset(ImagesByUri({}), LABELS, samples)


def grid(number: int, label: str = "dent") -> tuple[Object, ...]:
    """Return boxes that do not overlap."""
    return tuple(
        Object(label, (n % 30 * 30.0, n // 30 * 30.0, n % 30 * 30.0 + 20, n // 30 * 30.0 + 20))
        for n in range(number)
    )


def found(objects: tuple[Object, ...]) -> Detections:
    boxes = np.array([obj.box for obj in objects], np.float32).reshape(-1, 4) / 1000
    scores = np.linspace(0.9, 0.5, len(objects), dtype=np.float32)
    return Detections(boxes, scores, np.zeros(len(objects), np.int64))


def test_nothing_left_out_is_said_by_no_sentence():
    dataset = data_set(sample("a", *(Object(label, (0, 0, 9, 9)) for label in LABELS)), sample("good"))
    assert left_out(dataset, LABELS, 100).texts() == []


def test_each_kind_has_its_number_and_a_sentence():
    dataset = data_set(
        sample(
            "a",
            Object("dent", (0, 0, 9, 9)),
            Object("scratch", (0, 0, 9, 9)),
            Object("scratch", (5, 5, 9, 9)),
        ),
        sample("b", tags=("anomaly",)),
        sample("good", tags=("normal",)),
        sample("many", *grid(240)),
    )
    missing = left_out(dataset, ("dent", "stain"), 100, ["x.jpg", "y.jpg"], crowds=3)
    document = missing.document()
    texts = document.pop("texts")
    assert document == {
        "unreadable_images": 2,
        "unreadable": ["x.jpg", "y.jpg"],
        "images_without_place": 1,
        "unknown_labels": {"scratch": 2},
        "untested_classes": ["stain"],
        "crowds": 3,
        "crowded_images": 1,
        "most_objects": 240,
        "max_detections": 480,
    }
    assert [text.split(":")[0] for text in texts] == [
        "2 images could not be read",
        "1 image labelled as defective without a box",
        "Labels that the model does not know, with their objects",
        "No image here contains 'stain'",
        "3 crowds in the data set",
        "1 image with more than 100 objects (at most 240)",
    ]
    assert texts[0].endswith("x.jpg, y.jpg.")
    assert texts[-1].endswith("The endpoint returns at most 100.")


def test_many_unreadable_images_do_not_fill_the_page():
    names = [f"{n}.jpg" for n in range(1000)]
    missing = left_out(data_set(sample("a")), LABELS, 100, names)
    assert "1000 images could not be read: 0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 995 more." in missing.texts()
    assert len(missing.document()["unreadable"]) == 100


@pytest.mark.parametrize("number", [100, 101, 240])
def test_every_object_of_an_image_with_more_than_100_counts(number):
    objects = grid(number)
    scores = score(data_set(sample("many", *objects)), [found(objects)], LABELS)
    assert scores.per_class["dent"] == pytest.approx(1.0)
    if number > 100:
        assert scores.recall["ar100"] == pytest.approx(100 / number)
        assert scores.recall[f"ar{2 * number}"] == pytest.approx(1.0)


def test_images_are_taken_out_by_name():
    assert [item.name for item in without(data_set(sample("a"), sample("b")), ["a"]).samples] == ["b"]
