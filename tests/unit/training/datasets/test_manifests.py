"""Manifests of Ground Truth and Lookout for Vision: their jobs, folders, encodings and masks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.unit.training.datasets.exports import (
    DENT,
    SIZE,
    boxes_job,
    boxes_of,
    class_job,
    errors,
    line,
    picture,
    pictures,
    read_both,
    told,
    write,
)
from training.datasets import read

DENTS = [("dent", DENT)]
GREEN, WHITE = (0x2C, 0xA0, 0x2C), (255, 255, 255)


def test_a_classification_job_gives_labels_of_the_image(tmp_path):
    root = pictures(tmp_path / "d", "SN1.jpg", "SN2.jpg")
    text = line("s3://f/SN1.jpg", **class_job("anomaly")) + line("s3://f/SN2.jpg", **class_job("normal"))
    reading = read_both(write(root, "output.manifest", text))
    assert reading.format == "ground-truth"
    assert {s.name: s.tags for s in reading.dataset.samples} == {
        "SN1.jpg": ("anomaly",),
        "SN2.jpg": ("normal",),
    }
    assert [s.has_unplaced_defect for s in reading.dataset.samples] == [True, False]
    assert told(reading) == {"unplaced-defect": 1}


def test_boxes_and_the_class_of_the_image_are_both_read_and_older_jobs_are_told(tmp_path):
    fields = boxes_job() | class_job("anomaly") | class_job("normal", "first", "2024-01-01")
    fields |= {"check": 1, "check-metadata": {"type": "groundtruth/label-verification", "class-name": "good"}}
    reading = read(write(pictures(tmp_path, "a.png"), "o.manifest", line("s3://f/a.png", **fields)))
    assert boxes_of(reading) == {"a.png": DENTS}
    assert reading.dataset.samples[0].tags == ("anomaly",)
    assert told(reading) == {"other-job": 2}


def test_several_labels_of_an_image_are_all_kept(tmp_path):
    metadata = {
        "class-map": {"0": "dent", "2": "scratch"},
        "type": "groundtruth/image-classification-multilabel",
    }
    text = line("s3://f/a.png", look=[0, 2], **{"look-metadata": metadata})
    assert read(write(pictures(tmp_path, "a.png"), "o.manifest", text)).dataset.samples[0].tags == (
        "dent",
        "scratch",
    )


def test_the_folder_of_a_job_as_it_is_in_s3_is_read_once(tmp_path):
    root = pictures(tmp_path / "d", "raw/a.png", "raw/b.png")
    text = "".join(line(f"s3://f/raw/{name}.png", **boxes_job()) for name in "ab")
    write(root, "job/manifests/output/output.manifest", text)
    write(
        root,
        "job/manifests/intermediate/1/output.manifest",
        line("s3://f/raw/a.png", **boxes_job([(1, 1, 9, 9)])),
    )
    write(root, "input.manifest", line("s3://f/raw/a.png") + line("s3://f/raw/b.png"))
    write(
        root,
        "job/annotations/consolidated-annotation/consolidation-response/iteration-1/x.json",
        [{"datasetObjectId": "0"}],
    )
    write(root, "job/annotations/worker-response/iteration-1/0/y.json", {"answers": []})
    reading = read_both(root)
    assert boxes_of(reading) == {"raw/a.png": DENTS, "raw/b.png": DENTS}
    assert (errors(reading), told(reading)) == ([], {"other-files": 4})


def test_the_manifest_of_a_job_finds_the_images_above_its_folder(tmp_path):
    root = pictures(tmp_path / "d", "raw/a.png")
    write(root, "job/manifests/output/output.manifest", line("s3://f/raw/a.png", **boxes_job()))
    assert boxes_of(read(root / "job/manifests/output/output.manifest")) == {"raw/a.png": DENTS}


def test_train_and_test_manifests_are_the_parts(tmp_path):
    root = pictures(tmp_path, "a.png", "b.png")
    write(root, "train.manifest", line("s3://f/a.png", **boxes_job()))
    write(root, "test.manifest", line("s3://f/b.png", **boxes_job()))
    assert {s.name: s.source_part for s in read(root).dataset.samples} == {"a.png": "train", "b.png": "test"}


def test_images_that_are_elsewhere_are_each_named(tmp_path):
    root = write(
        pictures(tmp_path, "here.png"),
        "o.manifest",
        "".join(line(f"s3://f/{n}.png", **boxes_job()) for n in "ab"),
    )
    missing = [(p.kind, p.place) for p in read(root).problems if p.severity == "error"]
    assert missing[:2] == [("missing-image", "line 1"), ("missing-image", "line 2")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom"])
@pytest.mark.parametrize("name", ["output.manifest", "labels.json", "labels.jsonl"])
def test_every_name_and_encoding_of_a_manifest_is_read(tmp_path, encoding, name):
    text = line("s3://f/a.png", **boxes_job()) + line("s3://f/b.png", **boxes_job())
    data = b"\xff\xfe" + text.encode("utf-16-le") if encoding.endswith("bom") else text.encode(encoding)
    reading = read(write(pictures(tmp_path, "a.png", "b.png"), name, data))
    assert boxes_of(reading) == {"a.png": DENTS, "b.png": DENTS}


def test_the_same_line_twice_is_one_image_and_other_labels_are_an_error(tmp_path):
    root = pictures(tmp_path, "a.png")
    write(root, "o.manifest", line("s3://f/a.png", **boxes_job()) * 2)
    assert (len(boxes_of(read(root))), told(read(root))) == (1, {"listed-twice": 1})
    write(
        root,
        "o.manifest",
        line("s3://f/a.png", **boxes_job()) + line("s3://f/a.png", **boxes_job([(1, 1, 9, 9)])),
    )
    assert errors(read(root)) == ["labelled-twice"]


def test_lines_of_both_services_in_one_manifest_are_all_read(tmp_path):
    root = pictures(tmp_path, "a.png", "b.png")
    text = line("s3://f/a.png", **boxes_job()) + line("s3://f/b.png", **class_job("anomaly", "anomaly-label"))
    reading = read(write(root, "o.manifest", text))
    assert (boxes_of(reading), errors(reading)) == ({"a.png": DENTS, "b.png": []}, [])
    assert [sample.tags for sample in reading.dataset.samples] == [(), ("anomaly",)]


@pytest.mark.parametrize("fields", [{}, {"look": 1}, {"look-metadata": {"type": "groundtruth/custom"}}])
def test_a_line_without_labels_is_an_error(tmp_path, fields):
    root = pictures(tmp_path, "a.png", "b.png")
    write(root, "o.manifest", line("s3://f/a.png", **boxes_job()) + line("s3://f/b.png", **fields))
    assert errors(read(root)) == ["bad-annotation"]


# Lookout for Vision


def lookout(root, mask: Image.Image, colours=None, verdict: str = "anomaly", orientation: int = 0):
    picture(root / "images/1.png", orientation=orientation)
    (root / "masks").mkdir(exist_ok=True)
    mask.save(root / "masks/1.png")
    colours = colours or {"BACKGROUND": "#ffffff", "dent": "#2ca02c"}
    names = {
        str(n): {"class-name": name, "hex-color": code} for n, (name, code) in enumerate(colours.items())
    }
    metadata = {"internal-color-map": names, "type": "groundtruth/semantic-segmentation"}
    fields = class_job(verdict, "anomaly-label") | {
        "anomaly-mask-ref": "s3://b/p/masks/1.png",
        "anomaly-mask-ref-metadata": metadata,
    }
    return write(root, "train.manifest", line("s3://b/p/images/1.png", **fields))


def drawn(mode: str = "RGB", size: tuple[int, int] = SIZE, background=WHITE) -> Image.Image:
    scale = size[0] / SIZE[0]
    image = Image.new("RGB", size, background)
    x1, y1, x2, y2 = (round(edge * scale) for edge in DENT)
    image.paste(GREEN, (x1, y1, x2, y2))
    return image.convert(mode, palette=Image.Palette.ADAPTIVE) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize(
    "colours",
    [None, {"background": "#FFFFFF", "dent": "#2CA02C"}, {"BACKGROUND": "ffffff", "dent": "2ca02c"}],
)
def test_every_kind_of_mask_is_read(tmp_path, mode, colours):
    reading = read_both(lookout(tmp_path / "d", drawn(mode), colours))
    assert (reading.format, boxes_of(reading), told(reading)) == ("lookout", {"images/1.png": DENTS}, {})


def test_black_and_transparent_pixels_that_the_map_lacks_are_background(tmp_path):
    pixels = np.array(drawn("RGBA", background=(0, 0, 0)))
    pixels[100:, :, :] = (9, 99, 199, 0)
    root = lookout(tmp_path, Image.fromarray(pixels), {"dent": "#2ca02c"})
    assert (boxes_of(read(root)), errors(read(root))) == ({"images/1.png": DENTS}, [])


def test_a_mask_whose_alpha_channel_is_empty_counts_by_its_colours(tmp_path):
    pixels = np.array(drawn("RGBA"))
    pixels[:, :, 3] = 0
    reading = read(lookout(tmp_path, Image.fromarray(pixels)))
    assert (boxes_of(reading), told(reading)) == ({"images/1.png": DENTS}, {})


def test_the_mixed_colours_of_smoothed_edges_count_as_the_nearer_one(tmp_path):
    smooth = drawn(size=(640, 480)).resize((317, 238), Image.Resampling.LANCZOS)
    reading = read(
        lookout(tmp_path, smooth, {"BACKGROUND": "#ffffff", "scratch": "#d62728", "dent": "#2ca02c"})
    )
    assert boxes_of(reading) == {"images/1.png": DENTS}
    assert told(reading)["smooth-mask"] == 1
    assert errors(reading) == []


def test_a_mask_on_the_stored_pixels_of_a_turned_image_is_turned_with_it(tmp_path):
    picture(tmp_path / "images/1.png")
    root = lookout(tmp_path, drawn())
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", SIZE, 90).save(tmp_path / "images/1.jpg", exif=exif)
    (tmp_path / "images/1.png").unlink()
    text = (root / "train.manifest").read_text().replace("images/1.png", "images/1.jpg")
    write(root, "train.manifest", text)
    reading = read(root)
    assert (boxes_of(reading), told(reading)) == (
        {"images/1.jpg": [("dent", (70, 20, 100, 60))]},
        {"turned-boxes": 1},
    )


def test_a_normal_image_with_a_mask_is_a_contradiction_and_its_boxes_count(tmp_path):
    reading = read(lookout(tmp_path, drawn(), verdict="normal"))
    assert (boxes_of(reading), told(reading)) == ({"images/1.png": DENTS}, {"contradiction": 1})


def test_an_anomaly_whose_mask_is_empty_keeps_its_label_and_is_told(tmp_path):
    reading = read(lookout(tmp_path, Image.new("RGB", SIZE, WHITE)))
    sample = reading.dataset.samples[0]
    assert (sample.has_unplaced_defect, sample.masks) == (True, ())
    assert told(reading) == {"unplaced-defect": 1, "empty-mask": 1}


def test_the_export_of_both_data_sets_is_read_with_its_parts(tmp_path):
    """As AWS's export_datasets.py wrote it: <part>/images/<key>, <part>/masks/<key> and datasets/<part>.manifest."""
    root, lines = tmp_path / "d", {"train": "", "test": ""}
    for number, (part, verdict) in enumerate([(p, v) for p in lines for v in ("normal", "anomaly")]):
        key = f"line 1/{verdict}-1.png"
        picture(root / part / "images" / key, 10 * number)
        fields = class_job(verdict, "anomaly-label")
        if verdict == "anomaly":
            (root / part / "masks/line 1").mkdir(parents=True)
            drawn().save(root / part / "masks" / key)
            colours = {
                "0": {"class-name": "BACKGROUND", "hex-color": "#ffffff"},
                "1": {"class-name": "dent", "hex-color": "#2ca02c"},
            }
            fields["anomaly-mask-ref"] = f"s3://to/export/{part}/masks/{key}"
            fields["anomaly-mask-ref-metadata"] = {"internal-color-map": colours}
        lines[part] += line(f"s3://to/export/{part}/images/{key}", **fields)
    for part, text in lines.items():
        write(root, f"datasets/{part}.manifest", text)
    reading = read_both(root)
    assert (reading.format, told(reading)) == ("lookout", {})
    assert {(s.source_part, s.tags, len(s.masks)) for s in reading.dataset.samples} == {
        (part, (verdict,), verdict == "anomaly") for part in lines for verdict in ("normal", "anomaly")
    }


