"""Folders, zips and S3 give the same data set, and every problem of a source is reported."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.datasets import DatasetError, Problem, open_dataset, read
from training.datasets.export import write_recordio
from training.datasets.generated.synthetic import generate

BOX = {"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 10, 5]}


def coco(root: Path, **changes: object) -> Path:
    root.mkdir(exist_ok=True)
    Image.new("RGB", (40, 20)).save(root / "a.png")
    document = {
        "images": [{"id": 7, "file_name": "a.png", "width": 40, "height": 20}],
        "annotations": [BOX],
        "categories": [{"id": 2, "name": "dent"}],
    } | changes
    (root / "annotations.json").write_text(json.dumps(document))
    return root


def voc(root: Path, name: str, label: str = "dent", folder: str = "", filename: str = "") -> Path:
    (root / "xml" / folder).mkdir(parents=True, exist_ok=True)
    (root / "xml" / folder / f"{name}.xml").write_text(
        f"<annotation><filename>{filename}</filename><object><name>{label}</name><bndbox><xmin>1</xmin>"
        "<ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
    )
    return root


def image(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (40, 20), value).save(path)
    return path


def errors(path: Path) -> list[Problem]:
    return [problem for problem in read(path).problems if problem.severity == "error"]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"categories": None}, "no-categories"),
        ({"categories": []}, "no-categories"),
        ({"categories": [{"id": "two", "name": "dent"}]}, "bad-annotation"),
        ({"annotations": [BOX | {"category_id": 9}]}, "unknown-class"),
        ({"annotations": [BOX | {"image_id": 8}]}, "bad-annotation"),
        ({"annotations": [BOX | {"image_id": 7.5}]}, "bad-annotation"),
        ({"annotations": [BOX | {"bbox": [1, 2, "x", 4]}]}, "bad-annotation"),
        ({"annotations": [BOX | {"bbox": [1, 2, float("inf"), 4]}]}, "bad-annotation"),
        ({"annotations": [3]}, "bad-annotation"),
        ({"images": [{"id": 7}]}, "bad-annotation"),
        ({"images": [{"id": 7, "file_name": "a.png"}] * 2}, "bad-annotation"),
        ({"images": [{"id": 7, "file_name": "../gone.png"}]}, "missing-image"),
        ({"images": [], "annotations": []}, "empty"),
    ],
)
def test_coco_problems_have_a_kind_and_stop_strict_reading(tmp_path, changes, kind):
    root = coco(tmp_path / "c", **changes)
    assert errors(root)[0].kind == kind
    with pytest.raises(DatasetError, match=r"annotations\.json|a\.png|c: contains no"):
        open_dataset(root)


def test_coco_ids_may_be_digits_in_strings(tmp_path):
    root = coco(
        tmp_path / "c",
        images=[{"id": "7", "file_name": "a.png"}],
        annotations=[BOX | {"image_id": "7", "category_id": "2"}],
        categories=[{"id": "2", "name": "dent"}],
    )
    assert [obj.label for obj in open_dataset(root).samples[0].objects] == ["dent"]


def test_boxes_partly_outside_are_clipped_and_boxes_without_area_dropped_and_both_are_reported(tmp_path):
    boxes = ([30, 10, 100, 100], [50, 5, 4, 4], [5, 5, 0, 3], [0, 0, 40.4, 20])
    reading = read(coco(tmp_path / "c", annotations=[BOX | {"bbox": box} for box in boxes]))
    assert [(p.kind, p.file, p.place) for p in reading.problems] == [
        ("box-outside", "a.png", "box 1 (dent)"),
        ("zero-area-box", "a.png", "box 2 (dent)"),
        ("zero-area-box", "a.png", "box 3 (dent)"),
    ]
    assert [o.box for o in reading.dataset.samples[0].objects] == [(30, 10, 40, 20), (0, 0, 40, 20)]
    assert reading.dataset.dropped_boxes == 2


def test_a_size_in_the_labels_that_differs_from_the_images_is_reported(tmp_path):
    reading = read(coco(tmp_path / "c", images=[{"id": 7, "file_name": "a.png", "width": 20, "height": 40}]))
    assert [(p.kind, p.file) for p in reading.problems] == [("size-mismatch", "a.png")]


def test_an_image_without_labels_is_reported_and_not_imported(tmp_path):
    root = coco(tmp_path / "c")
    image(root / "b.png")
    reading = read(root)
    assert [(p.kind, p.file) for p in reading.problems] == [("unlisted-image", "b.png")]
    assert [sample.name for sample in reading.dataset.samples] == ["a.png"]


def test_lenient_reading_keeps_the_good_images_and_names_every_error(tmp_path):
    root = tmp_path / "v"
    for name in ("good", "cut", "gone", "broken"):
        voc(root, name)
    for name in ("good", "broken"):
        image(root / f"img/{name}.png")
    (root / "img/cut.png").write_bytes(b"\x89PNG\r\n")
    (root / "xml/broken.xml").write_text("<annotation")
    reading = read(root)
    assert [sample.name for sample in reading.dataset.samples] == ["img/good.png"]
    assert sorted((p.kind, p.file) for p in reading.problems if p.severity == "error") == [
        ("bad-annotation", "xml/broken.xml"),
        ("missing-image", "xml/gone.xml"),
        ("unreadable-image", "img/cut.png"),
    ]


def test_of_several_images_of_one_name_the_nearest_belongs_to_a_voc_file(tmp_path):
    for part, value in (("train", 1), ("val", 2)):
        image(tmp_path / f"{part}/img/1.png", value)
        (tmp_path / part / "xml").mkdir()
        voc(tmp_path / part, "1", label=part)
    labels = {sample.name: sample.objects[0].label for sample in open_dataset(tmp_path).samples}
    assert labels == {"train/img/1.png": "train", "val/img/1.png": "val"}


def test_several_images_that_fit_a_voc_file_equally_are_an_error(tmp_path):
    image(tmp_path / "a/1.png")
    image(tmp_path / "b/1.png")
    with pytest.raises(
        DatasetError, match=r"xml/1\.xml: has several images of the same name: a/1\.png, b/1\.png"
    ):
        open_dataset(voc(tmp_path, "1"))
    image(tmp_path / "a/1.bmp")
    assert open_dataset(voc(tmp_path, "1", filename="1.bmp")).samples[0].name == "a/1.bmp"


@pytest.mark.parametrize(
    "name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "C:\\evil.png", "\\\\h\\x.png"]
)
def test_a_zip_with_a_name_that_leads_outside_it_is_refused(tmp_path, name):
    root = coco(tmp_path / "c")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        for path in root.iterdir():
            archive.write(path, path.name)
        archive.writestr(name, b"x")
    with pytest.raises(DatasetError, match=r"bad\.zip: .*leads out of the zip"):
        open_dataset(tmp_path / "bad.zip")
    reading = read(tmp_path / "bad.zip")
    assert [problem.kind for problem in reading.problems] == ["unsafe-name"]
    assert len(reading.dataset.samples) == 1


def test_files_that_a_mac_adds_to_a_zip_are_ignored(tmp_path):
    root = coco(tmp_path / "c")
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as archive:
        for path in root.iterdir():
            archive.write(path, f"c/{path.name}")
        for name in ("__MACOSX/c/._a.png", "c/.DS_Store", "__MACOSX/c/._annotations.json"):
            archive.writestr(name, b"x")
    assert read(tmp_path / "mac.zip").problems == []


def test_a_link_to_outside_the_folder_is_refused_and_one_inside_is_followed(tmp_path):
    root = coco(tmp_path / "c")
    (root / "inside.png").symlink_to("a.png")
    outside = image(tmp_path / "secret.png")
    (root / "outside.png").symlink_to(outside)
    with pytest.raises(DatasetError, match=r"outside\.png: links to outside"):
        open_dataset(root)
    (root / "outside.png").unlink()
    (tmp_path / "other").mkdir()
    (root / "outside").symlink_to(tmp_path / "other")
    assert [problem.kind for problem in errors(root)] == ["outside-link"]
    (root / "outside").unlink()
    assert [(p.kind, p.file) for p in read(root).problems] == [("unlisted-image", "inside.png")]


def test_an_empty_folder_and_an_empty_zip_are_refused(tmp_path):
    (tmp_path / "e").mkdir()
    with zipfile.ZipFile(tmp_path / "e.zip", "w"):
        pass
    for name in ("e", "e.zip"):
        with pytest.raises(DatasetError, match="is empty"):
            read(tmp_path / name)


def test_a_damaged_zip_member_is_named(tmp_path):
    root = coco(tmp_path / "c")
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for path in sorted(root.iterdir()):
            archive.write(path, path.name)
    data = bytearray((tmp_path / "d.zip").read_bytes())
    begin = data.find(b"\x89PNG")
    data[begin + 20 : begin + 40] = b"\0" * 20
    (tmp_path / "d.zip").write_bytes(data)
    assert [(p.kind, p.file) for p in errors(tmp_path / "d.zip")][:1] == [("unreadable-image", "a.png")]


@pytest.mark.parametrize("kind", ["16-bit PNG", "16-bit TIFF", "CMYK JPEG", "palette PNG"])
def test_16_bit_cmyk_and_palette_images_are_read(tmp_path, kind):
    (tmp_path / "classes.txt").write_text("dent\n")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    ramp = np.add.outer(np.arange(20), np.arange(40))
    if kind.startswith("16"):
        path = tmp_path / f"a.{kind[-4:].strip().lower()}"
        Image.fromarray((ramp * 900).astype(np.uint16)).save(path)
    else:
        suffix = "jpg" if kind.startswith("CMYK") else "png"
        mode = "CMYK" if kind.startswith("CMYK") else "P"
        Image.fromarray(ramp.astype(np.uint8)).convert(mode).save(tmp_path / f"a.{suffix}")
    examined = []
    reading = read(tmp_path, examine=lambda sha256, data: examined.append(sha256))
    assert reading.problems == []
    assert (reading.dataset.samples[0].width, reading.dataset.samples[0].height) == (40, 20)
    assert examined == [reading.dataset.samples[0].sha256]


def test_an_image_that_changes_after_the_listing_is_not_read(tmp_path):
    dataset = open_dataset(coco(tmp_path / "c"))
    Image.new("RGB", (40, 20), "red").save(tmp_path / "c/a.png")
    with pytest.raises(DatasetError, match=r"a\.png: was altered"):
        dataset.read(dataset.samples[0])


def upload(client, folder: Path, prefix: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), "factory", f"{prefix}{path.relative_to(folder).as_posix()}")


@pytest.mark.parametrize(
    "uri", ["s3://factory/data", "s3://factory/data/", "s3://factory/data/annotations.json"]
)
def test_an_s3_prefix_gives_the_same_data_set_as_the_folder(bucket, tmp_path, uri):
    generate(tmp_path / "d", 5, seed=1, size=96)
    upload(bucket, tmp_path / "d", "data/")
    upload(bucket, tmp_path / "d", "database/")  # shares the prefix's letters, not its folder
    dataset = open_dataset(uri)
    assert dataset.snapshot() == open_dataset(tmp_path / "d").snapshot()
    assert dataset.read(dataset.samples[0]) == (tmp_path / "d" / dataset.samples[0].name).read_bytes()
    assert dataset.files.uri(dataset.samples[0].name) == f"s3://factory/data/{dataset.samples[0].name}"


def test_the_export_of_cvat_in_s3_is_read_by_its_prefix_and_by_its_file(bucket, tmp_path):
    document = json.loads((coco(tmp_path / "c") / "annotations.json").read_text())
    image(tmp_path / "d/images/default/a.png")
    (tmp_path / "d/annotations").mkdir()
    (tmp_path / "d/annotations/instances_default.json").write_text(json.dumps(document))
    upload(bucket, tmp_path / "d", "jobs/cvat/")
    bucket.put_object(Bucket="factory", Key="jobs/cvat/annotations/empty.csv", Body=b"")
    for uri in ("s3://factory/jobs/cvat", "s3://factory/jobs/cvat/annotations/instances_default.json"):
        reading = read(uri)
        assert [sample.name for sample in reading.dataset.samples] == ["images/default/a.png"]
        assert [problem.kind for problem in reading.problems if problem.severity == "error"] == []


def test_a_zip_and_a_rec_file_in_s3_are_read_in_place(bucket, tmp_path):
    generate(tmp_path / "d", 5, seed=1, size=96)
    local = open_dataset(tmp_path / "d")
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for path in (tmp_path / "d").rglob("*.*"):
            archive.write(path, path.relative_to(tmp_path))
    bucket.upload_file(str(tmp_path / "d.zip"), "factory", "zips/d.zip")
    write_recordio(local, tmp_path / "r/train.rec")
    upload(bucket, tmp_path / "r", "rec/")
    for uri in ("s3://factory/zips/d.zip", "s3://factory/zips"):
        assert open_dataset(uri).snapshot() == local.snapshot()
    records = open_dataset("s3://factory/rec/train.rec")
    assert [s.sha256 for s in records.samples] == [s.sha256 for s in local.samples]
    assert records.read(records.samples[3]) == local.read(local.samples[3])


def test_a_manifest_in_s3_reads_its_images_from_their_uris(bucket, tmp_path):
    bucket.upload_file(str(image(tmp_path / "a.png")), "factory", "elsewhere/a.png")
    value = {"annotations": [{"class_id": 0, "left": 1, "top": 2, "width": 3, "height": 4}]}
    lines = [
        {
            "source-ref": f"s3://factory/elsewhere/{name}.png",
            "job": value,
            "job-metadata": {"class-map": {"0": "dent"}},
        }
        for name in ("a", "gone")
    ]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    bucket.put_object(Bucket="factory", Key="jobs/output.manifest", Body=body)
    reading = read("s3://factory/jobs/output.manifest")
    assert [sample.name for sample in reading.dataset.samples] == ["s3://factory/elsewhere/a.png"]
    assert [(p.kind, p.file) for p in reading.problems] == [
        ("unreadable-image", "s3://factory/elsewhere/gone.png")
    ]


@pytest.mark.parametrize("bucket_of_the_manifest", ["factory", "first-bucket"])
def test_a_prefix_with_a_manifest_is_read_whole_also_in_a_copy_of_its_bucket(
    bucket, tmp_path, bucket_of_the_manifest
):
    text = ""
    for part, name in (("train", "a"), ("train", "b"), ("test", "a")):
        path = image(tmp_path / f"{part}-{name}.png")
        Image.new("L", (40, 20), ord(name) + len(part)).save(path)
        bucket.upload_file(str(path), "factory", f"lookout/{part}/images/{name}.png")
        label = {"anomaly-label": 0, "anomaly-label-metadata": {"class-name": "normal"}}
        uri = f"s3://{bucket_of_the_manifest}/lookout/{part}/images/{name}.png"
        text += json.dumps({"source-ref": uri} | label) + "\n"
    bucket.put_object(Bucket="factory", Key="lookout/datasets/all.manifest", Body=text.encode())
    reading = read("s3://factory/lookout")
    assert [sample.name for sample in reading.dataset.samples] == [
        "train/images/a.png",
        "train/images/b.png",
        "test/images/a.png",
    ]
    assert reading.problems == []


@pytest.mark.parametrize(
    "uri", ["s3://factory/nothing", "s3://absent/data", "s3://", "s3://factory/no.zip", "s3://factory/no.rec"]
)
def test_a_missing_object_bucket_or_prefix_in_s3_is_named(bucket, uri):
    with pytest.raises(DatasetError, match=uri):
        read(uri)


@pytest.mark.skipif("LOUPE_NEU_DET" not in os.environ, reason="LOUPE_NEU_DET does not name NEU-DET.zip")
def test_neu_det_is_read_without_an_error():
    reading = read(os.environ["LOUPE_NEU_DET"])
    assert (reading.format, len(reading.dataset.samples), reading.problems) == ("voc", 1440, [])
