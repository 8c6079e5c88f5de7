"""Every layout gives the same data set, every image stays in its part, and every error names its file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from training.datasets import Dataset, DatasetError, Sample, open_dataset
from training.datasets.generated.synthetic import KINDS

VOC = """<annotation><filename>{name}.jpg</filename><object><name>{label}</name><bndbox>
<xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object></annotation>"""


@pytest.fixture
def voc(tmp_path):
    root = tmp_path / "NEU-DET"
    for folder in ("IMAGES", "ANNOTATIONS"):
        (root / folder).mkdir(parents=True)
    for index, label in enumerate(("scratches", "crazing")):
        Image.new("L", (200, 100), index * 40).save(root / f"IMAGES/{label}_1.jpg")
        text = VOC.format(name=f"{label}_1", label=label, box=(1, 11, 50, 60))
        (root / f"ANNOTATIONS/{label}_1.xml").write_text(text)
    return root


def coco(root: Path, **changes: object) -> Path:
    root.mkdir(exist_ok=True)
    Image.new("RGB", (40, 20)).save(root / "a.png")
    document = {
        "images": [{"id": 7, "file_name": "a.png", "width": 40, "height": 20}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 10, 5]}],
        "categories": [{"id": 2, "name": "dent"}],
    } | changes
    (root / "annotations.json").write_text(json.dumps(document))
    return root


def test_voc_boxes_count_from_one_and_include_the_last_pixel(voc):
    dataset = open_dataset(voc)

    assert dataset.labels == ("crazing", "scratches")
    assert dataset.samples[0].objects[0].box == (0, 10, 50, 60)
    assert (dataset.samples[0].width, dataset.samples[0].height) == (200, 100)


def test_a_zip_and_a_channel_with_one_zip_give_the_same_data_set_as_the_folder(voc, tmp_path):
    channel = tmp_path / "channel"
    channel.mkdir()
    with zipfile.ZipFile(channel / "data.zip", "w") as archive:
        for path in voc.rglob("*.*"):
            archive.write(path, path.relative_to(voc.parent))

    assert open_dataset(channel).snapshot() == open_dataset(voc).snapshot()
    assert open_dataset(channel / "data.zip").snapshot() == open_dataset(voc).snapshot()


def test_coco_keeps_images_without_annotations_and_drops_boxes_without_area(tmp_path):
    boxes = ([1, 2, 10, 5], [30, 10, 100, 100], [50, 5, 4, 4], [5, 5, 0, 3])
    annotations = [{"image_id": 7, "category_id": 2, "bbox": box} for box in boxes]
    dataset = open_dataset(coco(tmp_path / "c", annotations=annotations))
    assert [obj.box for obj in dataset.samples[0].objects] == [(1, 2, 11, 7), (30, 10, 40, 20)]
    assert dataset.dropped_boxes == 2

    assert open_dataset(coco(tmp_path / "c", annotations=[])).samples[0].objects == ()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"images": [{"id": 7, "file_name": "gone.png"}]}, "gone.png"),
        ({"annotations": [{"image_id": 8, "category_id": 2, "bbox": [1, 2, 3, 4]}]}, "annotations.json"),
        ({"annotations": [{"image_id": 7, "category_id": 9, "bbox": [1, 2, 3, 4]}]}, "a.png"),
        ({"annotations": [{"image_id": 7, "category_id": 2, "bbox": [1, 2]}]}, "a.png"),
        ({"categories": None}, "annotations.json"),
    ],
)
def test_coco_errors_name_the_file(tmp_path, changes, named):
    with pytest.raises(DatasetError, match=named):
        open_dataset(coco(tmp_path / "c", **changes))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<annotation", "not readable XML"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><annotation>&a;</annotation>", "not readable XML"),
        (VOC.format(name="x", label="", box=(1, 1, 5, 5)), "without a name"),
        (VOC.format(name="x", label="dent", box=(1, "two", 5, 5)), "ymin is 'two'"),
    ],
)
def test_voc_errors_name_the_file(voc, content, reason):
    (voc / "ANNOTATIONS/crazing_1.xml").write_text(content)
    with pytest.raises(DatasetError, match=r"crazing_1\.xml.*" + reason):
        open_dataset(voc)


def test_an_annotation_without_its_image_and_a_broken_image_are_named(voc):
    (voc / "IMAGES/crazing_1.jpg").write_bytes(b"not a picture")
    with pytest.raises(DatasetError, match=r"crazing_1\.jpg"):
        open_dataset(voc)
    (voc / "IMAGES/crazing_1.jpg").unlink()
    with pytest.raises(DatasetError, match=r"crazing_1\.xml"):
        open_dataset(voc)


def test_a_source_without_a_data_set_is_refused(tmp_path):
    (tmp_path / "readme.txt").write_text("hello")
    for path in (tmp_path, tmp_path / "readme.txt", tmp_path / "nowhere"):
        with pytest.raises(DatasetError, match=path.name):
            open_dataset(path)


@given(st.lists(st.binary(min_size=1, max_size=64), min_size=1, max_size=20))
def test_new_images_move_no_image_to_another_part(images):
    digests = [hashlib.sha256(data).hexdigest() for data in images]
    samples = tuple(Sample(str(index), digest, 1, 1, ()) for index, digest in enumerate(digests))
    before, after = (Dataset(None, (), chosen) for chosen in (samples[:-1], samples))
    for part in ("train", "validation", "test"):
        assert set(before.part(part).samples) <= set(after.part(part).samples)


def test_parts_are_disjoint_and_complete_and_never_share_a_duplicate(tmp_path):
    (tmp_path / "images").mkdir()
    images = []
    for number in range(60):
        Image.new("L", (20, 20), number).save(tmp_path / f"images/{number}.png")
        shutil.copy(tmp_path / f"images/{number}.png", tmp_path / f"images/copy-{number}.png")
        images.append({"id": number, "file_name": f"images/{number}.png"})
        images.append({"id": 1000 + number, "file_name": f"images/copy-{number}.png"})
    document = {"images": images, "annotations": [], "categories": []}
    (tmp_path / "annotations.json").write_text(json.dumps(document))

    dataset = open_dataset(tmp_path)
    parts = {name: {s.sha256 for s in dataset.part(name).samples} for name in ("train", "validation", "test")}

    assert sum(len(dataset.part(name).samples) for name in parts) == 120
    assert not parts["train"] & parts["test"]
    assert not parts["train"] & parts["validation"]
    assert not parts["validation"] & parts["test"]
    assert 0.5 < len(parts["train"]) / 60 < 0.9


@pytest.mark.skipif("LOUPE_NEU_DET" not in os.environ, reason="LOUPE_NEU_DET does not name NEU-DET.zip")
def test_neu_det_reads_straight_from_its_zip():
    dataset = open_dataset(Path(os.environ["LOUPE_NEU_DET"]))
    assert len(dataset.samples) == 1440
    assert set(dataset.labels) == set(KINDS)
    assert dataset.dropped_boxes == 0
    assert len(dataset.part("test").samples) >= 200