def test_an_image_that_nobody_had_labelled_yet_is_left_out_and_told(tmp_path):
    root = pictures(tmp_path / "d", "a.png", "b.png", "c.png")
    text = line("s3://f/a.png", **class_job("anomaly", "anomaly-label")) + line("s3://f/b.png")
    reading = read_both(write(root, "train.manifest", text))
    assert [sample.name for sample in reading.dataset.samples] == ["a.png"]
    # One is in the manifest without a label, the other one is not in it.
    assert (errors(reading), told(reading)) == ([], {"unplaced-defect": 1, "unlisted-image": 2})


def test_a_mask_that_is_not_there_is_not_the_image_itself(tmp_path):
    root = lookout(tmp_path, drawn())
    (root / "masks/1.png").unlink()
    assert errors(read(root)) == ["missing-image", "empty"]


def test_a_segmentation_job_of_ground_truth_has_the_same_masks(tmp_path):
    root = lookout(tmp_path, drawn())
    fields = json.loads((root / "train.manifest").read_text())
    fields = {
        key.replace("anomaly-mask-ref", "dents-ref"): value
        for key, value in fields.items()
        if "label" not in key
    }
    write(root, "train.manifest", json.dumps(fields) + "\n")
    assert boxes_of(read(root)) == {"images/1.png": DENTS}
