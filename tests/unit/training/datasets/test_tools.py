"""LabelMe, VIA, Label Studio, tables, Hugging Face's imagefolder, MVTec AD, and folders of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.unit.training.datasets.exports import (
    DENT,
    boxes_of,
    errors,
    picture,
    pictures,
    read_both,
    told,
    write,
)
from training.datasets import DatasetError, read

DENTS = [("dent", DENT)]


def labelme(image: str, *shapes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "version": "5.0",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": image,
        "imageData": None,
        "imageHeight": 120,
        "imageWidth": 160,
    } | changes


def shape(kind: str, *points: tuple[float, float], label: str = "dent") -> dict[str, Any]:
    return {"label": label, "points": [list(point) for point in points], "shape_type": kind}


@pytest.mark.parametrize(
    ("drawn", "kinds"),
    [
        (shape("rectangle", (20, 20), (60, 50)), {}),
        (shape("rectangle", (60, 50), (20, 20)), {}),
        (shape("rectangle", (20, 20), (60, 20), (60, 50), (20, 50)), {}),
        (shape("polygon", (20, 20), (60, 30), (40, 50)), {"shape-box": 1}),
    ],
)
def test_labelme_is_read(tmp_path, drawn, kinds):
    root = write(pictures(tmp_path / "d", "SN1.jpg"), "SN1.json", labelme("..\\img\\SN1.jpg", drawn))
    reading = read_both(root)
    assert (reading.format, boxes_of(reading), told(reading)) == ("labelme", {"SN1.jpg": DENTS}, kinds)


def test_the_circle_of_labelme_has_its_centre_first(tmp_path):
    root = write(pictures(tmp_path, "a.png"), "a.json", labelme("a.png", shape("circle", (40, 35), (40, 45))))
    assert boxes_of(read(root)) == {"a.png": [("dent", (30, 25, 50, 45))]}


def test_a_point_of_labelme_is_told_and_never_leaves_a_good_product(tmp_path):
    root = pictures(tmp_path, "a.png", "b.png")
    point = shape("point", (5, 5))
    write(root, "a.json", labelme("a.png", shape("rectangle", (20, 20), (60, 50)), point))
    write(root, "b.json", labelme("b.png", point))
    reading = read(root)
    assert boxes_of(reading) == {"a.png": DENTS}
    assert told(reading) == {"lost-shape": 2, "labels-lost": 1}


def test_the_set_flags_of_labelme_are_labels_of_the_image(tmp_path):
    root = write(pictures(tmp_path, "a.png"), "a.json", labelme("a.png", flags={"scrap": True, "ok": False}))
    reading = read(root)
    assert reading.dataset.samples[0].tags == ("scrap",)
    assert told(reading) == {"unplaced-defect": 1}


def test_labelme_files_in_folders_of_classes_are_labelme(tmp_path):
    root = write(pictures(tmp_path, "dent/a.png", "good/b.png"), "dent/a.json", labelme("a.png"))
    reading = read(root)
    assert (reading.format, told(reading)) == ("labelme", {"unlisted-image": 1})


def test_a_damaged_file_among_labelmes_is_an_error(tmp_path):
    root = pictures(tmp_path, "a.png", "b.png")
    write(root, "a.json", labelme("a.png"))
    write(root, "b.json", '{"version": "5.0", "shapes": [')
    assert errors(read(root)) == ["bad-annotation"]


def via(*regions: Any, name: str = "a.png", **document: Any) -> dict[str, Any]:
    images = {
        f"{name}1000": {"filename": name, "size": 1000, "regions": list(regions), "file_attributes": {}}
    }
    return {"_via_img_metadata": images, **document} if document else images


def region(kind: str = "rect", attributes: Any = None, **numbers: Any) -> dict[str, Any]:
    numbers = numbers or {"x": 20, "y": 20, "width": 40, "height": 30}
    return {
        "shape_attributes": {"name": kind, **numbers},
        "region_attributes": attributes or {"defect": "dent"},
    }


@pytest.mark.parametrize(
    "document",
    [
        via(region()),
        via(region(), _via_settings={}),
        via(region("polygon", all_points_x=[20, 60, 40], all_points_y=[20, 30, 50])),
        via(region("ellipse", cx=40, cy=35, rx=20, ry=15)),
        via(region(attributes={"defect": {"dent": True}})),
        via(region(attributes={"note": "checked", "class": "dent"})),
        via(
            region(attributes={"kind": "1"}),
            _via_attributes={"region": {"kind": {"type": "radio", "options": {"1": "dent"}}}},
        ),
    ],
)
def test_via_is_read(tmp_path, document):
    reading = read_both(write(pictures(tmp_path / "d", "a.png"), "via_region_data.json", document))
    assert (reading.format, boxes_of(reading), errors(reading)) == ("via", {"a.png": DENTS}, [])


@pytest.mark.parametrize(
    "attributes", [{"defect": ""}, {"defect": {"dent": True, "scratch": True}}, {"other": "x"}]
)
def test_a_region_without_one_class_is_an_error(tmp_path, attributes):
    document = via(region(), region(attributes=attributes), region())
    if "other" in attributes:
        document["a.png1000"]["regions"][1]["region_attributes"] = {}
    assert "bad-annotation" in errors(read(write(pictures(tmp_path, "a.png"), "v.json", document)))


def task(
    *results: dict[str, Any], image: str = "/data/upload/1/0a1b2c3d-a.png", **changes: Any
) -> dict[str, Any]:
    return {"id": 1, "data": {"image": image}, "annotations": [{"result": list(results)}]} | changes


def rectangle(**value: Any) -> dict[str, Any]:
    box = {"x": 12.5, "y": 16.66667, "width": 25, "height": 25, "rotation": 0, "rectanglelabels": ["dent"]}
    sizes = {"original_width": 160, "original_height": 120}
    return {"type": "rectanglelabels", "value": box | value, **sizes}


@pytest.mark.parametrize(
    "image",
    [
        "/data/upload/1/0a1b2c3d-a.png",
        "/data/upload/1/x-a.png",
        "/data/local-files/?d=parts/a.png",
        "s3://bucket/raw/a.png",
        "https://host.example/raw/a.png?sig=1",
    ],
)
def test_label_studio_is_read_wherever_the_image_was(tmp_path, image):
    root = write(pictures(tmp_path / "d", "a.png"), "project-1.json", [task(rectangle(), image=image)])
    reading = read_both(root)
    assert (reading.format, boxes_of(reading), told(reading)) == ("label-studio", {"a.png": DENTS}, {})


def test_label_studios_turned_boxes_polygons_and_choices_are_read(tmp_path):
    sizes = {"original_width": 160, "original_height": 120}
    points = {"points": [[12.5, 16.66667], [37.5, 30], [20, 41.66667]], "polygonlabels": ["dent"]}
    results = [
        {"type": "polygonlabels", "value": points, **sizes},
        # Turned by 90 degrees about its upper left corner, which is the upper right one then.
        rectangle(x=37.5, width=18.75, height=33.33333, rotation=90),
        {"type": "choices", "value": {"choices": ["scrap"]}},
    ]
    reading = read(write(pictures(tmp_path, "a.png"), "p.json", [task(*results)]))
    assert boxes_of(reading) == {"a.png": [("dent", DENT), ("dent", DENT)]}
    assert reading.dataset.samples[0].tags == ("scrap",)
    assert told(reading) == {"shape-box": 2}


@pytest.mark.parametrize("size", [0, False, -3])
def test_a_turned_box_of_label_studio_in_an_image_without_a_size_is_read_in_per_cent(tmp_path, size):
    turned = rectangle(rotation=90) | {"original_height": size}
    reading = read(write(pictures(tmp_path, "a.png"), "p.json", [task(turned)]))
    assert len(boxes_of(reading)["a.png"]) == 1


def test_tasks_that_nobody_finished_are_no_good_products(tmp_path):
    root = pictures(tmp_path, "a.png", "b.png", "c.png", "d.png")
    brush = {"type": "brushlabels", "value": {"rle": [1, 2], "format": "rle", "brushlabels": ["dent"]}}
    tasks = [
        task(rectangle()),
        task(image="b.png"),
        task(image="c.png", annotations=[]),
        task(brush, image="d.png"),
    ]
    reading = read(write(root, "p.json", tasks))
    assert boxes_of(reading) == {"a.png": DENTS, "b.png": []}
    assert told(reading) == {"lost-shape": 1, "labels-lost": 1, "unlisted-image": 1}


def test_the_latest_of_several_annotations_counts_and_that_is_told(tmp_path):
    old = {"result": [rectangle(x=50)], "updated_at": "2025-01-01T00:00:00Z"}
    new = {"result": [rectangle()], "updated_at": "2025-02-01T00:00:00Z"}
    reading = read(write(pictures(tmp_path, "a.png"), "p.json", [task(annotations=[new, old])]))
    assert (boxes_of(reading), told(reading)) == ({"a.png": DENTS}, {"other-job": 1})


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("filename,width,height,class,xmin,ymin,xmax,ymax\na.png,160,120,dent,20,20,60,50\n", {}),
        ("\ufefffilename;class;xmin;ymin;xmax;ymax\r\nimg\\A.PNG;dent;20;20;60;50\r\n", {}),
        ("image_path\tlabel\tx\ty\twidth\theight\nraw/a.png\tdent\t20\t20\t40\t30\n", {}),
        (
            "image,label,x_min,y_min,x_max,y_max,score,worker\na.png,dent,20,20,60,50,1,anna\n",
            {"extra-columns": 2},
        ),
        ("raw/a.png,20,20,60,50,dent\n", {}),
        ("dent,20,20,40,30,a.png,160,120\n", {}),
        ("Filename,Class,XMin,YMin,XMax,YMax\na.png,dent,60,50,20,20\n", {"swapped-corners": 1}),
    ],
)
def test_tables_of_boxes_are_read(tmp_path, text, kinds):
    reading = read_both(write(pictures(tmp_path / "d", "a.png"), "_annotations.csv", text))
    assert (reading.format, boxes_of(reading), told(reading)) == ("table", {"a.png": DENTS}, kinds)


def test_rows_without_a_box_are_labels_of_the_image_or_good_products(tmp_path):
    root = pictures(tmp_path, "a.png", "b.png", "c.png")
    rows = ("a.png,dent,20,20,60,50,train", "b.png,,,,,,val", "c.png,scrap,,,,,test")
    text = "\n".join(("filename,class,xmin,ymin,xmax,ymax,split", *rows))
    reading = read(write(root, "labels.csv", text))
    assert boxes_of(reading) == {"a.png": DENTS, "b.png": [], "c.png": []}
    assert [s.tags for s in reading.dataset.samples] == [(), (), ("scrap",)]
    assert [s.source_part for s in reading.dataset.samples] == ["train", "validation", "test"]


def test_a_column_for_each_class_gives_labels_of_the_image(tmp_path):
    root = write(
        pictures(tmp_path, "a.png", "b.png"), "_classes.csv", "filename, dent, good\na.png,1,0\nb.png,0,1\n"
    )
    reading = read(root)
    assert [s.tags for s in reading.dataset.samples] == [("dent",), ("good",)]


@pytest.mark.parametrize("row", ["a.png,,20,20,60,50", "a.png,dent,20,20,x,50", ",dent,20,20,60,50"])
def test_a_row_that_is_no_box_is_an_error(tmp_path, row):
    text = f"filename,class,xmin,ymin,xmax,ymax\nb.png,dent,20,20,60,50\n{row}\n"
    reading = read(write(pictures(tmp_path, "a.png", "b.png"), "l.csv", text))
    assert "bad-annotation" in errors(reading)


def test_imagefolder_is_read(tmp_path):
    root = pictures(tmp_path / "d", "train/a.png", "test/b.png")
    line = '{"file_name": "%s.png", "objects": {"bbox": [[20, 20, 40, 30]], "categories": [0]}}\n'
    write(root, "train/metadata.jsonl", line % "a")
    write(root, "test/metadata.jsonl", line % "b")
    reading = read_both(root)
    assert (reading.format, told(reading)) == ("imagefolder", {"no-class-names": 2})
    assert boxes_of(read(root, class_names=["dent"])) == {"train/a.png": DENTS, "test/b.png": DENTS}
    assert {s.source_part for s in reading.dataset.samples} == {"train", "test"}


def mvtec(root, **masks):
    pictures(root, "bottle/train/good/000.png", "bottle/test/good/000.png", "bottle/test/broken/000.png")
    pixels = np.zeros((120, 160), np.uint8)
    pixels[20:50, 20:60] = 255
    for name in masks.get("names", ("bottle/ground_truth/broken/000_mask.png",)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / name)
    return root


@pytest.mark.parametrize(
    "mask",
    ["ground_truth/broken/000_mask.png", "ground_truth/broken/000.png", "ground_truth/broken/000/000.png"],
)
def test_the_masks_of_mvtec_become_boxes(tmp_path, mask):
    reading = read_both(mvtec(tmp_path / "d", names=(f"bottle/{mask}",)))
    assert reading.format == "mvtec"
    assert boxes_of(reading) == {
        "bottle/test/broken/000.png": [("broken", DENT)],
        "bottle/test/good/000.png": [],
        "bottle/train/good/000.png": [],
    }
    assert told(reading) == {"shape-box": 1}
    assert [s.source_part for s in reading.dataset.samples] == ["test", "test", "train"]


def test_a_defect_of_mvtec_without_a_mask_keeps_its_label(tmp_path):
    root = mvtec(tmp_path)
    picture(root / "bottle/test/broken/001.png", 200)
    reading = read(root)
    assert told(reading) == {"shape-box": 1, "unplaced-defect": 1}


@pytest.mark.parametrize(
    ("names", "level"),
    [
        (("dent/1.jpg", "good/2.jpg"), 0),
        (("train/normal/1.jpg", "train/anomaly/2.jpg", "test/normal/3.jpg"), 1),
        (("OK/line-1/1.jpg", "NG/line-1/2.jpg"), 0),
        (("parts/images/dent/1.jpg", "parts/images/no_defect/2.jpg"), 2),
    ],
)
def test_folders_of_classes_give_labels_of_the_image(tmp_path, names, level):
    reading = read_both(pictures(tmp_path / "d", *names))
    assert reading.format == "folders"
    assert {s.name: s.tags for s in reading.dataset.samples} == {
        name: (name.split("/")[level],) for name in names
    }
    assert told(reading) == {"unplaced-defect": 1}


def test_a_table_in_the_code_page_of_the_west_is_read(tmp_path):
    text = "filename,class,xmin,ymin,xmax,ymax\nPrüf.png,Délaminage,20,20,60,50\n"
    reading = read(write(pictures(tmp_path, "Prüf.png"), "labels.csv", text.encode("cp1252")))
    assert boxes_of(reading) == {"Prüf.png": [("Délaminage", DENT)]}


def test_folders_that_may_be_lines_or_days_are_labels_only_if_the_user_says_so(tmp_path):
    root = pictures(tmp_path, "line-1/a.jpg", "line-2/b.jpg")
    with pytest.raises(DatasetError, match=r"2 images have no labels.*--format folders"):
        read(root)
    assert [s.tags for s in read(root, "folders").dataset.samples] == [("line-1",), ("line-2",)]
