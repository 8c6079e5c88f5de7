"""The inputs that real tools make, in the folder that LOUPE_CASES names: each as it is, and as a zip."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.unit.training.datasets.exports import DENT, boxes_of, errors, read_both, told
from training.datasets import DatasetError, read

CASES = Path(os.environ.get("LOUPE_CASES", Path(__file__).parents[5] / "shared/cases"))
pytestmark = pytest.mark.skipif(
    not CASES.is_dir(), reason=f"LOUPE_CASES names no folder, and {CASES} is not there"
)

# The format, the boxes of each image, and what is told.
READ: dict[str, tuple[str, list[list[tuple[str, tuple[int, ...]]]], dict[str, int]]] = {
    "01-cvat-coco": ("coco", [[("dent", DENT)]] * 2, {}),
    "03-roboflow-coco": ("coco", [[("dent", DENT)], [("scratch", DENT)]] * 3, {"root-category": 3}),
    "06-fiftyone-coco": ("coco", [[("dent", DENT)]] * 2, {}),
    "07-cvat-mask-iscrowd": ("coco", [[("dent", DENT)]] * 3, {"shape-box": 2}),
    "08-coco-polygons-only": ("coco", [[("dent", DENT)]], {"shape-box": 1}),
    "09-jumpstart": ("jumpstart", [[("0", DENT)]] * 2, {"corner-boxes": 1, "no-class-names": 1}),
    "10-coco-duplicate-category": ("coco", [[("dent", DENT)]] * 2, {"category-twice": 1}),
    "11-exif-labels-on-raw": ("coco", [[("dent", (70, 100, 100, 150))]], {"turned-boxes": 1}),
    "12-labelimg-two-classes-txt": ("yolo", [[("dent", DENT)]] * 2, {}),
    "14-yolo-plots-and-masks": ("yolo", [[("dent", DENT)]] * 2 + [[]], {"unlisted-image": 5}),
    "15-cvat-images-xml": ("cvat", [[("dent", DENT)]], {}),
    "16-voc-with-segmentation-class": ("voc", [[("dent", DENT)]], {}),
    "18-voc-encodings": ("voc", [[("凹坑", DENT)]], {}),
    "19-voc-swapped-corners": ("voc", [[("dent", DENT)]] * 2, {"swapped-corners": 1}),
    "21-ground-truth-image-classification": ("ground-truth", [[]] * 2, {"unplaced-defect": 1}),
    "54-yolo-case-and-exports/a-cvat11": ("yolo", [[("dent", DENT)]], {}),
    "54-yolo-case-and-exports/b-labelstudio": ("yolo", [[("dent", DENT)]], {"other-files": 1}),
    "54-yolo-case-and-exports/c-upper": ("yolo", [[("dent", DENT)]], {}),
    "54-yolo-case-and-exports/d-Images": ("yolo", [[("dent", DENT)]], {}),
    "54-yolo-case-and-exports/e-conf": ("yolo", [[("dent", DENT)]], {"extra-columns": 1}),
    "54-yolo-case-and-exports/f-conf-and-id": ("yolo", [[("dent", DENT)]], {"extra-columns": 1}),
    "54-yolo-case-and-exports/h-names-str-keys": ("yolo", [[("dent", DENT)]], {}),
    "54-yolo-case-and-exports/i-x1y1x2y2": ("yolo", [[("dent", (8, 6, 152, 114))]], {}),
    "54-yolo-case-and-exports/j-list-in-txt": ("yolo", [[("dent", DENT)]], {"unlisted-image": 1}),
    "54-yolo-case-and-exports/k-conf-and-id-1": ("yolo", [[("dent", DENT)]], {"extra-columns": 1}),
    "54-yolo-case-and-exports/l-beside-in-images": ("yolo", [[("dent", DENT)]], {}),
    "54-yolo-case-and-exports/m-same-name": ("yolo", [[("dent", DENT)], []], {}),
    "55-foreign-formats/folders": ("folders", [[], []], {"unplaced-defect": 1}),
    "55-foreign-formats/gc10": ("voc", [[("1_chongkong", DENT)]], {}),
    "55-foreign-formats/hf": ("imagefolder", [[("0", DENT)]], {"no-class-names": 1}),
    "55-foreign-formats/labelme": ("labelme", [[("dent", DENT)]] * 2, {}),
    "55-foreign-formats/labelme1": ("labelme", [[("dent", DENT)]], {}),
    "55-foreign-formats/labelstudio-json": ("label-studio", [[]], {}),
    "55-foreign-formats/mvtec": ("mvtec", [[]] * 3, {"unplaced-defect": 1, "empty-mask": 1}),
    "55-foreign-formats/tfcsv": ("table", [[("dent", DENT)]], {}),
    "55-foreign-formats/via": ("via", [[("dent", DENT)]], {}),
    "56-lookout-variants/a": ("lookout", [[("dent", DENT)]], {}),
    "56-lookout-variants/b": ("lookout", [[("dent", DENT)]] * 2, {}),
    "56-lookout-variants/c": ("lookout", [[("dent", DENT)]], {}),
    "56-lookout-variants/d": ("lookout", [[("dent", (70, 100, 100, 150))]], {"turned-boxes": 1}),
    "56-lookout-variants/e": ("lookout", [[]] * 2, {"unplaced-defect": 1}),
    "56-lookout-variants/f": ("lookout", [[]], {"unplaced-defect": 1}),
    "56-lookout-variants/g": ("lookout", [[]], {"unplaced-defect": 1, "listed-twice": 1}),
    "56-lookout-variants/h": ("lookout", [[("dent", DENT)]], {"smooth-mask": 1, "size-mismatch": 1}),
    "64-lookout-anomaly-without-mask": ("lookout", [[]] * 12, {"unplaced-defect": 6}),
}
REFUSED = {
    "createml": "CreateML",
    "deeppcb": "DeepPCB",
    "kolektor": "KolektorSDD",
    "severstal": "Severstal",
    "supervisely": "Supervisely",
    "visa": "VisA",
}


@pytest.fixture
def case(tmp_path, request):
    source = CASES / request.param
    if not source.is_dir():
        pytest.skip(f"{source} is not there")
    return shutil.copytree(source, tmp_path / "case")


@pytest.mark.promise(34)
@pytest.mark.parametrize(("case", "name"), [(name, name) for name in READ], indirect=["case"])
def test_what_a_tool_exports_is_read_as_it_was_drawn(case, name):
    format, expected, kinds = READ[name]
    reading = read_both(case)
    found = boxes_of(reading)
    assert (reading.format, errors(reading), told(reading)) == (format, [], kinds)
    assert len(found) == len(expected)
    for boxes, wanted in zip(found.values(), expected, strict=True):
        assert [label for label, _ in boxes] == [label for label, _ in wanted]
        for (_, box), (_, drawn) in zip(boxes, wanted, strict=True):
            assert box == pytest.approx(drawn, abs=1)


@pytest.mark.parametrize(
    ("case", "name"),
    [(f"55-foreign-formats/{folder}", name) for folder, name in REFUSED.items()],
    indirect=["case"],
)
def test_what_is_not_read_is_refused_by_its_name(case, name):
    with pytest.raises(DatasetError, match=rf"{name}.*which is not read\. (Convert|Export)"):
        read(case)


@pytest.mark.parametrize("case", ["54-yolo-case-and-exports/g-pixels"], indirect=True)
def test_boxes_in_pixels_are_refused_with_the_reason(case):
    assert "bad-annotation" in errors(read(case))


@pytest.mark.parametrize("case", ["01-cvat-coco"], indirect=True)
def test_the_annotation_file_alone_is_enough(case):
    assert boxes_of(read(case / "annotations/instances_default.json")) == boxes_of(read(case))


@pytest.mark.parametrize("case", ["50-roboflow-augmented-split"], indirect=True)
def test_the_parts_of_an_export_are_kept_with_the_images(case):
    parts = [sample.source_part for sample in read_both(case).dataset.samples]
    assert {part: parts.count(part) for part in set(parts)} == {"train": 60, "validation": 5, "test": 5}
