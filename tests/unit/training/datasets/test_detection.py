"""The content decides which format a source has. What is not read is refused by its name, and never a traceback."""

from __future__ import annotations

import json
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.training.datasets.exports import (
    DENT,
    YOLO_DENT,
    boxes_job,
    boxes_of,
    class_job,
    coco,
    errors,
    line,
    picture,
    pictures,
    read_both,
    told,
    voc,
    write,
    zipped,
)
from training.datasets import DatasetError, read
from training.datasets.formats.contents import beginning

DENTS = [("dent", DENT)]
SUPERVISELY = {
    "size": {"height": 120, "width": 160},
    "objects": [{"classTitle": "dent", "geometryType": "rectangle"}],
}

FOREIGN = {
    "VisA": {
        "split_csv/1cls.csv": "object,split,label,image,mask\ncandle,test,anomaly,a/000.JPG,m/000.png\n"
    },
    "Severstal": {"train.csv": "ImageId,ClassId,EncodedPixels\n0002cc93b.jpg,1,29102 12\n"},
    "Open Images": {"t.csv": "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n1,x,/m/1,1,0,1,0,1\n"},
    "Supervisely": {
        "meta.json": {"classes": [{"title": "dent"}], "tags": []},
        "ds/ann/a.jpg.json": SUPERVISELY,
    },
    "CreateML": {"_annotations.createml.json": [{"image": "a.jpg", "annotations": []}]},
    "Datumaro": {"annotations/default.json": {"info": {}, "categories": {}, "items": []}},
    "FiftyOneDataset": {"samples.json": {"samples": [{"filepath": "data/a.jpg"}]}},
    "VIA 3": {"via.json": {"project": {}, "config": {}, "file": {}, "view": {}, "metadata": {}}},
    "Darwin": {"a.json": {"version": "2.0", "item": {"name": "a.jpg"}, "annotations": []}},
    "Labelbox": {"e.ndjson": '{"data_row": {"id": "1"}, "projects": {}}\n'},
    "Label Studio's CSV": {"p.csv": 'image,id,label,annotator\n/a.jpg,1,"[{""x"": 1}]",1\n'},
    "VIA's CSV": {"v.csv": "filename,file_size,region_count,region_shape_attributes\na.jpg,1,1,{}\n"},
    "YOLO for Keras": {"train/_annotations.txt": "a.jpg 20,20,60,50,0\n"},
    "TFRecord": {"train.tfrecord": b"\0\1"},
    "DOTA": {"labelTxt/a.txt": "imagesource:x\ngsd:1\n1.0 2.0 3.0 2.0 3.0 4.0 1.0 4.0 dent 0\n"},
    "KITTI": {"label_2/a.txt": "dent 0.00 0 0.00 20.0 20.0 60.0 50.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0\n"},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_format_that_is_not_read_is_refused_by_its_name(tmp_path, name):
    root = pictures(tmp_path / "d", "a.jpg")
    for file, content in FOREIGN[name].items():
        write(root, file, content)
    for source in (root, zipped(root)):
        with pytest.raises(DatasetError, match=rf"{name}.*which is not read\. (Export|Convert)"):
            read(source)


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("KolektorSDD", ("kos01/Part0.jpg", "kos01/Part0_label.bmp")),
        ("KolektorSDD", ("train/10000.png", "train/10000_GT.png")),
        ("DeepPCB", ("g/00041/1_temp.jpg", "g/00041/1_test.jpg")),
        ("DAGM 2007", ("Class1/Train/0576.PNG", "Class1/Train/Label/0576_label.PNG")),
        ("Magnetic Tile", ("MT_Blowhole/Imgs/exp1.jpg", "MT_Blowhole/Imgs/exp1.png")),
    ],
)
def test_a_layout_that_is_not_read_is_refused_by_its_name(tmp_path, name, images):
    with pytest.raises(DatasetError, match=name):
        read(write(pictures(tmp_path, *images), "g/00041_not/1.txt", "20 20 60 50 1\n"))


