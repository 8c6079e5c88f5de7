"""`loupe import` imports a data set completely or not at all, and reports every problem."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
from PIL import Image

from contract.snapshots import part_of
from tests.unit.training.programs.imports_support import document, run
from training.datasets import FORMATS, importing, open_dataset
from training.datasets.problems import KINDS
from training.datasets.storage.folder import Folder
from training.imports import main


def change(source: Path, edit) -> None:
    path = source / "annotations.json"
    coco = json.loads(path.read_text())
    edit(coco)
    path.write_text(json.dumps(coco))


def test_a_check_reports_and_writes_nothing(capsys, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    report = document(capsys, source, "--check")
    assert (report["format"], report["images"], report["snapshot"]) == ("coco", 30, None)
    assert len(report["labels"]) == 6
    assert sum(report["parts"].values()) == 30
    assert sorted(tmp_path.rglob("*")) == before


def test_an_import_writes_the_snapshot_and_reports_its_path(capsys, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = document(capsys, source)
    path = Path(report["written_to"])
    assert path == Path("loupe-data/snapshots/default") / f"{report['snapshot'][:16]}.json"
    assert open_dataset(path).snapshot_id == report["snapshot"]
    assert len(open_dataset(path).samples) == 30


def test_the_text_has_counts_problems_and_advice(capsys, source, tmp_path):
    change(source, lambda coco: coco["annotations"].append(coco["annotations"][0] | {"id": 9999}))
    status, out, _ = run(capsys, source, "--out", tmp_path / "out")
    assert status == 0
    assert "30 images, format coco" in out
    assert "warning: duplicate-box (1)" in out
    assert "--repair keeps one" in out
    assert "snapshot: " in out


@pytest.mark.parametrize("damage", ["image", "category", "deleted"])
def test_errors_are_named_and_nothing_is_imported(capsys, source, tmp_path, damage):
    coco = json.loads((source / "annotations.json").read_text())
    name = coco["images"][3]["file_name"]
    if damage == "image":
        (source / name).write_bytes((source / name).read_bytes()[:400])
    elif damage == "deleted":
        (source / name).unlink()
    else:
        change(source, lambda coco: coco["annotations"][2].update(category_id=77))
    status, out, err = run(capsys, source, "--out", tmp_path / "out", "--json")
    assert status == 1
    assert err.startswith("loupe: not imported: ")
    assert ("annotations.json" if damage == "category" else name) in err
    kinds = {p["kind"] for p in json.loads(out)["problems"] if p["severity"] == "error"}
    assert kinds == {
        {"image": "unreadable-image", "deleted": "missing-image", "category": "unknown-class"}[damage]
    }
    assert not (tmp_path / "out").exists()


def test_a_picture_that_is_cut_short_is_an_error_though_its_header_is_complete(capsys, source):
    name = json.loads((source / "annotations.json").read_text())["images"][0]["file_name"]
    data = (source / name).read_bytes()
    (source / name).write_bytes(data[: len(data) * 2 // 3])
    status, _, err = run(capsys, source, "--check")
    assert (status, name in err) == (1, True)


def test_a_source_that_does_not_exist_is_one_line_and_status_1(capsys, tmp_path):
    status, out, err = run(capsys, tmp_path / "nowhere")
    assert (status, out) == (1, "")
    assert err == f"loupe: {tmp_path / 'nowhere'}: no such file or folder\n"


def test_labels_that_are_not_allowed_refuse_the_import(capsys, source):
    status, _, err = run(capsys, source, "--check", "--labels", "scratches, crazing")
    assert status == 1
    assert "is not among scratches, crazing" in err


def test_repairs_are_made_only_on_request_and_listed(capsys, source, tmp_path):
    def edit(coco):
        first = coco["annotations"][0]
        name = next(c["name"] for c in coco["categories"] if c["id"] == first["category_id"])
        coco["categories"].append({"id": 99, "name": name.upper()})
        coco["annotations"] += [first | {"id": 901}, coco["annotations"][5] | {"id": 902, "category_id": 99}]
        coco["annotations"].append(first | {"id": 903, "bbox": [90, 90, 50, 50]})
        coco["annotations"].append(first | {"id": 904, "bbox": [5, 5, 0, 9]})
        coco["images"].append(coco["images"][7] | {"id": 800, "file_name": "images/copy.jpg"})
        boxes = [a for a in coco["annotations"] if a["image_id"] == coco["images"][7]["id"]]
        coco["annotations"] += [a | {"id": 1000 + i, "image_id": 800} for i, a in enumerate(boxes)]
        shutil.copy(source / coco["images"][7]["file_name"], source / "images/copy.jpg")

    change(source, edit)
    kinds = {"box-outside", "zero-area-box", "duplicate-box", "label-case", "duplicate-image"}
    plain = document(capsys, source, "--check")
    assert kinds <= {problem["kind"] for problem in plain["problems"]}
    assert plain["repairs"] == []
    assert len(plain["labels"]) == 7

    repaired = document(capsys, source, "--repair", "--out", tmp_path / "out")
    assert {entry["kind"] for entry in repaired["repairs"]} == kinds
    assert not kinds & {problem["kind"] for problem in repaired["problems"]}
    assert len(repaired["labels"]) == 6
    assert len(open_dataset(repaired["written_to"]).samples) == 30


def test_the_test_set_of_the_previous_snapshot_stays(capsys, drawn, source, tmp_path):
    first = document(capsys, source, "--out", tmp_path / "out")
    arguments = (drawn / "more", "--out", tmp_path / "out", "--previous", first["written_to"])
    second = document(capsys, *arguments)
    old, new = open_dataset(first["written_to"]), open_dataset(second["written_to"])
    frozen = {sample.sha256 for sample in old.part("test").samples}
    assert frozen <= {sample.sha256 for sample in new.part("test").samples}
    assert second["previous"] == {
        "test_images": len(frozen),
        "test_images_taken_over": len(frozen),
        "other_images_not_in_source": 30 - len(frozen),
    }
    assert document(capsys, *arguments)["snapshot"] == second["snapshot"]
    _, text, _ = run(capsys, *arguments)
    assert f"\n{len(frozen)} test images of the previous snapshot stay the test set\n" in text
    assert f"\n{30 - len(frozen)} other images of the previous snapshot are not in this source" in text


def test_options_that_exclude_each_other_are_refused():
    with pytest.raises(SystemExit):
        main(["x", "--check", "--out", "x"])


def test_an_output_folder_that_cannot_be_written_is_an_error(capsys, source, tmp_path):
    (tmp_path / "out").write_text("a file")
    status, _, err = run(capsys, source, "--out", tmp_path / "out")
    assert (status, "cannot be written" in err) == (1, True)


def test_a_snapshot_of_a_snapshot_keeps_its_parts(capsys, drawn, source, tmp_path):
    first = document(capsys, source, "--out", tmp_path / "out")
    arguments = ("--out", tmp_path / "out", "--previous", first["written_to"])
    second = document(capsys, drawn / "more", *arguments)
    assert document(capsys, second["written_to"], "--check")["parts"] == second["parts"]


def other_classes(source: Path, **names: str) -> None:
    """Rename the classes of a source: the first six letters of each, or as `names` says."""

    def edit(coco):
        for category in coco["categories"]:
            name = category["name"].replace("-", "_")
            category["name"] = names.get(name, f"bottle {category['id']}")

    change(source, edit)


def test_a_source_of_other_classes_is_refused_with_both_sides_and_the_ways_on(
    capsys, drawn, source, tmp_path
):
    first = document(capsys, drawn / "source", "--out", tmp_path / "out")
    other_classes(source)
    before = sorted(tmp_path.rglob("*"))
    arguments = (source, "--out", tmp_path / "out", "--previous", first["written_to"], "--dataset", "steel")
    for options in ([], ["--json"]):
        status, out, err = run(capsys, *arguments, *options)
        assert (status, out) == (1, "")
        assert err.startswith(
            "loupe: not imported: this source shows other classes than the data set steel\n"
        )
        assert "bottle 1, bottle 2" in err
        assert "crazing, inclusion, patches" in err
        assert "       To extend the data set steel with these classes: --add-classes\n" in err
        assert err.endswith("       To import this source as a data set of its own: --dataset NEWNAME\n")
        assert max(map(len, err.splitlines())) <= 80
    assert sorted(tmp_path.rglob("*")) == before


def test_a_source_whose_images_alone_are_labelled_is_no_part_of_a_data_set_of_other_classes(
    capsys, source, tmp_path
):
    first = document(capsys, source, "--out", tmp_path / "out")
    for number, folder in enumerate(["normal", "normal", "anomaly"]):
        (tmp_path / "d" / folder).mkdir(parents=True, exist_ok=True)
        Image.effect_noise((64, 64), 40 + number).save(tmp_path / "d" / folder / f"{number}.png")
    status, _, err = run(capsys, tmp_path / "d", "--out", tmp_path / "out", "--previous", first["written_to"])
    assert (status, "This source: anomaly" in err) == (1, True)
    # Good images alone may be more of the same product.
    shutil.rmtree(tmp_path / "d/anomaly")
    status, _, _ = run(
        capsys,
        tmp_path / "d",
        *("--format", "folders", "--out", tmp_path / "out", "--previous", first["written_to"]),
    )
    assert status == 0


@pytest.mark.parametrize("option", ["--add-classes", "--yes"])
def test_other_classes_are_added_on_request_and_named(capsys, drawn, source, tmp_path, option):
    first = document(capsys, drawn / "source", "--out", tmp_path / "out")
    other_classes(source)
    arguments = (source, "--out", tmp_path / "out", "--previous", first["written_to"])
    report = document(capsys, *arguments, option)
    assert report["new_labels"] == [f"bottle {number}" for number in range(1, 7)]
    status, text, _ = run(capsys, *arguments, option)
    assert (status, "\nnew classes: bottle 1, bottle 2, bottle 3" in text) == (0, True)


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("\n", 1), ("no\n", 1), ("", 1)])
def test_at_a_terminal_the_question_is_asked_and_its_default_is_no(
    capsys, drawn, source, tmp_path, monkeypatch, answer, status
):
    first = document(capsys, drawn / "source", "--out", tmp_path / "out")
    other_classes(source)
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    arguments = (source, "--out", tmp_path / "out", "--previous", first["written_to"])
    code, _, err = run(capsys, *arguments)
    assert code == status
    assert "The data set default has other classes: crazing, inclusion" in err
    assert "Add the classes bottle 1, bottle 2" in err
    assert "[y/N] " in err


def test_a_check_mixes_nothing_so_it_refuses_nothing(capsys, drawn, source, tmp_path):
    first = document(capsys, drawn / "source", "--out", tmp_path / "out")
    other_classes(source)
    report = document(capsys, source, "--previous", first["written_to"], "--check")
    assert len(report["new_labels"]) == 6


def test_a_class_in_another_spelling_is_named_as_a_likely_typo_and_repair_renames_it(
    capsys, drawn, source, tmp_path
):
    first = document(capsys, drawn / "source", "--out", tmp_path / "out")
    names = {c["name"] for c in json.loads((source / "annotations.json").read_text())["categories"]}
    other_classes(source, **{name.replace("-", "_"): name for name in names} | {"crazing": " Crazing"})
    arguments = (source, "--out", tmp_path / "out", "--previous", first["written_to"])
    report = document(capsys, *arguments)
    assert (report["new_labels"], report["likely_typos"]) == (["Crazing"], {"Crazing": "crazing"})
    _, text, _ = run(capsys, *arguments)
    assert "'Crazing' is probably 'crazing': --repair renames it" in text
    repaired = document(capsys, *arguments, "--repair")
    assert (repaired["new_labels"], repaired["likely_typos"]) == ([], {})
    assert set(repaired["labels"]) == names
    assert "label-case" in {entry["kind"] for entry in repaired["repairs"]}


def test_the_same_data_again_is_the_same_snapshot(capsys, source, tmp_path):
    first = document(capsys, source, "--out", tmp_path / "out")
    arguments = (source, "--out", tmp_path / "out", "--previous", first["written_to"])
    again = document(capsys, *arguments)
    assert (again["snapshot"], again["written_to"]) == (first["snapshot"], first["written_to"])
    assert (first["unchanged"], again["unchanged"]) == (False, True)
    _, text, _ = run(capsys, *arguments)
    assert f"\nsnapshot, unchanged: {first['written_to']}\n" in text
    assert len(list((tmp_path / "out").rglob("*.json"))) == 1
    other = document(capsys, *arguments, "--dataset", "press-2")
    assert Path(other["written_to"]).parent == tmp_path / "out/snapshots/press-2"
    change(source, lambda coco: coco["annotations"].pop())
    assert document(capsys, *arguments)["unchanged"] is False


def test_classes_that_no_object_shows_are_left_out_and_named(capsys, source, tmp_path):
    change(source, lambda coco: coco["categories"].append({"id": 99, "name": "defects"}))
    report = document(capsys, source, "--out", tmp_path / "out")
    assert "defects" not in report["labels"]
    assert "defects" not in open_dataset(report["written_to"]).labels
    problem = next(p for p in report["problems"] if p["kind"] == "unused-class")
    assert (problem["count"], problem["severity"]) == (1, "warning")
    assert "class 'defects': has no object" in problem["first"]


def test_what_the_retraining_would_refuse_is_said_at_the_import(capsys, source):
    def keep_two_images(coco):
        dataset = open_dataset(source)
        names = [sample.name for sample in dataset.part("train").samples if sample.objects][:2]
        coco["images"] = [image for image in coco["images"] if image["file_name"] in names]
        ids = {image["id"] for image in coco["images"]}
        coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] in ids]

    change(source, keep_two_images)
    kinds = {problem["kind"]: problem["count"] for problem in document(capsys, source, "--check")["problems"]}
    assert kinds["empty-part"] == 2
    assert kinds["untested-class"] >= 1


def test_the_report_fits_80_columns_and_no_name_steers_the_terminal(capsys, source, tmp_path):
    hostile = "a\x1b[31mred\x1b[0m\x07 class with a name that is longer than any reasonable name of a class"

    def edit(coco):
        coco["categories"][0]["name"] = hostile
        coco["annotations"] += [coco["annotations"][0] | {"id": 9000 + n} for n in range(5)]
        coco["images"].append(coco["images"][0] | {"id": 900, "file_name": f"images/{'long-' * 30}.jpg"})
        shutil.copy(source / coco["images"][0]["file_name"], source / f"images/{'long-' * 30}.jpg")

    change(source, edit)
    status, out, _ = run(capsys, source, "--check")
    assert status == 0
    assert "ared class with a name that is long" in out
    assert not any(ord(character) < 32 and character != "\n" for character in out)
    assert max(map(len, out.splitlines())) <= 80


def test_the_end_names_data_set_parts_snapshot_and_the_next_command(capsys, source, tmp_path):
    _, out, _ = run(capsys, source, "--out", tmp_path / "out", "--next", "loupe retrain --wait --stack press")
    *_, summary, snapshot, following = out.splitlines()
    assert re.fullmatch(
        r"data set default: 30 images \(\d+ train, \d+ validation, \d+ test\), 6 classes", summary
    )
    assert snapshot.startswith(f"snapshot: {tmp_path / 'out/snapshots/default'}/")
    assert following == "next: loupe retrain --wait --stack press"
    _, out, _ = run(capsys, source, "--out", tmp_path / "out")
    assert out.splitlines()[-1] == f"next: loupe train --dataset {snapshot.removeprefix('snapshot: ')}"


def test_a_stop_says_what_is_left_of_the_work(capsys, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importing, "read", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
    status, out, err = run(capsys, source)
    assert (status, out) == (130, "")
    assert err.splitlines()[0] == "loupe: stopped; nothing was written"
    assert not (tmp_path / "loupe-data").exists()


@pytest.mark.parametrize("name", ["Steel", "a b", "-", "a" * 41])
def test_a_name_that_is_not_valid_for_a_data_set_is_a_usage_error(capsys, source, name):
    with pytest.raises(SystemExit) as caught:
        main([str(source), f"--dataset={name}"])
    assert caught.value.code == 2
    assert "use lower-case letters, digits and hyphens, at most 40 characters" in capsys.readouterr().err


class CountedBytes(bytes):
    """Bytes that count how many of their kind are alive."""

    alive, most = 0, 0

    def __init__(self, *_: object) -> None:
        CountedBytes.alive += 1
        CountedBytes.most = max(CountedBytes.most, CountedBytes.alive)

    def __del__(self) -> None:
        CountedBytes.alive -= 1


def test_few_images_are_in_memory_at_a_time(tmp_path, monkeypatch, capsys):
    (tmp_path / "many").mkdir()
    images = [{"id": number, "file_name": f"{number}.png"} for number in range(120)]
    for image in images:
        Image.effect_noise((40, 40), 60).save(tmp_path / "many" / image["file_name"])
    coco = {"images": images, "annotations": [], "categories": []}
    (tmp_path / "many/annotations.json").write_text(json.dumps(coco))
    original = Folder.read
    monkeypatch.setattr(Folder, "read", lambda self, name: CountedBytes(original(self, name)))
    assert document(capsys, tmp_path / "many", "--check")["images"] == 120
    assert 0 < CountedBytes.most <= 3 * Folder.threads


@pytest.mark.skipif("LOUPE_NEU_DET" not in os.environ, reason="LOUPE_NEU_DET does not name NEU-DET.zip")
def test_neu_det_is_checked(capsys):
    report = document(capsys, os.environ["LOUPE_NEU_DET"], "--check")
    assert (report["format"], report["images"], len(report["labels"])) == ("voc", 1440, 6)
    assert {problem["kind"]: problem["count"] for problem in report["problems"]} == {
        "duplicate-box": 3,
        "duplicate-image-other-labels": 1,
        "near-duplicate-image": 5,
        "duplicate-across-split": 1,
    }
    assert report["left_out"] == [
        {
            "file": "NEU-DET/IMAGES/pitted_surface_292.jpg",
            "instead": "NEU-DET/IMAGES/pitted_surface_171.jpg",
            "how": "near",
        }
    ]


def test_a_snapshot_that_cannot_be_finished_leaves_no_file(capsys, source, tmp_path, monkeypatch):
    def failing(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)
    status, _, err = run(capsys, source, "--out", tmp_path / "out")
    assert (status, "No space left on device" in err) == (1, True)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_the_documentation_names_every_problem_and_every_format():
    page = (Path(__file__).parents[4] / "docs/datasets.md").read_text()
    assert [name for name in (*KINDS, *FORMATS) if f"`{name}`" not in page] == []


def test_the_text_lists_repairs_and_the_images_left_out(capsys, source, tmp_path):
    dataset = open_dataset(source)
    train, test = (dataset.part(part).samples[0] for part in ("train", "test"))
    coco = json.loads((source / "annotations.json").read_text())
    with Image.open(source / test.name) as picture:
        # Until the copy's hash puts it into the train part.
        for quality in range(60, 95):
            picture.save(source / "images/again.jpg", quality=quality)
            if part_of(hashlib.sha256((source / "images/again.jpg").read_bytes()).hexdigest()) == "train":
                break
    coco["images"].append(coco["images"][0] | {"id": 900, "file_name": "images/again.jpg"})
    first = next(i["id"] for i in coco["images"] if i["file_name"] == train.name)
    box = coco["annotations"][0] | {"image_id": first, "bbox": [90, 90, 50, 50]}
    coco["annotations"] += [box | {"id": 5000 + number} for number in range(5)]
    (source / "annotations.json").write_text(json.dumps(coco))
    status, out, _ = run(capsys, source, "--check", "--repair")
    assert status == 0
    heading = "left out: 1 image like one of another part"
    assert f"{heading}\n  images/again.jpg (near)\n    as {test.name}" in out
    assert "repaired: box-outside (5)" in out
    assert "  and 2 more" in out
