"""What there is to learn from: pictures of good products alone, folders, labels, and what is none of these."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.unit.training.datasets.exports import write
from training import survey as program
from training.datasets import DatasetError
from training.datasets.reading import open_dataset
from training.datasets.surveying import NothingToLearnError, Survey, survey


def shades(folder: Path, *names: str) -> Path:
    """Write pictures that all differ."""
    for index, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((32, 24), 20 + index % 50).save(path)
    return folder


def numbered(folder: str, count: int) -> list[str]:
    return [f"{folder}/{number:03}.png" for number in range(count)]


def counts(found: Survey) -> tuple[int, int]:
    good = sum(sample.is_good for sample in found.dataset.samples)
    return good, len(found.dataset.samples) - good


def in_test(found: Survey) -> tuple[int, int]:
    test = found.dataset.part("test").samples
    good = sum(sample.is_good for sample in test)
    return good, len(test) - good


def test_a_folder_of_pictures_shows_good_products_and_all_of_them_are_learned_from(tmp_path: Path):
    found = survey(str(shades(tmp_path / "bottles", *(f"{n}.jpg" for n in range(20)))))
    assert (found.format, counts(found), in_test(found)) == ("good", (20, 0), (0, 0))


def test_a_folder_for_good_and_one_for_bad_pictures_keep_some_of_both_aside(tmp_path: Path):
    found = survey(str(shades(tmp_path, *numbered("normal", 20), *numbered("anomaly", 6))))
    assert (found.format, counts(found), in_test(found)) == ("folders", (20, 6), (4, 3))


def test_few_pictures_are_all_learned_from(tmp_path: Path):
    found = survey(str(shades(tmp_path, *numbered("normal", 8), *numbered("anomaly", 6))))
    assert in_test(found) == (0, 0)


def test_the_test_part_of_the_source_is_kept_aside(tmp_path: Path):
    names = [*numbered("train/good", 12), *numbered("test/good", 3), *numbered("test/dent", 5)]
    assert in_test(survey(str(shades(tmp_path, *names)))) == (3, 5)


@pytest.mark.parametrize("name", ["Teile [b] für Müller & Söhne", "a b", "#1 50%"])
def test_any_name_of_a_folder_is_read_back_from_the_snapshot(tmp_path: Path, name: str):
    source = shades(tmp_path / name, "Größe 1.png", "b [2].png", "c%20d.png")
    found = survey(str(source))
    read = open_dataset(found.write(tmp_path / "out", "mine"))
    assert len([read.read(sample) for sample in read.samples]) == 3


def test_a_zip_of_a_mac_has_no_other_pictures_than_its_own(tmp_path: Path):
    source = shades(tmp_path / "Teile", *(f"ü{n}.png" for n in range(6)))
    with zipfile.ZipFile(tmp_path / "Teile.zip", "w") as archive:
        for file in sorted(source.iterdir()):
            archive.write(file, f"Teile/{file.name}")
            archive.writestr(f"__MACOSX/Teile/._{file.name}", b"\0\5\26\7")
        archive.writestr("Teile/.DS_Store", b"x")
    found = survey(str(tmp_path / "Teile.zip"))
    assert (counts(found), found.problems) == ((6, 0), [])


def test_copies_of_a_picture_count_once(tmp_path: Path):
    shades(tmp_path, *(f"{n}.png" for n in range(5)))
    for copy in ("x.png", "y.png"):
        (tmp_path / copy).write_bytes((tmp_path / "0.png").read_bytes())
    found = survey(str(tmp_path))
    assert (counts(found), found.copies) == ((5, 0), 2)


def test_a_picture_that_cannot_be_read_is_left_out_and_told(tmp_path: Path):
    (shades(tmp_path, "1.png", "2.png") / "3.png").write_bytes(b"no picture")
    found = survey(str(tmp_path))
    assert counts(found) == (2, 0)
    assert [problem.file for problem in found.problems] == ["3.png"]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["anomaly/1.png"], "pictures in a folder anomaly are not good ones"),
        (["nicht-io/NOK/1.png", "io/2.png"], "pictures in a folder NOK are not good ones"),
        (
            ["monday/1.png", "tuesday/2.png", "tuesday/3.png"],
            r"nothing tells .*: monday \(1\), tuesday \(2\)",
        ),
        (["1.png", "late/2.png"], "nothing tells which of its folders"),
    ],
)
def test_folders_that_may_have_bad_pictures_are_refused_unless_the_user_says_that_all_are_good(
    tmp_path: Path, names: list[str], reason: str
):
    source = str(shades(tmp_path / "source", *names))
    with pytest.raises(NothingToLearnError, match=reason) as refused:
        survey(source)
    assert "--all-good" in refused.value.hint
    assert counts(survey(source, all_good=True)) == (len(names), 0)


def test_a_folder_of_bad_pictures_is_recognised_by_its_own_name_too(tmp_path: Path):
    with pytest.raises(NothingToLearnError, match="are not good ones"):
        survey(str(shades(tmp_path / "Anomaly", "1.png")))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "has no picture .it is empty."),
        ({"a.mp4": b"x", "b.txt": b"y"}, r"has no picture \(1 \.mp4, 1 \.txt\)"),
    ],
)
def test_a_source_without_pictures_is_refused_with_what_it_has(
    tmp_path: Path, files: dict[str, bytes], reason: str
):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(NothingToLearnError, match=reason) as refused:
        survey(str(tmp_path))
    assert "video" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "reason"), [("1.png", "is one picture"), ("gone", "no such file or folder")]
)
def test_what_is_no_folder_is_refused_with_what_to_give(tmp_path: Path, name: str, reason: str):
    with pytest.raises(NothingToLearnError, match=reason) as refused:
        survey(str(shades(tmp_path, "1.png") / name))
    assert "Give a folder" in refused.value.hint


def test_labels_that_cannot_be_read_never_turn_into_good_pictures(tmp_path: Path):
    write(shades(tmp_path, "1.png", "2.png"), "labels.json", "{ not json")
    with pytest.raises(DatasetError, match=r"labels\.json is none") as refused:
        survey(str(tmp_path))
    assert "--all-good" in refused.value.hint


def test_boxes_are_counted_and_their_pictures_divided_as_an_import_divides_them(tmp_path: Path):
    names = numbered("images", 30)
    images = [{"id": n, "file_name": name, "width": 32, "height": 24} for n, name in enumerate(names)]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [2, 2, 9, 9]} for n in range(20)]
    labels = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "dent"}]}
    found = survey(str(write(shades(tmp_path, *names), "annotations.json", labels)))
    assert (found.has_boxes, counts(found)) == (True, (10, 20))
    assert {sample.belongs_to() for sample in found.dataset.samples} == {"train", "validation", "test"}


def request(source: Path, out: Path, **changes: object) -> dict[str, object]:
    return {
        "source": str(source), "name": "mine", "out": str(out), "format": None, "all_good": False, "sample": 4,
    } | changes  # fmt: skip


def test_the_program_copies_some_of_both_kinds_those_first_that_nothing_is_learned_from(tmp_path: Path):
    source = shades(tmp_path / "parts", *numbered("normal", 30), *numbered("anomaly", 3))
    answer = program.ask(request(source, tmp_path / "out"))
    assert (answer["good"], answer["defective"], answer["test"]) == (30, 3, {"good": 6, "defective": 2})
    copies = [(picture["station"], picture["defective"]) for picture in answer["pictures"]]
    assert copies == [("normal", False)] * 4 + [("anomaly", True)] * 3
    test = {sample.sha256 for sample in open_dataset(answer["snapshot"]).part("test").samples}
    shown = survey(str(tmp_path / "out" / "pictures"), all_good=True).dataset.samples
    assert test.intersection(sample.sha256 for sample in shown if "normal" in sample.name)


def test_the_program_keeps_pictures_apart_that_have_the_same_name(tmp_path: Path):
    shades(tmp_path / "a", "good/1.png", "more/good/1.png", "good/2.png")
    answer = program.ask(request(tmp_path / "a", tmp_path / "out"))
    assert len({picture["file"] for picture in answer["pictures"]}) == 3


def test_pictures_in_no_folder_have_the_source_as_their_station(tmp_path: Path):
    answer = program.ask(request(shades(tmp_path / "bottles", "1.png"), tmp_path / "out"))
    assert [picture["station"] for picture in answer["pictures"]] == ["bottles"]