def test_two_formats_are_refused_and_each_can_be_chosen(tmp_path):
    root = pictures(tmp_path / "d", "1.jpg", "2.jpg")
    write(root, "1.xml", voc("1.jpg"))
    write(root, "labels.json", coco("2.jpg"))
    for source in (root, zipped(root)):
        with pytest.raises(DatasetError, match=r"several formats: coco .*voc .*--format"):
            read(source)
    assert boxes_of(read(root, "coco")) == {"2.jpg": DENTS}
    assert boxes_of(read(root, "voc")) == {"1.jpg": DENTS}


@pytest.mark.parametrize(
    "files", [{}, {".DS_Store": "x"}, {"readme.txt": "hello"}, {"__MACOSX/._a.jpg": "x"}]
)
def test_a_source_without_images_and_labels_is_refused(tmp_path, files):
    root = tmp_path / "d"
    root.mkdir()
    for name, content in files.items():
        write(root, name, content)
    with pytest.raises(DatasetError, match=r"is empty|contains no data set"):
        read(root)


def test_one_image_an_archive_and_a_folder_of_images_are_refused_with_what_to_do(tmp_path):
    picture(tmp_path / "a.png")
    write(tmp_path, "d.tar.gz", b"\x1f\x8b")
    write(tmp_path, "d.rar", b"Rar!")
    pictures(tmp_path / "only", "a.jpg", "b.jpg")
    for name, advice in (
        ("a.png", "name the folder"),
        ("d.tar.gz", "unpack"),
        ("d.rar", "unpack"),
        ("only", "2 images"),
    ):
        with pytest.raises(DatasetError, match=advice):
            read(tmp_path / name)


def test_label_files_and_archives_that_are_not_read_are_told(tmp_path):
    root = write(pictures(tmp_path, "a.png"), "labels.json", coco("a.png"))
    write(root, "metrics.csv", "epoch,loss\n1,2\n")
    write(root, "more.zip", b"PK")
    assert told(read(root)) == {"other-files": 1, "unread-archive": 1}


@pytest.mark.parametrize("content", ["", "{", "[1, 2", "not JSON"])
def test_the_only_label_file_that_is_not_readable_is_named(tmp_path, content):
    with pytest.raises(DatasetError, match=r"labels\.json is (not readable JSON|none)"):
        read(write(pictures(tmp_path, "a.png"), "labels.json", content))


def test_thumbnails_and_resource_forks_are_neither_images_nor_reported(tmp_path):
    root = write(
        pictures(tmp_path / "d", "images/a.png", "images/thumbnails/a.png"), "labels.json", coco("a.png")
    )
    write(root, "images/._a.png", b"x")
    write(root, ".thumbnails/a.png", b"x")
    reading = read_both(root)
    assert (boxes_of(reading), told(reading)) == ({"images/a.png": DENTS}, {})


def test_a_long_document_is_recognised_by_its_beginning(tmp_path):
    names = [f"{n}.png" for n in range(3000)]
    document = coco(*names)
    document = {"info": {"description": "x" * 500}, **document}
    assert len(json.dumps(document)) > 400_000
    picture(tmp_path / "0.png")
    reading = read(write(tmp_path, "anything.json", document))
    assert reading.format == "coco"
    assert told(reading)["missing-image"] == 2999


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.data())
def test_the_beginning_of_a_document_is_part_of_it(document, data):
    text = json.dumps(document)
    cut = data.draw(st.integers(0, len(text)))
    found = beginning(text[:cut])
    assert found is None or _is_part(found, document) or not isinstance(document, dict | list)
    assert beginning(text) == document


def _is_part(found, whole):
    if isinstance(found, dict) and isinstance(whole, dict):
        return all(key in whole and _is_part(value, whole[key]) for key, value in found.items())
    if isinstance(found, list) and isinstance(whole, list):
        return len(found) <= len(whole) and all(map(_is_part, found, whole))
    return found == whole


