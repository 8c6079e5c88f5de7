"""Pascal VOC and CVAT's XML: their layouts, encodings, corners and shapes."""

from __future__ import annotations

import pytest

from tests.unit.training.datasets.exports import (
    DENT,
    boxes_of,
    errors,
    pictures,
    read_both,
    told,
    voc,
    write,
)
from training.datasets import DatasetError, read

DENTS = [("dent", DENT)]


@pytest.mark.parametrize("filename", ["SN1.jpg", "SN1", "C:\\data\\SN1.jpg", "other.jpg", ""])
def test_masks_of_the_same_stem_are_no_images(tmp_path, filename):
    root = pictures(
        tmp_path / "d", "JPEGImages/SN1.jpg", "SegmentationClass/SN1.png", "SegmentationObject/SN1.png"
    )
    write(root, "Annotations/SN1.xml", voc(filename))
    write(root, "ImageSets/Main/train.txt", "SN1\n")
    reading = read_both(root)
    assert (boxes_of(reading), told(reading)) == ({"JPEGImages/SN1.jpg": DENTS}, {})


def test_the_lists_of_voc_are_its_parts(tmp_path):
    names = [f"JPEGImages/SN{n}.jpg" for n in range(1, 4)]
    root = pictures(tmp_path / "d", *names)
    for number in range(1, 4):
        write(root, f"Annotations/SN{number}.xml", voc(f"SN{number}.jpg"))
    for part, number in (("train", 1), ("val", 2), ("test", 3)):
        write(root, f"ImageSets/Main/{part}.txt", f"SN{number}\n")
    write(root, "ImageSets/Main/trainval.txt", "SN1\nSN2\n")
    reading = read_both(root)
    assert [sample.source_part for sample in reading.dataset.samples] == ["train", "validation", "test"]


def test_the_parts_of_roboflow_are_folders(tmp_path):
    root = pictures(tmp_path / "d", "train/1.jpg", "valid/1.jpg")
    for part in ("train", "valid"):
        write(root, f"{part}/1.xml", voc("1.jpg"))
    reading = read_both(root)
    assert [sample.source_part for sample in reading.dataset.samples] == ["train", "validation"]


@pytest.mark.parametrize(
    ("encoding", "label"),
    [
        ("utf-8", "凹坑"),
        ("gb2312", "凹坑"),
        ("gbk", "凹坑"),
        ("shift_jis", "凹み"),
        ("utf-16", "凹坑"),
        ("cp1252", "Délta"),
    ],
)
def test_every_encoding_that_python_knows_is_read(tmp_path, encoding, label):
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n' + voc("SN1.jpg", label=label)
    root = write(pictures(tmp_path, "SN1.jpg"), "SN1.xml", text.encode(encoding))
    assert boxes_of(read(root)) == {"SN1.jpg": [(label, DENT)]}


@pytest.mark.parametrize("encoding", ["x-unknown", "hex", "zip", "utf-99", "gb2312"])
def test_an_encoding_that_cannot_be_read_is_a_problem_with_its_file(tmp_path, encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n'.encode() + voc("SN1.jpg").encode() + b"\xff\xff"
    root = pictures(tmp_path, "SN1.jpg", "SN2.jpg")
    write(root, "SN1.xml", text)
    write(root, "SN2.xml", voc("SN2.jpg"))
    reading = read(root)
    assert [(p.kind, p.file) for p in reading.problems if p.severity == "error"] == [
        ("bad-annotation", "SN1.xml")
    ]


def test_exchanged_corners_are_put_in_order_and_told(tmp_path):
    root = write(pictures(tmp_path, "SN1.jpg"), "SN1.xml", voc("SN1.jpg", (60, 50, 21, 21)))
    reading = read(root)
    assert (boxes_of(reading), told(reading)) == ({"SN1.jpg": DENTS}, {"swapped-corners": 1})


def test_an_image_whose_only_box_is_dropped_is_an_error_and_no_good_product(tmp_path):
    root = pictures(tmp_path, "SN1.jpg", "SN2.jpg")
    write(root, "SN1.xml", voc("SN1.jpg", (500, 500, 600, 600)))
    write(root, "SN2.xml", voc("SN2.jpg"))
    reading = read(root)
    assert boxes_of(reading) == {"SN2.jpg": DENTS}
    assert errors(reading) == ["labels-lost"]


def test_boxes_of_tools_that_count_from_zero_are_not_called_outside(tmp_path):
    root = write(pictures(tmp_path, "SN1.jpg"), "SN1.xml", voc("SN1.jpg", (0, 0, 60, 50)))
    assert told(read(root)) == {}


def test_a_polygon_without_a_box_becomes_the_box_around_it(tmp_path):
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in ((20, 20), (60, 30), (40, 50)))
    shape = f"<object><name>dent</name><polygon>{points}</polygon></object>"
    text = f"<annotation><filename>a.png</filename>{shape}</annotation>"
    reading = read(write(pictures(tmp_path, "a.png"), "a.xml", text))
    assert (boxes_of(reading), told(reading)) == ({"a.png": DENTS}, {"shape-box": 1})


