"""RecordIO files are read back byte for byte and box for box, and damage is reported with its place."""

from __future__ import annotations

import io
import struct
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training.datasets import DatasetError, Object, open_dataset, read
from training.datasets.export import write_coco, write_recordio
from training.datasets.storage.records import HEADER, MAGIC, RecordError, read_record, write_record

PIECES = st.lists(st.one_of(st.just(MAGIC), st.binary(max_size=9)), max_size=8).map(b"".join)


@given(st.lists(PIECES, max_size=6))
def test_records_with_any_content_are_read_back_even_with_the_magic_number(records):
    stream = io.BytesIO()
    offsets = [write_record(stream, record) for record in records]
    assert len(stream.getvalue()) % 4 == 0
    stream.seek(0)
    for record, offset in zip(records, offsets, strict=True):
        assert stream.tell() == offset
        assert read_record(stream) == record
    assert read_record(stream) is None


@given(PIECES, st.data())
def test_a_record_cut_anywhere_is_an_error_and_never_a_shorter_record(record, data):
    stream = io.BytesIO()
    write_record(stream, record)
    whole = stream.getvalue()
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(RecordError):
        read_record(io.BytesIO(whole[:cut]))


def test_the_framing_is_that_of_dmlc():
    stream = io.BytesIO()
    write_record(stream, b"abcd" + MAGIC + b"ef")
    begin, end = (1 << 29) | 4, (3 << 29) | 2
    assert stream.getvalue() == (
        bytes.fromhex("0a23d7ce")
        + struct.pack("<I", begin)
        + b"abcd"
        + MAGIC
        + struct.pack("<I", end)
        + b"ef\0\0"
    )


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (b"\0" * 8, "begins with"),
        (MAGIC + struct.pack("<I", 2 << 29), "out of order"),
        (MAGIC + struct.pack("<I", 1 << 29) + MAGIC + struct.pack("<I", 0), "out of order"),
        (MAGIC + struct.pack("<I", 1 << 29), "ends within"),
    ],
)
def test_frames_that_are_not_a_record_are_refused(frames, reason):
    with pytest.raises(RecordError, match=reason):
        read_record(io.BytesIO(frames))


@pytest.fixture
def dataset(drawn):
    whole = open_dataset(drawn)
    return replace(whole, samples=whole.samples[:12])


def test_a_data_set_survives_recordio_and_coco(dataset, tmp_path):
    whole = write_recordio(dataset, tmp_path / "rec/train.rec")
    again = open_dataset(tmp_path / "rec")
    assert again.labels == dataset.labels
    assert [s.sha256 for s in again.samples] == [s.sha256 for s in dataset.samples]
    for before, after in zip(dataset.samples, again.samples, strict=True):
        assert [o.label for o in after.objects] == [o.label for o in before.objects]
        for a, b in zip(before.objects, after.objects, strict=True):
            assert b.box == pytest.approx(a.box, abs=1e-4)
        assert again.read(after) == dataset.read(before)
    assert len(open_dataset(whole).samples) == 12

    write_coco(again, tmp_path / "coco")
    assert [s.sha256 for s in open_dataset(tmp_path / "coco").samples] == [s.sha256 for s in dataset.samples]


def test_coco_survives_coco_exactly(dataset, tmp_path):
    write_coco(dataset, tmp_path / "coco")
    assert open_dataset(tmp_path / "coco").snapshot() == dataset.snapshot()


def test_the_index_gives_the_offset_of_each_record(dataset, tmp_path):
    path = write_recordio(dataset, tmp_path / "train.rec")
    lines = path.with_suffix(".idx").read_text().splitlines()
    with path.open("rb") as stream:
        for number, line in enumerate(lines):
            key, offset = line.split("\t")
            stream.seek(int(offset))
            record = read_record(stream)
            assert (int(key), HEADER.unpack_from(record)[2]) == (number, number)
    assert len(lines) == 12