KEYS = st.sampled_from(
    [
        *(
            "images",
            "annotations",
            "categories",
            "shapes",
            "imagePath",
            "id",
            "image_id",
            "file_name",
            "bbox",
        ),
        *("category_id", "segmentation", "iscrowd", "name", "data", "result", "value", "regions", "filename"),
        *("shape_attributes", "region_attributes", "file", "class_id", "flags", "points", "label"),
    ]
)
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.text("a./1", max_size=4)
    | st.sampled_from(["a.png", "dent"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(KEYS, ODD, max_size=6) | st.lists(st.dictionaries(KEYS, ODD, max_size=4), max_size=3))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_is_a_traceback_or_an_import_of_nothing(tmp_path, document):
    picture(tmp_path / "a.png")
    _survives(write(tmp_path, "labels.json", document))


TOKENS = [
    *(
        "<annotation>",
        "</annotation>",
        "<annotations>",
        "<object>",
        "<name>dent</name>",
        "<bndbox>",
        "<xmin>1</xmin>",
    ),
    *(
        "0",
        "0.5",
        ",",
        ";",
        "\n",
        "filename",
        "class",
        '{"source-ref":',
        '"a.png"',
        "}",
        '"job-metadata":',
        "{}",
    ),
    *("<?xml?>", "names:", "[dent]", "-", ":", "7", "nan", "é", "\x00", '<image name="a.png">', "\t"),
]


@given(
    st.lists(st.sampled_from(TOKENS), max_size=25),
    st.sampled_from(["xml", "csv", "txt", "yaml", "manifest", "lst"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_is_a_traceback_or_an_import_of_nothing(tmp_path, words, suffix):
    for old in tmp_path.glob("labels.*"):
        old.unlink()
    picture(tmp_path / "a.png")
    _survives(write(tmp_path, f"labels.{suffix}", " ".join(words)))


def _survives(root):
    try:
        reading = read(root)
    except DatasetError:
        return
    assert reading.dataset.samples or errors(reading)


TOOLS = {
    "coco": lambda name: {f"{name}.json": coco(f"{name}.png")},
    "voc": lambda name: {f"{name}.xml": voc(f"{name}.png")},
    "yolo": lambda name: {f"{name}.txt": YOLO_DENT, "classes.txt": "dent\n"},
    "ground-truth": lambda name: {f"{name}.manifest": line(f"s3://b/{name}.png", **boxes_job())},
    "lookout": lambda name: {
        f"{name}.manifest": line(f"s3://b/{name}.png", **class_job("anomaly", "anomaly-label"))
    },
    "table": lambda name: {
        f"{name}.csv": f"filename,class,xmin,ymin,xmax,ymax\n{name}.png,dent,20,20,60,50\n"
    },
    "labelme": lambda name: {
        f"{name}.json": {
            "version": "5",
            "imagePath": f"{name}.png",
            "shapes": [{"label": "dent", "points": [[20, 20], [60, 50]], "shape_type": "rectangle"}],
        }
    },
}


@given(st.lists(st.tuples(st.sampled_from(sorted(TOOLS)), st.sampled_from("abcd")), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_mixture_of_formats_is_read_whole_or_refused(tmp_path_factory, chosen):
    root = tmp_path_factory.mktemp("mixture")
    labelled = {name for _, name in chosen}
    for tool, name in chosen:
        picture(root / f"{name}.png", ord(name))
        for file, content in TOOLS[tool](name).items():
            write(root, file, content)
    if len({tool for tool, _ in chosen}) == 1:
        reading = read(root)
    else:
        try:
            reading = read(root)
        except DatasetError:
            return
    found = {s.name.removesuffix(".png") for s in reading.dataset.samples if s.objects or s.tags}
    assert found == labelled or errors(reading)


def test_a_zip_of_a_zip_is_refused(tmp_path):
    root = write(pictures(tmp_path / "d", "a.png"), "labels.json", coco("a.png"))
    inner = zipped(root)
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(inner, "d.zip")
    with pytest.raises(DatasetError, match=r"d\.zip is an archive inside it"):
        read(tmp_path / "outer.zip")
