"""A few bytes that stand for a great many: refused in words, and before memory or time is gone."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.unit.training.datasets.exports import (
    YOLO_DENT,
    boxes_job,
    coco,
    errors,
    line,
    pictures,
    told,
    voc,
    write,
)
from training.datasets import DatasetError, bounds, read
from training.datasets.checks.audit import audit
from training.datasets.checks.repair import repair
from training.datasets.formats.contents import beginning
from training.datasets.importing import Import, ImportOptions
from training.datasets.storage.records import HEADER, MAGIC, RecordError, read_record, unpack

pytestmark = pytest.mark.promise(20)
ROOT = Path(__file__).parents[4]
LAUGHS = "a: &a [dent, scratch]\n" + "".join(
    f"{name}: &{name} [{', '.join(f'*{before}' for _ in range(9))}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


def zip_of(path: Path, *entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def with_declared_size(path: Path, name: str, size: int) -> Path:
    """Change the unpacked size that a zip states of a file, in both places."""
    data = bytearray(path.read_bytes())
    for signature, at, name_at in ((b"PK\3\4", 22, 30), (b"PK\1\2", 24, 46)):
        start = -1
        while (start := data.find(signature, start + 1)) >= 0:
            if data[start + name_at : start + name_at + len(name)] == name.encode():
                data[start + at : start + at + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{LAUGHS}names: *j\n", "stands for more than 100,000 values"),
        ("names: &a [*a, dent]\n", "contains itself"),
        ("names: [[dent, [scratch]]]\n", "has no `names`"),
        (f"names: {'[' * 5000}{']' * 5000}\n", "nested more than 50 deep"),
        (f"names:\n  {'- ' * 5000}dent\n", "nested more than 50 deep"),
        (f"names: [dent]\nx: '{'y' * (1 << 20)}'\n", "has more than 1 MiB"),
    ],
    ids=["aliases of aliases", "itself", "lists of names", "deep", "deep lines", "long"],
)
def test_a_yaml_file_that_stands_for_too_much_is_refused(tmp_path, text, message):
    root = write(pictures(tmp_path / "d", "a.jpg"), "data.yaml", text)
    write(root, "a.txt", YOLO_DENT)
    with pytest.raises(DatasetError, match=message):
        read(root, "yolo", strict=True)


def test_names_with_aliases_of_ordinary_size_are_read(tmp_path):
    root = write(pictures(tmp_path / "d", "a.jpg"), "data.yaml", "all: &a [dent]\nnames: *a\n")
    write(root, "a.txt", YOLO_DENT)
    assert read(root, strict=True).dataset.labels == ("dent",)


@pytest.mark.parametrize("distance", [0.0, 0.001], ids=["equal", "nearly equal"])
def test_thousands_of_boxes_in_one_place_are_told_once_each(tmp_path, distance):
    count = 1500
    document = coco("a.jpg")
    first = document["annotations"][0]
    document["annotations"] = [
        first | {"id": number, "bbox": [20 + distance * number / count, 20, 40, 30]}
        for number in range(count)
    ]
    root = write(pictures(tmp_path / "d", "a.jpg"), "a.json", document)
    dataset = read(root).dataset
    problems = [problem for problem in audit(dataset, []) if problem.kind == "duplicate-box"]
    assert sum(problem.count for problem in problems) == count - 1
    assert len(problems) == bounds.PLACES + 1
    repaired, repairs = repair(dataset, [], problems)
    assert len(repaired.samples[0].objects) == 1
    assert len(repairs) == count - 1


def test_more_boxes_than_any_image_has_are_an_error(tmp_path):
    document = coco("a.jpg", "b.jpg")
    boxes = [document["annotations"][0] | {"id": number} for number in range(bounds.OBJECTS + 1)]
    document["annotations"] = [*boxes, document["annotations"][1]]
    root = write(pictures(tmp_path / "d", "a.jpg", "b.jpg"), "a.json", document)
    reading = read(root)
    assert errors(reading) == ["too-many-boxes"]
    assert [sample.name for sample in reading.dataset.samples] == ["b.jpg"]
    assert Import(ImportOptions(str(root), "d", str(tmp_path / "out"))).run().snapshot is None
    assert not (tmp_path / "out").exists()


def test_a_million_places_where_the_same_is_wrong_are_counted(tmp_path):
    rows = "".join(f"a.jpg,dent,{number},x,3,4\n" for number in range(5000))
    root = write(pictures(tmp_path / "d", "a.jpg"), "t.csv", "filename,class,xmin,ymin,xmax,ymax\n" + rows)
    reading = read(root)
    assert told(reading)["bad-annotation"] == 5000
    assert len(reading.problems) < bounds.PLACES + 10


def test_a_json_file_that_is_nested_deeply_is_refused_at_once(tmp_path):
    deep = "[" * 200_000 + "]" * 200_000
    assert beginning("[" * 60_000) is None
    assert beginning('{"a": ' * 10_000) is None
    for text in (deep, f'{{"images": [], "annotations": {deep}}}'):
        root = write(pictures(tmp_path / "d", "a.jpg"), "a.json", text)
        with pytest.raises(DatasetError, match=r"is not readable JSON|nested too deeply|no data set"):
            read(root)
        with pytest.raises(DatasetError):
            read(root, "coco")


@pytest.mark.parametrize("depth", [500, 900, 960])
def test_labels_that_are_nested_as_deeply_as_python_reads_are_an_error_in_words(tmp_path, depth):
    document = coco("a.jpg")
    text = json.dumps(document).replace("[20, 20, 40, 30]", "[" * depth + "1" + "]" * depth)
    root = write(pictures(tmp_path / "d", "a.jpg"), "a.json", text)
    with pytest.raises(DatasetError):
        read(root, "coco", strict=True)


@pytest.mark.parametrize(
    "text",
    ["<!---->" * 5000 + "x", " " * 65_000, "<!--" * 16_000, "<?" * 30_000, "<!DOCTYPE a [" + "]" * 60_000],
    ids=["comments", "blanks", "open comments", "open declarations", "brackets"],
)
def test_what_begins_like_xml_and_never_has_a_root_is_refused_at_once(tmp_path, text):
    root = write(pictures(tmp_path / "d", "a.jpg"), "a.xml", text)
    with pytest.raises(DatasetError):
        read(root, "voc", strict=True)


def test_entities_of_xml_are_refused_and_depth_is_no_matter(tmp_path):
    entities = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
    laughs = f'<!DOCTYPE a [<!ENTITY l0 "ha">{entities}]>{voc("a.jpg").replace("dent", "&l9;")}'
    root = write(pictures(tmp_path / "d", "a.jpg"), "a.xml", laughs)
    with pytest.raises(DatasetError, match="is not readable XML"):
        read(root, "voc", strict=True)
    deep = voc("a.jpg").replace("<object>", "<x>" * 50_000 + "</x>" * 50_000 + "<object>")
    write(root, "a.xml", deep)
    assert len(read(root, "voc", strict=True).dataset.samples[0].objects) == 1


@pytest.mark.parametrize(
    "text", ['"' + "x" * (2 << 20), 'a.jpg,"' + "x\n" * (1 << 20)], ids=["cell", "open quote"]
)
def test_a_cell_of_a_table_without_an_end_is_an_error(tmp_path, text):
    head = "filename,class,xmin,ymin,xmax,ymax\na.jpg,dent,20,20,60,50\n"
    root = write(pictures(tmp_path / "d", "a.jpg"), "t.csv", head + text)
    with pytest.raises(DatasetError, match="is not readable as a table to its end: field larger"):
        read(root, "table", strict=True)


def test_a_line_and_a_file_without_an_end_are_errors(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "LINE_CHARACTERS", 10_000)
    root = write(
        pictures(tmp_path / "d", "a.jpg"),
        "a.manifest",
        line("a.jpg", **boxes_job()) + '{"source-ref": "' + "a" * 70_000 + '"}\n',
    )
    with pytest.raises(DatasetError, match="has a line of more than 10,000 characters"):
        read(root, "ground-truth")
    monkeypatch.setattr(bounds, "FILE_BYTES", 1 << 20)
    write(root, "a.manifest", line("a.jpg", **boxes_job()) * 5_000)
    with pytest.raises(DatasetError, match="has more than 1 MiB"):
        read(root, "ground-truth")


def test_a_category_for_each_of_a_million_and_numbers_without_an_end_are_errors(tmp_path):
    root = pictures(tmp_path / "d", "a.jpg")
    categories = [{"id": number, "name": f"c{number}", "supercategory": "all"} for number in range(100_000)]
    write(root, "a.json", coco("a.jpg", categories=categories))
    with pytest.raises(DatasetError, match="has 100,000 categories, more than 20,000"):
        read(root)
    write(root, "a.json", coco("a.jpg", categories=categories[:15_000]))
    assert len(read(root).dataset.labels) == 15_000
    write(
        root, "a.json", json.dumps(coco("a.jpg", bbox=[20, 20, 4, 3])).replace("4, 3]", f"4, 1{'0' * 400}]")
    )
    with pytest.raises(DatasetError, match="is not a box"):
        read(root, strict=True)
    run = {"segmentation": {"size": [120, 160], "counts": "o" * 100_000}, "bbox": None}
    document = coco("a.jpg")
    document["annotations"][0] |= run
    write(root, "a.json", document)
    with pytest.raises(DatasetError, match="is not a box"):
        read(root, strict=True)


class TestZips:
    def test_a_manifest_of_more_than_the_bound_is_refused_while_it_is_read(self, tmp_path, monkeypatch):
        monkeypatch.setattr(bounds, "FILE_BYTES", 4 << 20)
        manifest = b'{"source-ref": "a.jpg"}\n' * 200_000
        path = zip_of(tmp_path / "d.zip", ("a.jpg", b"x"), ("a.manifest", manifest))
        with pytest.raises(DatasetError, match="has more than 4 MiB"):
            read(path)

    @pytest.mark.parametrize("real", [100_000, 40_000_000])
    def test_a_file_that_unpacks_to_more_than_it_states_is_refused(self, tmp_path, real):
        path = zip_of(tmp_path / "d.zip", ("instances.json", b" " * real), ("a.jpg", b"x"))
        with pytest.raises(DatasetError, match=r"cannot be read|no data set|is not readable JSON"):
            read(with_declared_size(path, "instances.json", 500))

    def test_a_file_that_states_more_than_its_bytes_can_be_is_refused(self, tmp_path):
        path = zip_of(tmp_path / "d.zip", ("instances.json", b"{}"), ("a.jpg", b"x"))
        with pytest.raises(DatasetError, match=r"unpacks to 3,000,000,000 bytes"):
            read(with_declared_size(path, "instances.json", 3_000_000_000))

    def test_two_files_at_one_place_are_refused(self, tmp_path):
        path = zip_of(tmp_path / "d.zip", ("a.jpg", b"x" * 999), ("b.jpg", b"y" * 999))
        data = bytearray(path.read_bytes())
        second = data.find(b"PK\1\2", data.find(b"PK\1\2") + 1)
        data[second + 42 : second + 46] = bytes(4)
        path.write_bytes(data)
        with pytest.raises(DatasetError, match=r"two files at one place, 'a.jpg' and 'b.jpg'"):
            read(path)

    def test_other_methods_than_deflate_are_refused_with_what_to_do(self, tmp_path):
        path = zip_of(tmp_path / "d.zip", ("a.json", b" " * 999), method=zipfile.ZIP_BZIP2)
        with pytest.raises(DatasetError, match=r"not packed by Deflate, such as 'a.json': unpack it"):
            read(path)

    @pytest.mark.parametrize("is_64", [False, True])
    def test_a_directory_of_millions_of_files_is_not_even_read(self, tmp_path, is_64):
        path = tmp_path / "d.zip"
        size, start = 100 << 20, 4
        with path.open("wb") as stream:
            stream.write(b"PK\3\4")
            stream.truncate(start + size)
            stream.seek(start + size)
            if is_64:
                end = (
                    b"PK\6\6" + (44).to_bytes(8, "little") + bytes(12) + (2_000_000).to_bytes(8, "little") * 2
                )
                stream.write(end + size.to_bytes(8, "little") + start.to_bytes(8, "little"))
                stream.write(b"PK\6\7" + bytes(4) + (start + size).to_bytes(8, "little") + bytes(4))
            stated = 0xFFFFFFFF if is_64 else size
            stream.write(b"PK\5\6" + bytes(4) + b"\xff\xff\xff\xff" + stated.to_bytes(4, "little") + bytes(6))
        with pytest.raises(DatasetError, match="lists more than 500,000 files"):
            read(path)

    def test_a_zip_that_contains_itself_is_unpacked_once(self, tmp_path):
        inner = zip_of(tmp_path / "inner.zip", ("a.jpg", b"x")).read_bytes()
        path = zip_of(
            tmp_path / "d.zip", ("again.zip", inner), ("instances.json", json.dumps(coco()).encode())
        )
        assert "unread-archive" in told(read(path))

    def test_names_that_are_there_twice_or_lead_outside_or_are_none_are_told(self, tmp_path):
        root = pictures(tmp_path / "d", "a.jpg")
        picture = (root / "a.jpg").read_bytes()
        with pytest.warns(UserWarning, match="Duplicate name"):
            path = zip_of(
                tmp_path / "d.zip",
                *(("a.jpg", b"old"), ("a.jpg", picture), ("../b.jpg", picture)),
                ("instances.json", json.dumps(coco("a.jpg")).encode()),
            )
        reading = read(path)
        assert told(reading) == {"unsafe-name": 1, "twice-in-zip": 1}
        assert [len(sample.objects) for sample in reading.dataset.samples] == [1]


class TestRecords:
    def test_a_record_of_many_parts_ends_at_the_bound(self, monkeypatch):
        monkeypatch.setattr(bounds, "FILE_BYTES", 1000)
        begin, middle = (MAGIC + (flag << 29 | 400).to_bytes(4, "little") + bytes(400) for flag in (1, 2))
        with pytest.raises(RecordError, match="it is no image"):
            read_record(io.BytesIO(begin + middle * 5))

    def test_a_length_beyond_the_file_is_cut_short(self):
        with pytest.raises(RecordError, match="ends within a record"):
            read_record(io.BytesIO(MAGIC + ((1 << 29) - 1).to_bytes(4, "little") + b"x"))

    def test_a_label_of_a_billion_values_is_refused(self):
        with pytest.raises(RecordError, match="1000000000 label values"):
            unpack(HEADER.pack(10**9, 0, 0, 0) + b"x")


def test_a_source_without_any_readable_image_is_a_report_and_no_traceback(tmp_path):
    root = write(tmp_path / "d", "a.json", coco("a.jpg"))
    (root / "a.jpg").write_bytes(b"no picture")
    report = Import(ImportOptions(str(root), "d", str(tmp_path / "out"), repair=True)).run()
    assert {problem.kind for problem in report.errors} == {"unreadable-image", "empty"}
    assert "no labelled image" in report.text()


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is one of Linux")
def test_three_gigabytes_of_manifest_in_a_zip_take_neither_memory_nor_disk(tmp_path):
    path = tmp_path / "d.zip"
    lines = b'{"source-ref": "s3://b/a.jpg"}\n' * 30_000
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.manifest", "w", force_zip64=True) as member,
    ):
        for _ in range(3_000_000_000 // len(lines)):
            member.write(lines)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (700 << 20,) * 2)
        # Of a file that the process writes.
        resource.setrlimit(resource.RLIMIT_FSIZE, (10 << 20,) * 2)

    program = "import sys; from training.imports import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), "--check"],
        cwd=ROOT,
        preexec_fn=limited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "has more than 512 MiB" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
