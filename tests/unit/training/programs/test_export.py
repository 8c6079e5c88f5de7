"""`loupe export` writes a snapshot for other tools, and `loupe import` reads back exactly what it wrote."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import yaml
from defusedxml import ElementTree
from PIL import Image

from tests.unit.training.programs.imports_support import document as imported
from training import export as program
from training.datasets import Dataset, open_dataset
from training.datasets.export import EXPORTS
from training.datasets.export import place as places
from training.datasets.importing import Import, ImportOptions

LABELS = ["scratch", "dent", "rolled-in scale"]
EXACT = ["jumpstart", "coco", "yolo", "voc"]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Return the exit status, and what was written to standard output and standard error."""
    capsys.readouterr()
    status = program.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def noise(path: Path, seed: int, size: tuple[int, int], **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of 16 images with odd names, fractions of pixels, many objects and none, and parts of its own."""
    root = tmp_path_factory.mktemp("snapshot")
    source, rng = root / "source", np.random.default_rng(4)
    images, annotations = [], []
    names = ["a b.png", "ü.jpg", "Same.JPG", "sub/same.jpg", "SAME.png", "x.y.png", "0.png", "#%20.png"]
    for number, name in enumerate([*names, *(f"n{n}.png" for n in range(8))]):
        size = (50 + number, 40)
        noise(source / name, number, size, **({"quality": 92} if name.lower().endswith("jpg") else {}))
        part = ("train", "train", "validation", "test")[number % 4]
        images.append({"id": number, "file_name": name, "width": size[0], "height": 40, "split": part})
        for _ in range(number % 5):
            # Every other box is in whole pixels.
            box = rng.uniform(1, 19, 4).round(0 if len(annotations) % 2 else 20).tolist()
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": len(annotations) % 3 + 1,
                    "bbox": box,
                }
            )
    categories = [{"id": number, "name": label} for number, label in enumerate(LABELS, start=1)]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    (source / "annotations.json").write_text(json.dumps(coco))
    report = Import(ImportOptions(str(source), "default", str(root / "out"))).run()
    assert report.written_to
    return Path(report.written_to)


def content(dataset: Dataset, digits: int) -> list[object]:
    """Return what a model sees of a data set, boxes rounded to so many digits of a pixel."""
    return sorted(
        (
            item.sha256,
            item.belongs_to(),
            (item.width, item.height),
            [(obj.label, *(round(edge, digits) for edge in obj.box)) for obj in item.objects],
        )
        for item in dataset.samples
    )


@pytest.mark.promise(34)
@pytest.mark.parametrize("kind", EXPORTS)
def test_what_was_exported_is_imported_again_with_the_same_images_boxes_classes_and_parts(
    capsys, snapshot, tmp_path, kind
):
    status, _, err = run(capsys, "--format", kind, snapshot, tmp_path / "out")
    assert (status, err) == (0, "")
    report = imported(capsys, tmp_path / "out", "--out", tmp_path / "again")
    before, after = open_dataset(snapshot), open_dataset(report["written_to"])
    # RecordIO has single precision.
    digits = 4 if kind == "recordio" else 9
    assert content(after, digits) == content(before, digits)
    assert sorted(after.labels) == sorted(before.labels)
    if kind != "voc":
        assert after.labels == before.labels
    assert (report["split"]["by"], report["split"]["moved"], report["left_out"]) == ("source", [], [])


@pytest.mark.promise(34)
@pytest.mark.parametrize("kind", ["jumpstart", "coco"])
def test_formats_with_pixels_give_every_box_back_to_the_last_bit(capsys, snapshot, tmp_path, kind):
    run(capsys, "--format", kind, snapshot, tmp_path / "out")
    report = Import(ImportOptions(str(tmp_path / "out"), "default", "")).run()
    boxes = {item.sha256: item.objects for item in report.dataset.samples}
    assert boxes == {item.sha256: item.objects for item in open_dataset(snapshot).samples}


def test_jumpstart_gets_corners_bare_names_and_no_categories_for_each_part(capsys, snapshot, tmp_path):
    run(capsys, "--format", "jumpstart", snapshot, tmp_path / "out")
    dataset = open_dataset(snapshot)
    for part in ("train", "validation", "test"):
        coco = json.loads((tmp_path / "out" / part / "annotations.json").read_text())
        assert set(coco) == {"images", "annotations"}
        assert {frozenset(image) for image in coco["images"]} == {
            frozenset({"file_name", "height", "width", "id"})
        }
        assert {frozenset(entry) for entry in coco["annotations"]} == {
            frozenset({"image_id", "bbox", "category_id"})
        }
        files = {path.name for path in (tmp_path / "out" / part / "images").iterdir()}
        assert {image["file_name"] for image in coco["images"]} == files
        boxes = sorted(tuple(entry["bbox"]) for entry in coco["annotations"])
        assert boxes == sorted(obj.box for item in dataset.part(part).samples for obj in item.objects)
    assert (tmp_path / "out/classes.txt").read_text().splitlines() == LABELS


def test_yolo_is_what_ultralytics_reads(capsys, snapshot, tmp_path):
    run(capsys, "--format", "yolo", snapshot, tmp_path / "out")
    settings = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert settings["names"] == dict(enumerate(LABELS))
    for name, part in (("train", "train"), ("val", "validation"), ("test", "test")):
        images = {path.stem for path in (tmp_path / "out" / settings[name]).iterdir()}
        texts = {path.stem for path in (tmp_path / "out/labels" / name).iterdir()}
        assert images == texts
        assert len(images) == len(open_dataset(snapshot).part(part).samples)
    lines = [
        line.split()
        for path in (tmp_path / "out/labels").rglob("*.txt")
        for line in path.read_text().splitlines()
    ]
    assert all(len(line) == 5 and all(0 <= float(value) <= 1 for value in line[1:]) for line in lines)


def test_voc_counts_whole_pixels_from_1(capsys, drawn, tmp_path):
    report = Import(ImportOptions(str(drawn / "source"), "default", str(tmp_path / "d"))).run()
    run(capsys, "--format", "voc", report.written_to, tmp_path / "out")
    boxes = {tuple(int(edge.text) for edge in box)
             for path in (tmp_path / "out/Annotations").iterdir()
             for box in ElementTree.parse(path).iter("bndbox")}  # fmt: skip
    assert boxes == {
        (int(x1) + 1, int(y1) + 1, int(x2), int(y2))
        for item in open_dataset(report.written_to).samples
        for x1, y1, x2, y2 in (obj.box for obj in item.objects)
    }


@pytest.mark.parametrize("kind", ["jumpstart", "recordio"])
def test_pictures_that_a_tool_does_not_open_become_upright_png(capsys, tmp_path, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(tmp_path / "source/turned.jpg", 1, (60, 40), exif=exif)
    noise(tmp_path / "source/other.bmp", 2, (50, 40))
    images = [
        {"id": 1, "file_name": "turned.jpg", "width": 40, "height": 60},
        {"id": 2, "file_name": "other.bmp"},
    ]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [5, 6, 7, 8]} for n in (1, 2)]
    coco = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "dent"}]}
    (tmp_path / "source/annotations.json").write_text(json.dumps(coco))
    report = Import(ImportOptions(str(tmp_path / "source"), "default", str(tmp_path / "d"))).run()
    assert run(capsys, "--format", kind, report.written_to, tmp_path / "out")[0] == 0
    again = Import(ImportOptions(str(tmp_path / "out"), "default", "")).run().dataset
    assert sorted((item.width, item.height) for item in again.samples) == [(40, 60), (50, 40)]
    assert {obj.box for item in again.samples for obj in item.objects} == {(5.0, 6.0, 12.0, 14.0)}
    assert {again.read(item)[:4] for item in again.samples} == {b"\x89PNG"}


@pytest.mark.promise(34)
def test_an_image_of_a_defect_without_a_box_is_left_out_and_told(capsys, tmp_path):
    for number, folder in enumerate(["good", "good", "dent"]):
        noise(tmp_path / "source" / folder / f"{number}.png", number, (40, 40))
    report = Import(ImportOptions(str(tmp_path / "source"), "default", str(tmp_path / "d"))).run()
    status, out, _ = run(capsys, "--format", "coco", report.written_to, tmp_path / "out")
    assert status == 0
    assert "left out: 1 image that shows a defect without a box: coco has boxes only" in out
    coco = json.loads((tmp_path / "out/annotations.json").read_text())
    assert {image["file_name"] for image in coco["images"]} == {"images/0.png", "images/1.png"}


def test_the_json_document_says_what_was_written(capsys, snapshot, tmp_path):
    status, out, err = run(capsys, "--json", "--format", "yolo", snapshot, tmp_path / "out")
    dataset = open_dataset(snapshot)
    assert (status, err) == (0, "")
    assert json.loads(out) == {
        "format": "yolo",
        "source": str(snapshot),
        "snapshot": dataset.snapshot_id,
        "out": str(tmp_path / "out"),
        "files": [str(tmp_path / "out/data.yaml")],
        "images": 16,
        "objects": sum(len(item.objects) for item in dataset.samples),
        "labels": LABELS,
        "parts": {"train": 8, "validation": 4, "test": 4},
        "left_out": 0,
    }


def test_the_folder_that_import_wrote_to_stands_for_its_newest_snapshot(capsys, snapshot, drawn, tmp_path):
    out = snapshot.parents[2]
    for place in (out, out / "snapshots", out / "snapshots/default", snapshot):
        _, text, _ = run(capsys, "--json", "--format", "coco", place, tmp_path / str(len(place.parts)))
        assert json.loads(text)["source"] == str(snapshot)
    old, new = (tmp_path / f"d/snapshots/default/{digit * 16}.json" for digit in "ab")
    old.parent.mkdir(parents=True)
    for path, time in ((new, 2000), (old, 1000)):
        path.write_bytes(snapshot.read_bytes())
        os.utime(path, (time, time))
    _, text, _ = run(capsys, "--json", "--format", "coco", tmp_path / "d", tmp_path / "newest")
    assert json.loads(text)["source"] == str(new)


def test_several_data_sets_in_one_place_are_named(capsys, snapshot, tmp_path):
    for name in ("a", "b"):
        path = tmp_path / "d/snapshots" / name / snapshot.name
        path.parent.mkdir(parents=True)
        path.write_bytes(snapshot.read_bytes())
    status, out, err = run(capsys, "--format", "coco", tmp_path / "d", tmp_path / "out")
    assert (status, out) == (1, "")
    assert err.splitlines() == [
        f"loupe: {tmp_path}/d has snapshots of several data sets: a, b",
        f"       Name one: {tmp_path}/d/snapshots/a",
    ]


def test_a_place_without_a_snapshot_is_an_error_with_what_to_do(capsys, drawn, tmp_path):
    status, _, err = run(capsys, "--format", "coco", drawn / "source", tmp_path / "out")
    assert status == 1
    assert err.splitlines() == [
        f"loupe: {drawn}/source contains no snapshot",
        f"       Import the images first: loupe import {drawn}/source",
    ]
    status, _, err = run(capsys, "--format", "coco", tmp_path / "nowhere", tmp_path / "out")
    assert (status, err.splitlines()[0]) == (1, f"loupe: {tmp_path}/nowhere: no such file or folder")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_left_as_it_is(capsys, snapshot, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    status, _, err = run(capsys, "--format", "coco", snapshot, tmp_path / "out")
    assert (status, "is not empty: an export needs a new folder" in err) == (1, True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_stop_leaves_nothing_and_says_so(capsys, snapshot, tmp_path, monkeypatch, exists):
    if exists:
        (tmp_path / "out").mkdir()
    read, seen = Dataset.read, []

    def stopped(self, item):
        seen.append(item)
        if len(seen) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return read(self, item)

    monkeypatch.setattr(Dataset, "read", stopped)
    status, out, err = run(capsys, "--format", "yolo", snapshot, tmp_path / "out")
    assert (status, out) == (130, "")
    assert err.splitlines() == [
        "loupe: stopped; nothing was written",
        "       The same command starts again.",
    ]
    assert list(tmp_path.rglob("*")) == ([tmp_path / "out"] if exists else [])


def test_what_a_killed_export_left_is_replaced(capsys, snapshot, tmp_path):
    (tmp_path / "out" / places._INCOMPLETE / "images").mkdir(parents=True)
    assert run(capsys, "--format", "coco", snapshot, tmp_path / "out")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["annotations.json", "images"]


def test_an_unknown_format_is_a_wrong_command_line(capsys, snapshot, tmp_path):
    with pytest.raises(SystemExit) as caught:
        program.main(["--format", "pascal", str(snapshot), str(tmp_path / "out")])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("loupe: argument --format: invalid choice: 'pascal'")
    assert list(program.FORMATS) == list(EXPORTS)


def test_a_snapshot_in_s3_is_exported_by_its_uri_or_its_prefix(capsys, drawn, bucket, tmp_path):
    report = imported(capsys, drawn / "source", "--out", "s3://factory/data")
    for place in (report["written_to"], "s3://factory/data", "s3://factory/data/snapshots/default/"):
        out = tmp_path / hashlib.sha256(place.encode()).hexdigest()
        status, text, _ = run(capsys, "--json", "--format", "coco", place, out)
        assert (status, json.loads(text)["source"]) == (0, report["written_to"])
        assert len(list((out / "images").iterdir())) == 30
    status, _, err = run(capsys, "--format", "coco", "s3://factory/nothing", tmp_path / "out")
    assert (status, "s3://factory/nothing contains no snapshot" in err) == (1, True)


@pytest.mark.skipif("LOUPE_NEU_DET" not in os.environ, reason="LOUPE_NEU_DET does not name NEU-DET.zip")
def test_neu_det_goes_to_jumpstart_and_back(capsys, tmp_path):
    first = imported(capsys, os.environ["LOUPE_NEU_DET"], "--out", tmp_path / "d")
    assert run(capsys, "--format", "jumpstart", tmp_path / "d", tmp_path / "out")[0] == 0
    again = Import(ImportOptions(str(tmp_path / "out"), "default", "")).run()
    assert again.format == "jumpstart"
    before = open_dataset(first["written_to"])
    assert content(again.dataset, 9) == content(before, 9)
    assert again.dataset.labels == before.labels