def test_two_files_that_label_one_image_in_two_ways_are_an_error(tmp_path):
    root = pictures(tmp_path, "img/SN1.jpg")
    write(root, "anna/SN1.xml", voc("SN1.jpg"))
    write(root, "ben/SN1.xml", voc("SN1.jpg", (1, 1, 9, 9)))
    assert errors(read(root)) == ["labelled-twice"]


# CVAT


def cvat(*images: str, head: str = "") -> str:
    declaration = '<?xml version="1.0" encoding="utf-8"?>'
    return f"{declaration}<annotations><version>1.1</version>{head}{''.join(images)}</annotations>"


def image(name: str, *shapes: str, subset: str = "") -> str:
    more = f' subset="{subset}"' if subset else ""
    return f'<image id="0" name="{name}"{more} width="160" height="120">{"".join(shapes)}</image>'


BOX = '<box label="dent" occluded="0" xtl="20.00" ytl="20.00" xbr="60.00" ybr="50.00" z_order="0"></box>'


@pytest.mark.parametrize(
    ("shape", "kinds"),
    [
        (BOX, {}),
        ('<polygon label="dent" points="20.00,20.00;60.00,30.00;40.00,50.00"></polygon>', {"shape-box": 1}),
        ('<ellipse label="dent" cx="40" cy="35" rx="20" ry="15"></ellipse>', {"shape-box": 1}),
        ('<mask label="dent" rle="1,2" left="20" top="20" width="40" height="30"></mask>', {"shape-box": 1}),
        ('<box label="dent" xtl="25" ytl="15" xbr="55" ybr="55" rotation="90"></box>', {"shape-box": 1}),
    ],
)
def test_every_shape_with_an_area_becomes_a_box(tmp_path, shape, kinds):
    root = write(pictures(tmp_path / "d", "images/SN1.png"), "annotations.xml", cvat(image("SN1.png", shape)))
    reading = read_both(root)
    assert (reading.format, boxes_of(reading), told(reading)) == ("cvat", {"images/SN1.png": DENTS}, kinds)


def test_tags_are_labels_of_the_image_and_points_are_told_as_lost(tmp_path):
    root = pictures(tmp_path, "a.png", "b.png", "c.png")
    points = '<points label="dent" points="3.00,4.00"></points>'
    document = cvat(
        image("a.png", BOX, points), image("b.png", '<tag label="anomaly"></tag>'), image("c.png", points)
    )
    reading = read(write(root, "annotations.xml", document))
    assert boxes_of(reading) == {"a.png": DENTS, "b.png": []}
    assert reading.dataset.samples[1].tags == ("anomaly",)
    assert told(reading) == {"lost-shape": 2, "unplaced-defect": 1, "labels-lost": 1}


def test_subsets_are_parts_and_the_classes_come_in_the_order_of_the_task(tmp_path):
    root = pictures(tmp_path, "train/a.png", "test/a.png")
    names = "".join(f"<label><name>{name}</name><color>#fff</color></label>" for name in ("scratch", "dent"))
    head = f"<meta><task><labels>{names}</labels></task></meta>"
    images = [image("a.png", BOX, subset=part) for part in ("train", "test")]
    reading = read(write(root, "annotations.xml", cvat(*images, head=head)))
    assert reading.dataset.labels == ("scratch", "dent")
    assert {s.name: s.source_part for s in reading.dataset.samples} == {
        "train/a.png": "train",
        "test/a.png": "test",
    }


def test_a_label_that_is_not_among_those_of_the_task_is_an_error(tmp_path):
    root = pictures(tmp_path, "a.png")
    head = "<meta><task><labels><label><name>scratch</name><color>#fff</color></label></labels></task></meta>"
    reading = read(write(root, "annotations.xml", cvat(image("a.png", BOX), head=head)))
    assert reading.dataset.labels == ("scratch",)
    assert told(reading)["unknown-class"] == 1


def test_a_video_is_refused_with_what_to_export(tmp_path):
    root = write(pictures(tmp_path, "a.png"), "annotations.xml", cvat('<track id="0" label="dent"></track>'))
    with pytest.raises(DatasetError, match="CVAT for images"):
        read(root)
