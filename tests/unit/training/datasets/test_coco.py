"""COCO as every tool writes it, and JumpStart's boxes, which have COCO's keys and are corners."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.training.datasets.exports import (
    DENT,
    boxes_of,
    coco,
    errors,
    pictures,
    read_both,
    told,
    write,
)
from training.datasets import DatasetError, open_dataset, read
from training.datasets.formats.coco_shapes import runs_box, shape_box

DENTS = [("dent", DENT)]


def jumpstart(*names: str, **changes: object) -> dict[str, object]:
    document = coco(*names)
    images, count = document["images"], len(names)
    annotations = [{"image_id": n, "bbox": list(DENT), "category_id": 0} for n in range(1, count + 1)]
    return {"images": images, "annotations": annotations} | changes


@pytest.mark.parametrize(
    ("file", "name", "image"),
    [
        ("annotations/instances_default.json", "SN1.png", "images/default/SN1.png"),  # CVAT
        ("annotations/instances_Train.json", "SN1.png", "images/Train/SN1.png"),  # CVAT, a subset
        ("labels.json", "SN1.jpg", "data/SN1.jpg"),  # FiftyOne
        ("result.json", "images\\0a1b2c3d-SN1.jpg", "images/0a1b2c3d-SN1.jpg"),  # Label Studio on Windows
        (
            "result.json",
            "../../data/media/upload/1/0a1b2c3d-SN1.jpg",
            "images/SN1.jpg",
        ),  # Label Studio, local
        ("annotations/instances_train2017.json", "SN1.jpg", "train2017/SN1.jpg"),  # COCO itself
        ("anything.json", "https://host.example/SN%201.jpg?sig=1", "a/SN 1.JPG"),
    ],
)
def test_the_export_of_each_tool_is_read(tmp_path, file, name, image):
    root = write(pictures(tmp_path / "d", image), file, coco(name))
    reading = read_both(root)
    assert (reading.format, boxes_of(reading), errors(reading)) == ("coco", {image: DENTS}, [])


def test_images_that_were_converted_since_are_found_and_that_is_told(tmp_path):
    reading = read(write(pictures(tmp_path, "a.jpg", "b.jpg"), "labels.json", coco("a.png", "b.png")))
    assert (boxes_of(reading), told(reading)) == ({"a.jpg": DENTS, "b.jpg": DENTS}, {"other-suffix": 2})


def test_the_json_file_alone_finds_the_images_beside_its_folder(tmp_path):
    root = pictures(tmp_path / "d", "images/default/SN1.png", "images/default/SN2.png")
    write(root, "annotations/instances_default.json", coco("SN1.png", "SN2.png"))
    assert boxes_of(read(root / "annotations/instances_default.json")) == boxes_of(read(root))
    assert len(boxes_of(read(root))) == 2


def test_the_files_of_the_parts_are_one_data_set_and_the_parts_are_kept(tmp_path):
    root = tmp_path / "d"
    parts = {"train": "train", "valid": "validation", "test": "test"}
    for folder in parts:
        # The same names in each part, and the classes in another order.
        ids = {"train": 1, "valid": 2, "test": 1}
        categories = [{"id": 1, "name": "dent"}, {"id": 2, "name": "scratch"}]
        categories = (
            categories if ids[folder] == 1 else [{"id": 2, "name": "dent"}, {"id": 1, "name": "scratch"}]
        )
        document = coco("1.jpg", categories=categories)
        document["annotations"][0]["category_id"] = ids[folder]
        write(root, f"{folder}/_annotations.coco.json", document)
    pictures(root, *(f"{folder}/1.jpg" for folder in parts))
    reading = read_both(root)
    assert boxes_of(reading) == {f"{folder}/1.jpg": DENTS for folder in sorted(parts)}
    found = {sample.name.split("/")[0]: sample.source_part for sample in reading.dataset.samples}
    assert found == parts


def test_original_coco_has_the_parts_of_its_file_names(tmp_path):
    root = pictures(tmp_path / "d", "train2017/000001.jpg", "val2017/000001.jpg")
    for part in ("train", "val"):
        write(root, f"annotations/instances_{part}2017.json", coco("000001.jpg"))
        write(
            root, f"annotations/captions_{part}2017.json", {"images": [], "annotations": [{"caption": "a"}]}
        )
    reading = read_both(root)
    assert [s.source_part for s in reading.dataset.samples] == ["train", "validation"]
    assert (len(boxes_of(reading)), told(reading)) == (2, {"other-files": 2})


def test_the_root_category_without_boxes_is_no_class(tmp_path):
    categories = [
        {"id": 0, "name": "steel", "supercategory": "none"},
        {"id": 1, "name": "dent", "supercategory": "steel"},
    ]
    reading = read(write(pictures(tmp_path, "a.png"), "a.json", coco("a.png", categories=categories)))
    assert (reading.dataset.labels, told(reading)) == (("dent",), {"root-category": 1})


def test_two_categories_of_one_name_are_one_class(tmp_path):
    categories = [{"id": 1, "name": "dent"}, {"id": 2, "name": "dent"}, {"id": 3, "name": "scratch"}]
    document = coco("a.png", "b.png", categories=categories)
    document["annotations"][1]["category_id"] = 2
    reading = read(write(pictures(tmp_path, "a.png", "b.png"), "a.json", document))
    assert (reading.dataset.labels, told(reading)) == (("dent", "scratch"), {"category-twice": 1})
    assert boxes_of(reading) == {"a.png": DENTS, "b.png": DENTS}


RUNS = [20 * 120 + 20, *[30, 90] * 39, 30, 160 * 120 - (59 * 120 + 50)]


@pytest.mark.parametrize("crowd", [0, 1])
@pytest.mark.parametrize("bbox", [None, [], [0, 0, 0, 0], [20, 20, 40, 30]])
@pytest.mark.parametrize(
    "segmentation",
    [
        [[20, 20, 60, 20, 60, 35, 60, 50, 20, 50]],
        [[20, 20, 40, 20, 40, 50, 20, 50], [50, 30, 60, 30, 60, 40]],
        {"size": [120, 160], "counts": RUNS},
    ],
)
def test_polygons_and_masks_become_the_boxes_around_them_crowds_too(tmp_path, segmentation, bbox, crowd):
    document = coco("a.png")
    document["annotations"][0] |= {"segmentation": segmentation, "bbox": bbox, "iscrowd": crowd}
    reading = read(write(pictures(tmp_path, "a.png"), "a.json", document))
    assert (boxes_of(reading), told(reading)) == ({"a.png": DENTS}, {"shape-box": 1})


def test_the_rectangle_that_cvat_writes_beside_a_box_is_no_shape(tmp_path):
    document = coco("a.png")
    document["annotations"][0]["segmentation"] = [[20, 20, 60, 20, 60, 50, 20, 50]]
    assert told(read(write(pictures(tmp_path, "a.png"), "a.json", document))) == {}


@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=9))
def test_the_box_of_a_mask_is_that_of_its_pixels(columns):
    pixels = [value for column in columns for value in column]
    runs, last = [0], False
    for value in pixels:
        if value == last:
            runs[-1] += 1
        else:
            runs.append(1)
            last = value
    xs = [x for x, column in enumerate(columns) if any(column)]
    ys = [y for column in columns for y, value in enumerate(column) if value]
    expected = (min(xs), min(ys), max(xs) + 1, max(ys) + 1) if xs else None
    assert runs_box(runs, 7, len(columns)) == expected


def test_compressed_masks_are_read_as_pycocotools_writes_them():
    mask = pytest.importorskip("pycocotools.mask")
    packed = mask.frPyObjects({"size": [120, 160], "counts": RUNS}, 120, 160)
    segmentation = {"size": [120, 160], "counts": packed["counts"].decode()}
    assert shape_box(segmentation) == DENT


@pytest.mark.parametrize(
    "segmentation", ["x", [[]], [[1, 2]], {"size": [1, 2]}, {"size": [9, 9], "counts": "~~"}]
)
def test_a_label_with_neither_box_nor_shape_is_an_error(tmp_path, segmentation):
    document = coco("a.png")
    document["annotations"][0] |= {"segmentation": segmentation, "bbox": None}
    assert "bad-annotation" in errors(read(write(pictures(tmp_path, "a.png"), "a.json", document)))


def test_a_part_whose_file_is_damaged_is_an_error(tmp_path):
    root = pictures(tmp_path, "train/1.jpg", "valid/2.jpg")
    write(root, "train/_annotations.coco.json", coco("1.jpg"))
    write(root, "valid/_annotations.coco.json", json.dumps(coco("2.jpg"))[:-20])
    with pytest.raises(DatasetError, match=r"valid/_annotations\.coco\.json: is not readable JSON"):
        read(root)


# JumpStart


def test_jumpstart_is_recognised_and_its_boxes_are_corners(tmp_path):
    root = pictures(tmp_path / "d", "images/SN1.jpg", "images/SN2.jpg")
    write(root, "annotations.json", jumpstart("SN1.jpg", "SN2.jpg"))
    reading = read_both(root)
    assert reading.format == "jumpstart"
    assert boxes_of(reading) == {f"images/SN{n}.jpg": [("0", DENT)] for n in (1, 2)}
    assert told(reading) == {"corner-boxes": 1, "no-class-names": 1}


@pytest.mark.parametrize(
    ("number", "names", "expected"),
    [(0, ["dent"], "dent"), (1, ["dent"], "dent"), (1, ["scratch", "dent"], "dent")],
)
def test_the_user_names_the_classes_of_jumpstart(tmp_path, number, names, expected):
    document = jumpstart("a.png")
    document["annotations"].append(document["annotations"][0] | {"category_id": 0, "bbox": [70, 70, 90, 90]})
    document["annotations"][0]["category_id"] = number
    if len(names) == 1:
        del document["annotations"][1]
    reading = read(write(pictures(tmp_path, "images/a.png"), "annotations.json", document), class_names=names)
    assert boxes_of(reading)["images/a.png"][0] == (expected, DENT)
    assert "no-class-names" not in told(reading)


def test_a_number_without_a_name_is_an_error(tmp_path):
    document = jumpstart("a.png")
    document["annotations"][0]["category_id"] = 7
    root = write(pictures(tmp_path, "images/a.png"), "annotations.json", document)
    assert "unknown-class" in errors(read(root, class_names=["dent", "scratch"]))


def test_jumpstart_with_categories_is_recognised_too(tmp_path):
    document = jumpstart("a.png", categories=[{"id": 0, "name": "dent"}])
    reading = read(write(pictures(tmp_path, "images/a.png"), "annotations.json", document))
    assert (reading.format, boxes_of(reading)) == ("jumpstart", {"images/a.png": DENTS})


def test_the_test_file_of_jumpstart_is_its_test_part(tmp_path):
    root = pictures(tmp_path, "images/a.png", "images/b.png")
    write(root, "train_annotations.json", jumpstart("a.png"))
    write(root, "test_annotations.json", jumpstart("b.png"))
    reading = read(root)
    assert reading.format == "jumpstart"
    assert {s.name: s.source_part for s in reading.dataset.samples} == {
        "images/a.png": "train",
        "images/b.png": "test",
    }


def test_the_user_overrules_what_is_detected(tmp_path):
    document = jumpstart("a.png", categories=[{"id": 0, "name": "dent"}])
    root = write(pictures(tmp_path, "images/a.png"), "annotations.json", document)
    assert boxes_of(read(root, "coco")) == {"images/a.png": [("dent", (20, 20, 80, 70))]}
    assert boxes_of(read(root, "jumpstart")) == {"images/a.png": DENTS}


CORNERS = [(90, 60, 150, 110), (20, 20, 60, 50), (100, 10, 140, 30)]


@pytest.mark.parametrize("with_ids", [True, False])
def test_coco_whose_boxes_overrun_and_fit_as_corners_is_refused_or_read_as_corners(tmp_path, with_ids):
    document = coco("a.png", annotations=[])
    for number, box in enumerate(CORNERS):
        annotation = {"image_id": 1, "category_id": 1, "bbox": list(box)}
        document["annotations"].append(annotation | ({"id": number, "iscrowd": 0} if with_ids else {}))
    root = write(pictures(tmp_path, "a.png"), "labels.json", document)
    if with_ids:
        with pytest.raises(DatasetError, match=r"labels\.json: 2 of 3 boxes overrun.*--format jumpstart"):
            read(root)
    else:
        assert read(root).format == "jumpstart"
    assert boxes_of(read(root, "jumpstart"))["a.png"] == [("dent", box) for box in CORNERS]


def test_without_categories_corners_are_jumpstarts_even_with_ids(tmp_path):
    document = coco("a.png", bbox=DENT)
    del document["categories"]
    reading = read(write(pictures(tmp_path, "images/a.png", "other/a.png"), "annotations.json", document))
    assert (reading.format, boxes_of(reading)) == ("jumpstart", {"images/a.png": [("1", DENT)]})


def test_the_area_tells_that_boxes_are_corners(tmp_path):
    document = coco("a.png", bbox=DENT)
    with pytest.raises(DatasetError, match="fit as corners"):
        read(write(pictures(tmp_path, "a.png"), "labels.json", document))


def test_one_box_that_leaves_the_image_is_clipped_and_told(tmp_path):
    document = coco("a.png", annotations=[])
    for number, box in enumerate([(150, 10, 20, 20), (120, 90, 10, 10), (5, 5, 20, 20), (140, 100, 30, 15)]):
        document["annotations"].append({"id": number, "image_id": 1, "category_id": 1, "bbox": list(box)})
    reading = read(write(pictures(tmp_path, "a.png"), "labels.json", document))
    assert (reading.format, told(reading)) == ("coco", {"box-outside": 2})


@given(
    st.lists(
        st.tuples(st.integers(0, 120), st.integers(0, 80), st.integers(2, 160), st.integers(2, 120)),
        min_size=12,
        max_size=20,
    )
)
def test_sizes_are_never_read_as_corners(tmp_path_factory, boxes):
    inside = [(x, y, min(w, 160 - x), min(h, 120 - y)) for x, y, w, h in boxes]
    root = tmp_path_factory.mktemp("sizes")
    document = coco("a.png", annotations=[])
    for number, box in enumerate(inside):
        document["annotations"].append({"id": number, "image_id": 1, "category_id": 1, "bbox": list(box)})
    dataset = open_dataset(write(pictures(root, "a.png"), "labels.json", document))
    expected = [(x, y, x + w, y + h) for x, y, w, h in inside]
    assert [obj.box for obj in dataset.samples[0].objects] == expected