def test_every_label_is_one_that_mxnet_accepts(dataset, tmp_path):
    """ImageDetLabel::FromArray: seven values or more, and whole objects after the header."""
    path = write_recordio(dataset, tmp_path / "train.rec")
    assert any(not sample.objects for sample in dataset.samples)
    with path.open("rb") as stream:
        while (record := read_record(stream)) is not None:
            count = HEADER.unpack_from(record)[0]
            values = struct.unpack_from(f"<{count}f", record, HEADER.size)
            assert count >= 7
            assert values[:2] == (2, 5)
            assert (count - 2) % 5 == 0
            assert np.isfinite(values).all()


def test_records_in_a_zip_give_the_same_data_set_as_the_file(dataset, tmp_path):
    path = write_recordio(dataset, tmp_path / "train.rec")
    with zipfile.ZipFile(tmp_path / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (path, path.with_name("classes.txt")):
            archive.write(file, f"data/{file.name}")
    zipped = open_dataset(tmp_path / "data.zip")
    assert zipped.snapshot() == open_dataset(path).snapshot()
    assert zipped.read(zipped.samples[5]) == dataset.read(dataset.samples[5])


def record(label: list[float], image: bytes) -> bytes:
    return HEADER.pack(len(label), 0, 0, 0) + struct.pack(f"<{len(label)}f", *label) + image


def rec(folder: Path, *records: bytes, names: str | None = "dent\nscratch\n") -> Path:
    with (folder / "a.rec").open("wb") as stream:
        for content in records:
            write_record(stream, content)
    if names is not None:
        (folder / "classes.txt").write_text(names)
    return folder


@pytest.fixture
def png():
    buffer = io.BytesIO()
    Image.new("L", (200, 100), 7).save(buffer, "PNG")
    return buffer.getvalue()


def test_extra_header_values_extra_object_values_and_padding_are_ignored(tmp_path, png):
    label = [4, 6, 200, 100, 1, 0.1, 0.2, 0.5, 0.6, 0, -1, -1, -1, -1, -1, -1]
    sample = open_dataset(rec(tmp_path, record(label, png))).samples[0]
    assert [(o.label, o.box) for o in sample.objects] == [
        ("scratch", pytest.approx((20, 20, 100, 60), abs=1e-4))
    ]


def test_a_record_with_one_label_for_the_whole_image_keeps_it_as_a_tag(tmp_path, png):
    sample = open_dataset(rec(tmp_path, HEADER.pack(0, 1.0, 0, 0) + png)).samples[0]
    assert (sample.objects, sample.tags) == ((), ("scratch",))


def test_without_names_the_class_numbers_are_the_labels_and_this_is_reported(tmp_path, png):
    reading = read(rec(tmp_path, record([2, 5, 3, 0, 0, 1, 1], png), names=None))
    assert reading.dataset.labels == ("3",)
    assert [problem.kind for problem in reading.problems] == ["no-class-names"]


@pytest.mark.parametrize(
    ("label", "kind", "message"),
    [
        ([2, 5, 7, 0, 0, 1, 1], "unknown-class", "class 7 is not among the 2 names"),
        ([2, 5, 0.5, 0, 0, 1, 1], "unknown-class", r"class 0\.5"),
        ([2, 5, 0, 0, 0, 1], "broken-record", "do not fit"),
        ([1, 5, 0, 0, 0, 1, 1], "broken-record", "do not fit"),
        ([2, 4, 0, 0, 0, 1, 1], "broken-record", "do not fit"),
        ([2, 5, 0, float("nan"), 0, 1, 1], "broken-record", "finite"),
    ],
)
def test_a_bad_label_is_named_with_its_record(tmp_path, png, label, kind, message):
    root = rec(tmp_path, record([2, 5, 0, 0, 0, 1, 1], png), record(label, png))
    problem = read(root).problems[0]
    assert (problem.kind, problem.file) == (kind, "a.rec")
    with pytest.raises(DatasetError, match=rf"a\.rec: record 1 at byte \d+: .*{message}"):
        open_dataset(root)


def test_lenient_reading_of_a_file_cut_short_keeps_the_records_before_the_cut(tmp_path, png):
    root = rec(tmp_path, *[record([2, 5, 0, 0, 0, 1, 1], png)] * 3)
    path = root / "a.rec"
    path.write_bytes(path.read_bytes()[:-9])
    reading = read(root)
    assert len(reading.dataset.samples) == 2
    assert [(p.kind, p.file) for p in reading.problems] == [("broken-record", "a.rec")]
    with pytest.raises(DatasetError, match=r"a\.rec: byte \d+: the file ends within a record"):
        open_dataset(root)


def test_a_header_longer_than_its_record_is_an_error(tmp_path, png):
    root = rec(tmp_path, HEADER.pack(10**6, 0, 0, 0) + png, b"tiny")
    assert [problem.kind for problem in read(root).problems[:2]] == ["broken-record"] * 2


def test_an_index_of_another_file_is_reported(tmp_path, png):
    root = rec(tmp_path, record([2, 5, 0, 0, 0, 1, 1], png))
    (root / "a.idx").write_text("0\t0\n1\t77\n")
    assert [(p.kind, p.file) for p in read(root).problems] == [("index-mismatch", "a.idx")]
    (root / "a.idx").write_text("0\t0\n")
    assert read(root).problems == []


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "16-bit TIFF", "turned JPEG"])
def test_an_image_that_mxnet_may_not_decode_is_exported_as_an_upright_png(tmp_path, kind):
    (tmp_path / "s").mkdir()
    (tmp_path / "s/classes.txt").write_text("dent\n")
    (tmp_path / "s/a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    ramp = np.add.outer(np.arange(40), np.arange(60))
    if kind == "16-bit TIFF":
        Image.fromarray((ramp * 600).astype(np.uint16)).save(tmp_path / "s/a.tif")
    elif kind == "turned JPEG":
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(ramp.astype(np.uint8)).save(tmp_path / "s/a.jpg", exif=exif)
    else:
        Image.fromarray(ramp.astype(np.uint8)).save(
            tmp_path / f"s/a.{'bmp' if kind == 'BMP' else 'tif'}", kind
        )
    before = open_dataset(tmp_path / "s")
    write_recordio(before, tmp_path / "out/train.rec")
    after = open_dataset(tmp_path / "out")
    sample = after.samples[0]
    assert (sample.width, sample.height) == (before.samples[0].width, before.samples[0].height)
    with Image.open(io.BytesIO(after.read(sample))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (sample.width, sample.height))
        assert np.asarray(image).max() > 50


@given(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_boxes_anywhere_in_the_image_survive_both_formats(corners):
    boxes = [(60 * min(a, c), 40 * min(b, d), 60 * max(a, c), 40 * max(b, d)) for a, b, c, d in corners]
    boxes = [box for box in boxes if box[2] - box[0] > 1.01 and box[3] - box[1] > 1.01]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "source").mkdir()
        (root / "source/classes.txt").write_text("dent\n")
        (root / "source/a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
        Image.new("L", (60, 40), 9).save(root / "source/a.png")
        raw = open_dataset(root / "source")
        objects = tuple(Object("dent", box) for box in boxes)
        whole = replace(raw, samples=(replace(raw.samples[0], objects=objects),))
        write_coco(whole, root / "coco")
        write_recordio(whole, root / "rec/a.rec")
        for folder_name, precision in (("coco", 1e-9), ("rec", 1e-4)):
            again = read(root / folder_name)
            assert again.problems == []
            boxes_again = [obj.box for obj in again.dataset.samples[0].objects]
            assert len(boxes_again) == len(boxes)
            for before, after in zip(boxes, boxes_again, strict=True):
                assert after == pytest.approx(before, abs=precision)
