"""YOLO as every tool writes it: its folders, lists, class names and additional columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.training.datasets.exports import (
    DENT,
    YOLO_DENT,
    boxes_of,
    errors,
    picture,
    pictures,
    read_both,
    told,
    voc,
    write,
)
from training.datasets import DatasetError, read
from training.datasets.formats.yolo_lines import Line, parse
from training.datasets.formats.yolo_names import Names

DENTS = [("dent", DENT)]
NAMES = "names: [dent]\n"


@pytest.mark.parametrize(
    ("image", "text", "names"),
    [
        ("images/SN1.jpg", "labels/SN1.txt", {"data.yaml": NAMES}),
        ("Images/SN1.JPG", "Labels/SN1.TXT", {"data.yaml": NAMES}),
        ("train/images/SN1.jpg", "train/labels/SN1.txt", {"data.yaml": "train: ../train/images\n" + NAMES}),
        ("images/train/SN1.jpg", "labels/train/SN1.txt", {"data.yaml": f"path: /a/d\ntrain: images/train\n{NAMES}"}),
        ("images/0a1b-SN1.jpg", "labels/0a1b-SN1.txt", {"classes.txt": "dent\n", "notes.json": "{}"}),
        ("SN1.jpg", "SN1.txt", {"classes.txt": "dent\n"}),
        ("SN1.jpg", "SN1.txt", {"classes.txt": "\ufeffdent\r\n"}),
        ("c/images/SN1.jpg", "c/images/SN1.txt", {"data.yaml": NAMES}),
        ("img_raw/SN1.jpg", "yolo_txt/SN1.txt", {"data.yaml": NAMES}),
        ("images/SN1.jpg", "labels/SN1.txt", {"data.yaml": "names:\n  '0': dent\n"}),
        ("images/SN1.jpg", "labels/SN1.txt", {"my-set.yml": "nc: 1\nnames: {0: dent}\n"}),
        ("obj_train_data/SN1.png", "obj_train_data/SN1.txt", {
            "obj.names": "dent\n", "train.txt": "data/obj_train_data/SN1.png\n",
            "obj.data": "classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n",
        }),
    ],
)  # fmt: skip
def test_the_layout_of_each_tool_is_read(tmp_path, image, text, names):
    root = write(pictures(tmp_path / "d", image), text, YOLO_DENT + "\n")
    for name, content in names.items():
        write(root, name, content)
    reading = read_both(root)
    assert (reading.format, boxes_of(reading), errors(reading)) == ("yolo", {image: DENTS}, [])


def test_the_nearest_list_of_classes_counts(tmp_path):
    root = pictures(tmp_path / "d", "day1/SN1.jpg", "day2/SN2.jpg")
    write(root, "day1/classes.txt", "dent\nscratch\n")
    write(root, "day2/classes.txt", "scratch\ndent\n")
    write(root, "day1/SN1.txt", YOLO_DENT)
    write(root, "day2/SN2.txt", "1" + YOLO_DENT[1:])
    assert boxes_of(read_both(root)) == {"day1/SN1.jpg": DENTS, "day2/SN2.jpg": DENTS}


def test_plots_of_runs_are_no_products(tmp_path):
    root = pictures(
        tmp_path / "d", "images/train/1.jpg", "images/val/2.jpg", "runs/detect/results.png", "runs/labels.jpg"
    )
    write(root, "data.yaml", "path: .\ntrain: images/train\nval: images/val\n" + NAMES)
    write(root, "labels/train/1.txt", YOLO_DENT)
    write(root, "labels/val/2.txt", "")
    reading = read_both(root)
    assert boxes_of(reading) == {"images/train/1.jpg": DENTS, "images/val/2.jpg": []}
    assert told(reading) == {"unlisted-image": 2}
    assert [sample.source_part for sample in reading.dataset.samples] == ["train", "validation"]


@pytest.mark.parametrize("is_listed", [True, False])
def test_without_a_list_runs_are_no_products_either(tmp_path, is_listed):
    root = pictures(tmp_path, "images/1.jpg" if is_listed else "1.jpg", "runs/detect/results.png")
    write(root, "data.yaml", NAMES)
    write(root, "labels/1.txt" if is_listed else "1.txt", YOLO_DENT)
    assert len(boxes_of(read(root))) == 1


def test_a_labelled_image_that_the_list_leaves_out_is_read_all_the_same(tmp_path):
    root = pictures(tmp_path, "images/train/1.jpg", "images/valid/2.jpg")
    write(root, "data.yaml", "train: images/train\nval: images/val\n" + NAMES)
    write(root, "labels/train/1.txt", YOLO_DENT)
    write(root, "labels/valid/2.txt", YOLO_DENT)
    assert len(boxes_of(read(root))) == 2


def test_an_image_in_two_lists_is_read_once_in_the_higher_part(tmp_path):
    root = pictures(tmp_path, "images/1.jpg", "images/2.jpg")
    write(root, "data.yaml", "path: .\ntrain: train_list.txt\nval: val_list.txt\n" + NAMES)
    write(root, "train_list.txt", "./images/1.jpg\n./images/2.jpg\n")
    write(root, "val_list.txt", "./images/1.jpg\n")
    write(root, "labels/1.txt", YOLO_DENT)
    reading = read(root)
    assert {s.name: s.source_part for s in reading.dataset.samples} == {
        "images/1.jpg": "validation",
        "images/2.jpg": "train",
    }


def test_a_list_that_names_an_image_that_is_not_there_is_an_error(tmp_path):
    root = pictures(tmp_path, "images/1.jpg")
    write(root, "data.yaml", "train: list.txt\n" + NAMES)
    write(root, "list.txt", "images/1.jpg\nimages/gone.jpg\n")
    write(root, "labels/1.txt", YOLO_DENT)
    assert [(p.kind, p.place) for p in read(root).problems] == [("missing-image", "line 2")]


def test_the_same_name_in_two_folders_is_two_images(tmp_path):
    root = pictures(tmp_path / "d", "images/bad/1.jpg", "images/good/1.jpg")
    write(root, "data.yaml", NAMES)
    write(root, "labels/bad/1.txt", YOLO_DENT)
    assert boxes_of(read_both(root)) == {"images/bad/1.jpg": DENTS, "images/good/1.jpg": []}


@pytest.mark.parametrize(
    ("columns", "kinds"),
    [("0.93", {"extra-columns": 1}), ("0.93 7", {"extra-columns": 1}), ("0.93 1", {"extra-columns": 1})],
)
def test_a_confidence_and_a_track_id_are_told_and_ignored(tmp_path, columns, kinds):
    root = write(pictures(tmp_path, "images/1.jpg"), "labels/1.txt", f"{YOLO_DENT} {columns}\n")
    reading = read(write(root, "data.yaml", NAMES))
    assert (boxes_of(reading), told(reading)) == ({"images/1.jpg": DENTS}, kinds)


@given(st.lists(st.tuples(*[st.floats(0.001, 0.999)] * 2), min_size=3, max_size=12))
def test_polygons_are_boxes_around_their_points(points):
    text = "0 " + " ".join(f"{x:.6f} {y:.6f}" for x, y in points)
    line = parse(text, Names(("dent",)))
    xs, ys = zip(*points, strict=True)
    assert isinstance(line, Line)
    assert line.is_polygon
    assert line.box == pytest.approx((min(xs), min(ys), max(xs), max(ys)), abs=1e-5)


@pytest.mark.parametrize("line", ["0 0.1 0.2 0.5 0.9 0.3 1", "0 0.9 0.5 0.8 0.6 0.99 0"])
def test_a_triangle_that_ends_at_the_edge_is_no_confidence_and_id(line):
    parsed = parse(line, Names(("dent",)))
    assert isinstance(parsed, Line)
    assert (parsed.is_polygon, parsed.extra) == (True, "")


@given(st.text(max_size=60))
def test_no_line_is_too_strange(text):
    assert isinstance(parse(text, Names(("dent",))), Line | str)


def test_boxes_in_pixels_are_an_error_with_their_place(tmp_path):
    root = write(pictures(tmp_path, "images/1.jpg"), "labels/1.txt", "0 40 35 40 30\n")
    reading = read(write(root, "data.yaml", NAMES))
    assert "bad-annotation" in errors(reading)


def test_labels_that_belong_to_no_image_are_never_an_import_of_good_products(tmp_path):
    root = write(pictures(tmp_path, "images/1.jpg", "images/2.jpg"), "data.yaml", NAMES)
    assert errors(read(root)) == ["nothing-labelled"]
    write(root, "other/9.txt", YOLO_DENT)
    assert errors(read(root)) == ["missing-image", "nothing-labelled"]


def test_without_names_the_classes_are_numbers_or_those_of_the_user(tmp_path):
    root = write(pictures(tmp_path, "1.jpg"), "1.txt", YOLO_DENT)
    assert told(read(root)) == {"no-class-names": 1}
    assert boxes_of(read(root)) == {"1.jpg": [("0", DENT)]}
    assert boxes_of(read(root, class_names=["dent"])) == {"1.jpg": DENTS}


def test_yolo_beside_voc_is_refused_and_names_both(tmp_path):
    root = write(pictures(tmp_path, "1.jpg"), "1.txt", YOLO_DENT)
    write(root, "classes.txt", "dent\n")
    write(root, "1.xml", voc("1.jpg"))
    with pytest.raises(DatasetError, match=r"voc \(1\.xml\).*yolo \(classes\.txt\).*--format"):
        read(root)
    assert boxes_of(read(root, "yolo")) == boxes_of(read(root, "voc")) == {"1.jpg": DENTS}


def test_decomposed_names_of_a_mac_find_their_labels(tmp_path):
    root = write(tmp_path / "d", "labels/Pru\u0308fbild.txt", YOLO_DENT)
    picture(root / "images/Pr\u00fcfbild.jpg")
    write(root, "data.yaml", NAMES)
    assert list(boxes_of(read_both(root)).values()) == [DENTS]
