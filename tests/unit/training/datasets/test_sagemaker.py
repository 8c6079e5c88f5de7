"""What SageMaker's built-in algorithms train on: JSON for each image, .lst files, and .rec files without names."""

from __future__ import annotations

import pytest

from tests.unit.training.datasets.exports import DENT, boxes_of, errors, pictures, read_both, told, write
from training.datasets import open_dataset, read
from training.datasets.export import write_recordio

DENTS = [("dent", DENT)]


def document(file: str, class_id: int = 0) -> dict[str, object]:
    return {
        "file": file,
        "image_size": [{"width": 160, "height": 120, "depth": 3}],
        "annotations": [{"class_id": class_id, "left": 20, "top": 20, "width": 40, "height": 30}],
        "categories": [{"class_id": 0, "name": "dent"}],
    }


def test_the_json_of_each_image_is_read_and_its_folder_is_the_part(tmp_path):
    # The same names in both parts.
    root = pictures(tmp_path / "d", "train/1.jpg", "validation/1.jpg")
    for part in ("train", "validation"):
        write(root, f"{part}_annotation/1.json", document("1.jpg"))
    reading = read_both(root)
    assert (reading.format, told(reading)) == ("object-detection", {})
    assert boxes_of(reading) == {"train/1.jpg": DENTS, "validation/1.jpg": DENTS}
    assert [s.source_part for s in reading.dataset.samples] == ["train", "validation"]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"annotations": [{"class_id": 7, "left": 1, "top": 1, "width": 9, "height": 9}]}, "unknown-class"),
        ({"annotations": [{"class_id": 0, "left": 1}]}, "bad-annotation"),
        ({"categories": 3}, "bad-annotation"),
        ({"file": "gone.jpg"}, "missing-image"),
    ],
)
def test_a_bad_json_is_an_error_with_its_file(tmp_path, change, kind):
    root = pictures(tmp_path, "train/1.jpg", "train/2.jpg")
    write(root, "train_annotation/1.json", document("1.jpg"))
    write(root, "train_annotation/2.json", document("2.jpg") | change)
    problems = [(p.kind, p.file) for p in read(root).problems if p.severity == "error"]
    assert (kind, "train_annotation/2.json") in problems


def test_a_list_of_detections_is_read(tmp_path):
    root = pictures(tmp_path / "d", "images/1.jpg", "images/2.jpg")
    x1, y1, x2, y2 = (edge / size for edge, size in zip(DENT, (160, 120) * 2, strict=True))
    write(root, "train.lst", f"0\t2\t5\t0\t{x1}\t{y1}\t{x2}\t{y2}\timages/1.jpg\n")
    write(root, "val.lst", f"0\t2\t5\t0\t{x1}\t{y1}\t{x2}\t{y2}\timages\\2.jpg\n")
    write(root, "classes.txt", "dent\n")
    reading = read_both(root)
    assert (reading.format, boxes_of(reading)) == ("list", {"images/1.jpg": DENTS, "images/2.jpg": DENTS})
    assert [s.source_part for s in reading.dataset.samples] == ["train", "validation"]


def test_a_list_of_classes_gives_labels_of_the_image(tmp_path):
    root = write(pictures(tmp_path, "1.jpg", "2.jpg"), "train.lst", "0\t0\t1.jpg\n1\t1.000000\t2.jpg\n")
    reading = read(root, class_names=["good", "dent"])
    assert [s.tags for s in reading.dataset.samples] == [("good",), ("dent",)]
    assert [s.tags for s in read(root).dataset.samples] == [("0",), ("1",)]


@pytest.mark.parametrize("line", ["1\tx\t1.jpg", "1\t2\t5\t0\t0.1\t1.jpg", "1\t9\t1.jpg", "1\t0\tgone.jpg"])
def test_a_bad_line_of_a_list_is_an_error(tmp_path, line):
    root = write(pictures(tmp_path, "1.jpg", "2.jpg"), "train.lst", f"0\t0\t2.jpg\n{line}\n")
    write(root, "classes.txt", "good\ndent\n")
    assert errors(read(root))[0] in ("bad-annotation", "unknown-class", "missing-image")


def test_the_user_names_the_classes_of_records(tmp_path):
    root = write(pictures(tmp_path / "s", "1.jpg"), "1.txt", "0 0.25 0.2916667 0.25 0.25")
    write(root, "classes.txt", "dent\n")
    write_recordio(open_dataset(root), tmp_path / "r/train.rec")
    (tmp_path / "r/classes.txt").unlink()
    assert [o.label for o in read(tmp_path / "r").dataset.samples[0].objects] == ["0"]
    assert [o.label for o in read(tmp_path / "r", class_names=["dent"]).dataset.samples[0].objects] == [
        "dent"
    ]
