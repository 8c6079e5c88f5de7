"""Masks: what importing keeps of them, what contradicts them, and the pixels that they mark."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.training.datasets.exports import (
    DENT,
    SIZE,
    boxes_of,
    class_job,
    errors,
    line,
    picture,
    read_both,
    told,
    write,
)
from training.datasets import DatasetError, open_dataset, read
from training.datasets.importing import Import, ImportOptions
from training.datasets.masks import defect_mask

GREEN, WHITE = (0x2C, 0xA0, 0x2C), (255, 255, 255)
COLOURS = {"BACKGROUND": "#ffffff", "dent": "#2ca02c"}


def entry(image: str, verdict: str, mask: str = "", colours=COLOURS) -> str:
    """A line of a Lookout manifest."""
    fields = class_job(verdict, "anomaly-label")
    if mask:
        names = {str(n): {"class-name": k, "hex-color": v} for n, (k, v) in enumerate(colours.items())}
        metadata = {"internal-color-map": names, "type": "groundtruth/semantic-segmentation"}
        fields |= {"anomaly-mask-ref": f"s3://b/{mask}", "anomaly-mask-ref-metadata": metadata}
    return line(f"s3://b/{image}", **fields)


def drawn(path, box=DENT, size=SIZE, background=WHITE, colour=GREEN, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, background)
    if box:
        image.paste(colour, box)
    image.convert(mode).save(path)
    return path


def box_of(mask) -> tuple[int, ...]:
    rows, columns = np.flatnonzero(mask.any(1)).tolist(), np.flatnonzero(mask.any(0)).tolist()
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def project(root, **mask):
    """A segmentation project: a normal image without a mask, and an anomaly with one."""
    picture(root / "good.png", 80)
    picture(root / "bad.png", 90)
    drawn(root / "masks/bad.png", **mask)
    return write(
        root, "train.manifest", entry("good.png", "normal") + entry("bad.png", "anomaly", "masks/bad.png")
    )


def sample_of(dataset, name):
    return next(sample for sample in dataset.samples if sample.name.endswith(name))


def test_an_anomaly_has_the_pixels_of_its_mask_and_a_good_product_has_none(tmp_path):
    dataset = read_both(project(tmp_path / "d")).dataset
    good, bad = sample_of(dataset, "good.png"), sample_of(dataset, "bad.png")
    assert (good.is_good, good.is_defective, good.mask) == (True, False, None)
    assert (bad.is_good, bad.is_defective, bad.mask) == (False, True, "masks/bad.png")
    assert not defect_mask(dataset, good).any()
    mask = defect_mask(dataset, bad)
    assert (mask.shape, mask.dtype, box_of(mask), mask.sum()) == ((120, 160), np.bool_, DENT, 40 * 30)


def test_a_defect_that_is_boxed_or_only_labelled_has_no_mask(tmp_path):
    picture(tmp_path / "bad.png")
    reading = read(write(tmp_path, "train.manifest", entry("bad.png", "anomaly")))
    sample = reading.dataset.samples[0]
    assert sample.is_defective
    assert defect_mask(reading.dataset, sample) is None


def test_masks_of_mvtec_mark_every_pixel_that_is_not_black(tmp_path):
    picture(tmp_path / "train/good/0.png", 70)
    picture(tmp_path / "test/good/0.png", 80)
    picture(tmp_path / "test/dent/0.png", 90)
    drawn(tmp_path / "ground_truth/dent/0_mask.png", background=(0, 0, 0), colour=(1, 1, 1), mode="L")
    dataset = read(tmp_path).dataset
    assert box_of(defect_mask(dataset, sample_of(dataset, "dent/0.png"))) == DENT


def test_several_masks_of_one_image_are_joined(tmp_path):
    picture(tmp_path / "train/good/0.png", 70)
    picture(tmp_path / "test/dent/0.png", 90)
    for number, box in enumerate([(0, 0, 10, 10), (100, 100, 110, 110)]):
        drawn(
            tmp_path / f"ground_truth/dent/0/{number}.png", box, background=(0, 0, 0), colour=WHITE, mode="L"
        )
    dataset = read(tmp_path).dataset
    mask = defect_mask(dataset, sample_of(dataset, "dent/0.png"))
    assert (box_of(mask), mask.sum()) == ((0, 0, 110, 110), 200)


def test_a_mask_of_a_smaller_copy_is_stretched_over_its_image_and_that_is_told(tmp_path):
    reading = read(project(tmp_path, size=(80, 60), box=(10, 10, 30, 25)))
    sample = sample_of(reading.dataset, "bad.png")
    assert box_of(defect_mask(reading.dataset, sample)) == DENT
    assert (boxes_of(reading)["bad.png"], told(reading)) == ([("dent", DENT)], {"size-mismatch": 1})


def test_a_mvtec_mask_of_a_smaller_copy_has_its_boxes_in_the_image(tmp_path):
    picture(tmp_path / "train/good/0.png", 70)
    picture(tmp_path / "test/dent/0.png", 90)
    drawn(tmp_path / "ground_truth/dent/0.png", (10, 10, 30, 25), (80, 60), (0, 0, 0), WHITE, "L")
    reading = read(tmp_path)
    assert boxes_of(reading)["test/dent/0.png"] == [("dent", DENT)]


def test_a_mask_of_another_shape_than_its_picture_is_an_error(tmp_path):
    reading = read(project(tmp_path, size=(100, 100)))
    assert errors(reading) == ["mask-shape"]


def test_a_mask_on_the_stored_pixels_of_a_turned_image_is_turned_with_it(tmp_path):
    drawn(tmp_path / "masks/1.png")
    picture(tmp_path / "1.jpg", orientation=6)
    dataset = read(write(tmp_path, "t.manifest", entry("1.jpg", "anomaly", "masks/1.png"))).dataset
    mask = defect_mask(dataset, dataset.samples[0])
    assert (mask.shape, box_of(mask)) == ((160, 120), (70, 20, 100, 60))


def test_a_mask_with_a_defect_on_a_normal_image_makes_it_no_good_product_and_is_told(tmp_path):
    picture(tmp_path / "1.png")
    drawn(tmp_path / "masks/1.png")
    reading = read(write(tmp_path, "t.manifest", entry("1.png", "normal", "masks/1.png")))
    sample = reading.dataset.samples[0]
    assert (sample.is_good, box_of(defect_mask(reading.dataset, sample))) == (False, DENT)
    assert told(reading) == {"contradiction": 1}


def test_an_empty_mask_of_a_normal_image_is_no_contradiction(tmp_path):
    picture(tmp_path / "1.png")
    drawn(tmp_path / "masks/1.png", box=None)
    reading = read(write(tmp_path, "t.manifest", entry("1.png", "normal", "masks/1.png")))
    assert (reading.dataset.samples[0].is_good, told(reading)) == (True, {})


def test_a_mask_of_mvtec_with_a_defect_on_a_good_image_is_told_and_one_without_is_not(tmp_path):
    picture(tmp_path / "train/good/0.png", 70)
    for number in range(2):
        picture(tmp_path / f"test/good/{number}.png", 80 + number)
        drawn(
            tmp_path / f"ground_truth/good/{number}_mask.png",
            DENT if number else None,
            SIZE,
            (0, 0, 0),
            WHITE,
            "L",
        )
    reading = read(tmp_path)
    good = {sample.name: sample.is_good for sample in reading.dataset.samples}
    assert good == {"test/good/0.png": True, "test/good/1.png": False, "train/good/0.png": True}
    assert told(reading)["contradiction"] == 1


@pytest.mark.parametrize(
    "mask",
    [
        "masks/2.png",
        "ground_truth/dent/2.png",
        "mask/dent/2_mask.png",
        "dent/2_mask.png",
        "train/masks/2.png",
    ],
)
def test_masks_beside_folders_of_classes_are_no_products(tmp_path, mask):
    for number, name in enumerate(["good/1", "good/2", "dent/2", "dent/3"]):
        picture(tmp_path / "d" / f"{name}.png", 60 + number)
    drawn(tmp_path / "d" / mask, DENT, SIZE, (0, 0, 0), WHITE, "L")
    reading = read_both(tmp_path / "d")
    assert reading.format == "folders"
    assert boxes_of(reading) == {
        "dent/2.png": [("dent", DENT)],
        "dent/3.png": [],
        "good/1.png": [],
        "good/2.png": [],
    }
    assert box_of(defect_mask(reading.dataset, sample_of(reading.dataset, "dent/2.png"))) == DENT
    assert told(reading) == {"shape-box": 1, "unplaced-defect": 1}


def test_a_mask_that_may_belong_to_several_images_is_told_and_belongs_to_none(tmp_path):
    for number, name in enumerate(["good/1", "dent/2", "scratch/2"]):
        picture(tmp_path / f"{name}.png", 60 + number)
    for name in ("2", "9"):
        drawn(tmp_path / f"masks/{name}.png", DENT, SIZE, (0, 0, 0), WHITE, "L")
    reading = read(tmp_path)
    assert not any(sample.masks for sample in reading.dataset.samples)
    assert told(reading)["mask-without-image"] == 2
    assert len(reading.dataset.samples) == 3


def test_a_mask_of_mvtec_without_a_picture_is_told(tmp_path):
    picture(tmp_path / "train/good/0.png", 70)
    for name in ("dent/0", "dent/1"):
        drawn(tmp_path / f"ground_truth/{name}_mask.png", DENT, SIZE, (0, 0, 0), WHITE, "L")
    picture(tmp_path / "test/dent/0.png", 90)
    reading = read(tmp_path)
    problem = next(problem for problem in reading.problems if problem.kind == "mask-without-image")
    assert (problem.file, errors(reading)) == ("ground_truth/dent/1_mask.png", [])


@pytest.mark.parametrize("data", [b"", b"no picture", "cut", "too large"])
def test_a_mask_that_cannot_be_read_is_an_error_with_its_name(tmp_path, monkeypatch, data):
    root = project(tmp_path)
    mask = root / "masks/bad.png"
    if data == "too large":
        monkeypatch.setattr("training.datasets.formats.masks.MAX_PIXELS", 1000)
    else:
        mask.write_bytes(mask.read_bytes()[:60] if data == "cut" else data)
    reading = read(root)
    assert [p.file for p in reading.problems if p.severity == "error"] == ["masks/bad.png"]
    assert [sample.name for sample in reading.dataset.samples] == ["good.png"]


def test_a_snapshot_keeps_the_masks_where_they_are(tmp_path):
    root = project(tmp_path / "d")
    report = Import(ImportOptions(str(root), "default", str(tmp_path / "out"))).run()
    dataset = open_dataset(report.written_to)
    sample = sample_of(dataset, "bad.png")
    assert box_of(defect_mask(dataset, sample)) == DENT
    assert sample.mask == (root / "masks/bad.png").resolve().as_uri()
    assert [path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()] == [".json"]
    again = Import(
        ImportOptions(str(root), "default", str(tmp_path / "out"), previous=report.written_to)
    ).run()
    assert again.is_unchanged


def test_the_report_counts_the_images_with_a_mask_where_there_are_any(tmp_path):
    report = Import(ImportOptions(str(project(tmp_path / "d")), "default", "")).run()
    assert report.document()["masks"]["all"] == 1
    assert "images with a mask" in report.text()
    picture(tmp_path / "e/normal/1.png")
    plain = Import(ImportOptions(str(tmp_path / "e"), "default", "", format="folders")).run()
    assert "mask" not in plain.text()


def test_a_snapshot_names_its_masks_only_where_there_are_any(tmp_path):
    report = Import(ImportOptions(str(project(tmp_path / "d")), "default", str(tmp_path / "out"))).run()
    images = json.loads(Path(report.written_to).read_text())["images"]
    assert sorted("masks" in image for image in images) == [False, True]


def test_another_mask_makes_another_snapshot(tmp_path):
    root = project(tmp_path / "d")
    first = Import(ImportOptions(str(root), "default", str(tmp_path / "out"))).run()
    drawn(root / "masks/bad.png").write_bytes((root / "masks/bad.png").read_bytes() + b"\0")
    second = Import(
        ImportOptions(str(root), "default", str(tmp_path / "out"), previous=first.written_to)
    ).run()
    assert (second.is_unchanged, second.snapshot == first.snapshot) == (False, False)


def test_a_mask_that_changed_since_the_snapshot_is_named(tmp_path):
    root = project(tmp_path / "d")
    report = Import(ImportOptions(str(root), "default", str(tmp_path / "out"))).run()
    dataset = open_dataset(report.written_to)
    drawn(root / "masks/bad.png", box=(0, 0, 5, 5))
    with pytest.raises(DatasetError, match=r"masks/bad\.png: was altered"):
        defect_mask(dataset, sample_of(dataset, "bad.png"))


def test_test_images_of_the_previous_snapshot_keep_their_masks(tmp_path):
    root = project(tmp_path / "d")
    (root / "train.manifest").rename(root / "test.manifest")
    picture(root / "more.png", 60)
    write(root, "train.manifest", entry("more.png", "normal"))
    first = Import(ImportOptions(str(root), "default", str(tmp_path / "out"))).run()
    (tmp_path / "e").mkdir()
    for value in range(3):
        picture(tmp_path / f"e/{value}.png", value)
    write(tmp_path / "e", "x.manifest", "".join(entry(f"{value}.png", "normal") for value in range(3)))
    second = Import(
        ImportOptions(str(tmp_path / "e"), "default", str(tmp_path / "out"), previous=first.written_to)
    ).run()
    dataset = open_dataset(second.written_to)
    tested = [sample for sample in dataset.samples if sample.is_defective]
    assert [box_of(defect_mask(dataset, sample)) for sample in tested] == [DENT]


def test_an_import_into_s3_puts_the_masks_beside_the_images(bucket, tmp_path):
    root = project(tmp_path / "d")
    report = Import(ImportOptions(str(root), "default", "s3://factory/labelled")).run()
    keys = [item["Key"] for item in bucket.list_objects_v2(Bucket="factory")["Contents"]]
    folders = sorted(key.rpartition("/")[0] for key in keys)
    assert folders == ["labelled/images"] * 2 + ["labelled/masks", "labelled/snapshots/default"]
    dataset = open_dataset(report.written_to)
    sample = next(sample for sample in dataset.samples if sample.is_defective)
    (root / "masks/bad.png").unlink()
    assert box_of(defect_mask(dataset, sample)) == DENT
