"""YOLO, Ground Truth and Lookout for Vision are read as documented, and every error has its place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from training.datasets import DatasetError, open_dataset, read
from training.datasets.formats.masks import areas
from training.datasets.formats.yolo_lines import box_of


def picture(path: Path, size: tuple[int, int] = (200, 100), value: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)
    return path


def kinds(path: Path) -> list[str]:
    return [problem.kind for problem in read(path).problems]


@pytest.fixture
def yolo(tmp_path):
    root = tmp_path / "yolo"
    for index, part in enumerate(("train", "val")):
        picture(root / f"images/{part}/a.png", value=index)
        (root / f"labels/{part}").mkdir(parents=True)
        (root / f"labels/{part}/a.txt").write_text(f"{index} 0.5 0.5 0.5 0.2\n")
    (root / "data.yaml").write_text("path: .\ntrain: images/train\nnames: {0: dent, 1: scratch}\n")
    return root


def test_yolo_pairs_images_and_labels_of_one_name_in_their_own_folders(yolo):
    dataset = open_dataset(yolo)
    assert dataset.labels == ("dent", "scratch")
    assert [(s.name, s.objects[0].label) for s in dataset.samples] == [
        ("images/train/a.png", "dent"),
        ("images/val/a.png", "scratch"),
    ]
    assert dataset.samples[0].objects[0].box == (50, 40, 150, 60)


def test_yolo_polygons_become_the_boxes_around_them(yolo):
    (yolo / "labels/train/a.txt").write_text("1 0.1 0.2 0.5 0.9 0.3 0.1\n")
    assert open_dataset(yolo).samples[0].objects[0].box == pytest.approx((20, 10, 100, 90))


def test_yolo_key_points_after_a_box_are_ignored(yolo):
    (yolo / "data.yaml").write_text("names: [dent, scratch]\nkpt_shape: [2, 2]\n")
    (yolo / "labels/train/a.txt").write_text("0 0.5 0.5 0.5 0.2 0.9 0.9 0.1 0.1\n")
    assert open_dataset(yolo).samples[0].objects[0].box == (50, 40, 150, 60)


def test_yolo_without_yaml_uses_the_names_in_classes_txt(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("1 0.5 0.5 1 1\n")
    (tmp_path / "classes.txt").write_text("dent\nscratch\n")
    dataset = open_dataset(tmp_path)
    assert [obj.label for obj in dataset.samples[0].objects] == ["scratch"]


def test_a_yolo_image_without_labels_is_a_good_product(yolo):
    picture(yolo / "images/train/good.png", value=200)
    reading = read(yolo)
    assert {s.name: len(s.objects) for s in reading.dataset.samples}["images/train/good.png"] == 0
    assert reading.problems == []


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("2 0.5 0.5 0.5 0.2", "unknown-class", "class 2 is not among the 2 names"),
        ("-1 0.5 0.5 0.5 0.2", "unknown-class", "class -1"),
        ("0.5 0.5 0.5 0.5 0.2", "bad-annotation", "not a class with a box"),
        ("0 0.5 0.5", "bad-annotation", "not a class with a box"),
        ("0 0.5 0.5 0.2 0.2 7", "bad-annotation", "not a class with a box"),
        ("0 a b c d", "bad-annotation", "not a class with a box"),
        ("0 120 40 60 20", "bad-annotation", "not in 0..1"),
        ("0 nan 0.5 0.5 0.5", "bad-annotation", "numbers that are not finite"),
    ],
)
def test_a_bad_yolo_line_is_named_and_stops_strict_reading(yolo, line, kind, message):
    (yolo / "labels/train/a.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    problem = read(yolo).problems[0]
    assert (problem.kind, problem.file) == (kind, "labels/train/a.txt")
    assert problem.place in ("line 2", "box 2 (dent)")
    assert len(read(yolo).dataset.samples[0].objects) == 1
    with pytest.raises(DatasetError, match=rf"labels/train/a\.txt: (line|box) 2.*{message}"):
        open_dataset(yolo)


def test_yolo_labels_without_an_image_are_reported(yolo):
    (yolo / "labels/train/b.txt").write_text("0 0.5 0.5 0.5 0.2\n")
    (yolo / "labels/train/notes.txt").write_text("checked by the night shift\n")
    assert [(p.kind, p.file) for p in read(yolo).problems] == [("missing-image", "labels/train/b.txt")]


@pytest.mark.parametrize("names", ["names: 3", "names: {1: dent, 2: scratch}", "names:"])
def test_a_yolo_yaml_file_without_numbered_names_is_reported(yolo, names):
    (yolo / "data.yaml").write_text(names)
    with pytest.raises(DatasetError, match=r"data\.yaml.*names"):
        open_dataset(yolo)


@given(
    st.tuples(*[st.floats(0.01, 0.99)] * 2),
    st.tuples(*[st.floats(0.001, 1.0)] * 2),
)
def test_yolo_boxes_and_the_polygons_of_their_corners_are_the_same(centre, size):
    box = box_of([*centre, *size])
    x1, y1, x2, y2 = box
    assert box_of([x1, y1, x2, y1, x2, y2, x1, y2]) == box
    assert ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1) == pytest.approx((*centre, *size), abs=1e-12)


def ground_truth(root: Path, *lines: dict[str, object]) -> Path:
    (root / "output.manifest").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


def gt_line(
    image: str, boxes: list[dict[str, int]], job: str = "job", date: str = "2024-01-01"
) -> dict[str, object]:
    return {
        "source-ref": f"s3://factory/incoming/{image}",
        job: {"image_size": [{"width": 200, "height": 100, "depth": 1}], "annotations": boxes},
        f"{job}-metadata": {
            "class-map": {"0": "dent", "1": "scratch"},
            "type": "groundtruth/object-detection",
            "creation-date": date,
        },
    }


BOX = {"class_id": 1, "left": 20, "top": 10, "width": 30, "height": 40}


def test_ground_truth_boxes_are_left_top_width_height(tmp_path):
    picture(tmp_path / "line-1/a.png")
    reading = read(ground_truth(tmp_path, gt_line("line-1/a.png", [BOX])))
    assert reading.format == "ground-truth"
    assert reading.dataset.labels == ("dent", "scratch")
    assert [(o.label, o.box) for o in reading.dataset.samples[0].objects] == [("scratch", (20, 10, 50, 50))]
    assert reading.problems == []


def test_a_manifest_finds_the_image_with_the_longest_matching_path(tmp_path):
    picture(tmp_path / "line-1/a.png", value=1)
    picture(tmp_path / "line-2/a.png", value=2)
    dataset = read(ground_truth(tmp_path, gt_line("line-2/a.png", [BOX]))).dataset
    assert [sample.name for sample in dataset.samples] == ["line-2/a.png"]


def test_a_manifest_line_that_fits_several_images_equally_is_ambiguous(tmp_path):
    picture(tmp_path / "line-1/a.png", value=1)
    picture(tmp_path / "line-2/a.png", value=2)
    with pytest.raises(
        DatasetError, match=r"output\.manifest: line 1: .*any of line-1/a\.png, line-2/a\.png"
    ):
        open_dataset(ground_truth(tmp_path, gt_line("a.png", [BOX])))


def test_the_latest_job_of_a_line_counts(tmp_path):
    picture(tmp_path / "a.png")
    line = gt_line("a.png", [BOX], "first") | gt_line("a.png", [BOX, BOX], "adjusted", "2024-02-01")
    assert len(open_dataset(ground_truth(tmp_path, line)).samples[0].objects) == 2


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"source-ref": "s3://factory/gone.png"}, "missing-image"),
        ({"job": {"annotations": [BOX | {"class_id": 7}]}}, "unknown-class"),
        ({"job": {"annotations": [{"class_id": 1, "left": 3}]}}, "bad-annotation"),
        ({"job": {"annotations": "none"}}, "bad-annotation"),
        ({"job": None, "job-metadata": {"type": "groundtruth/object-detection"}}, "bad-annotation"),
        ({"job-metadata": None}, "bad-annotation"),
    ],
)
def test_a_bad_ground_truth_line_is_named(tmp_path, change, kind):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png", value=1)
    root = ground_truth(tmp_path, gt_line("a.png", [BOX]), gt_line("b.png", [BOX]) | change)
    problems = [problem for problem in read(root).problems if problem.severity == "error"]
    # Without its labels, the image is no good product: it is named, too.
    assert {p.file for p in problems[1:]} <= {"b.png"}
    assert [(p.kind, p.file, p.place) for p in problems[:1]] == [(kind, "output.manifest", "line 2")]


def test_a_manifest_line_that_is_not_json_is_named(tmp_path):
    picture(tmp_path / "a.png")
    root = ground_truth(tmp_path, gt_line("a.png", [BOX]))
    with (root / "output.manifest").open("a") as file:
        file.write("{broken\n[]\n")
    assert [(p.kind, p.place) for p in read(root).problems] == [
        ("bad-annotation", "line 2"),
        ("bad-annotation", "line 3"),
    ]


def lookout(root: Path, mask: np.ndarray | None, verdict: str = "anomaly") -> Path:
    picture(root / "images/a.png")
    line: dict[str, object] = {
        "source-ref": "s3://factory/images/a.png",
        "anomaly-label": 1,
        "anomaly-label-metadata": {"class-name": verdict, "type": "groundtruth/image-classification"},
    }
    if mask is not None:
        (root / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(root / "masks/a.png")
        line["anomaly-mask-ref"] = "s3://factory/masks/a.png"
        line["anomaly-mask-ref-metadata"] = {
            "internal-color-map": {
                "0": {"class-name": "BACKGROUND", "hex-color": "#ffffff"},
                "1": {"class-name": "scratch", "hex-color": "#2ca02c"},
                "2": {"class-name": "dent", "hex-color": "#1f77b4"},
            }
        }
    (root / "train.manifest").write_text(json.dumps(line) + "\n")
    return root


def white(width: int = 200, height: int = 100) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)


def test_each_connected_area_of_a_lookout_mask_becomes_a_box_with_the_label_of_its_colour(tmp_path):
    mask = white()
    mask[10:20, 30:60] = mask[50:60, 100:120] = (0x2C, 0xA0, 0x2C)
    mask[80:90, 150:199] = (0x1F, 0x77, 0xB4)
    reading = read(lookout(tmp_path, mask))
    assert reading.format == "lookout"
    assert reading.problems == []
    assert reading.dataset.labels == ("scratch", "dent")
    assert [(o.label, o.box) for o in reading.dataset.samples[0].objects] == [
        ("scratch", (30, 10, 60, 20)),
        ("scratch", (100, 50, 120, 60)),
        ("dent", (150, 80, 199, 90)),
    ]


def test_a_mask_drawn_on_a_smaller_copy_is_scaled_and_the_sizes_are_reported(tmp_path):
    mask = white(100, 50)
    mask[10:20, 30:60] = (0x2C, 0xA0, 0x2C)
    reading = read(lookout(tmp_path, mask))
    assert reading.dataset.samples[0].objects[0].box == pytest.approx((60, 20, 120, 40))
    assert [problem.kind for problem in reading.problems] == ["size-mismatch"]


@pytest.mark.parametrize("verdict", ["normal", "anomaly"])
def test_a_lookout_image_without_a_mask_keeps_its_verdict_as_a_tag(tmp_path, verdict):
    sample = open_dataset(lookout(tmp_path, None, verdict)).samples[0]
    assert (sample.objects, sample.tags) == ((), (verdict,))


def test_a_mask_with_a_colour_that_the_map_lacks_is_an_error(tmp_path):
    mask = white()
    mask[0, 0] = (200, 30, 90)
    with pytest.raises(DatasetError, match=r"masks/a\.png: has 1 colours .*#c81e5a"):
        open_dataset(lookout(tmp_path, mask))


@pytest.mark.parametrize("damage", ["mask", "no mask", "map", "verdict"])
def test_a_bad_lookout_line_is_reported(tmp_path, damage):
    root = lookout(tmp_path, white())
    line = json.loads((root / "train.manifest").read_text())
    if damage == "mask":
        (root / "masks/a.png").write_bytes(b"no picture")
    elif damage == "no mask":
        (root / "masks/a.png").unlink()
        line["anomaly-mask-ref"] = "s3://factory/masks/gone.png"
    elif damage == "map":
        del line["anomaly-mask-ref-metadata"]["internal-color-map"]["1"]["hex-color"]
    else:
        del line["anomaly-label-metadata"]
    (root / "train.manifest").write_text(json.dumps(line) + "\n")
    expected = {"mask": "unreadable-image", "no mask": "missing-image"}.get(damage, "bad-annotation")
    assert expected in kinds(root)
    with pytest.raises(DatasetError, match=r"train\.manifest|a\.png"):
        open_dataset(root)


@given(arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_areas_are_the_boxes_that_a_flood_fill_finds(mask):
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    boxes = []
    while left:
        waiting = [left.pop()]
        pixels = list(waiting)
        while waiting:
            y, x = waiting.pop()
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            waiting += near
            pixels += near
        rows, columns = [y for y, _ in pixels], [x for _, x in pixels]
        boxes.append((min(columns), min(rows), max(columns) + 1, max(rows) + 1))
    assert sorted(areas(mask)) == sorted(boxes)


def test_a_format_that_is_named_is_not_detected(yolo):
    (yolo / "annotations.json").write_text('{"images": [], "annotations": [], "categories": []}')
    assert len(open_dataset(yolo, "yolo").samples) == 2
    with pytest.raises(DatasetError, match="no data set in the format voc"):
        open_dataset(yolo, "voc")
    with pytest.raises(DatasetError, match="known are snapshot"):
        open_dataset(yolo, "tfrecord")
