"""A name in a label file finds its image, however the machine wrote it that the file comes from."""

from __future__ import annotations

import json
import os
import unicodedata
import zipfile
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.unit.training.datasets.exports import coco, picture, write
from training.datasets import DatasetError, read
from training.datasets.storage.archive import Zip
from training.datasets.storage.names import Names, is_hidden, is_mask, is_preview

# Letters that upper and lower case, and composed and decomposed forms, do not change into others.
WORD = st.text("abcdeéöüñßж漢 -_.0123456789", min_size=1, max_size=8).filter(
    lambda text: text.strip(" .") == text
)
PATH = st.lists(WORD, min_size=1, max_size=4).map(lambda parts: "/".join(parts) + ".jpg")

SPELLINGS = {
    "as it is": lambda name: name,
    "backslashes": lambda name: name.replace("/", "\\"),
    "current folder": lambda name: f"./{name}",
    "folder above": lambda name: f"../{name}",
    "detour": lambda name: f"x/../{name}",
    "absolute": lambda name: f"/home/anna/{name}",
    "windows": lambda name: "C:\\Users\\anna\\" + name.replace("/", "\\"),
    "s3": lambda name: f"s3://bucket/prefix/{name}",
    "web": lambda name: f"https://host.example/p/{quote(name)}?X-Amz-Signature=1",
    "file": lambda name: f"file:///data/{quote(name)}",
    "escaped": lambda name: quote(name),
    "label studio": lambda name: f"/data/local-files/?d={quote(name)}",
    "upper": lambda name: name.upper(),
    "decomposed": lambda name: unicodedata.normalize("NFD", name),
    "no suffix": lambda name: name.removesuffix(".jpg"),
    "uploaded": lambda name: "/".join([*name.split("/")[:-1], f"0a1b2c3d-{name.split('/')[-1]}"]),
    "blanks around": lambda name: f" {name}\n",
}


@settings(max_examples=100)
@given(name=PATH, others=st.lists(PATH, max_size=4))
def test_every_spelling_finds_the_file(name, others):
    def folded(path):
        return unicodedata.normalize("NFC", path).casefold()

    assume(all(folded(other.split("/")[-1]) != folded(name.split("/")[-1]) for other in others))
    names = Names([*others, name])
    # All of them for each name: to draw names takes ten times as long as to find them.
    found = {how: names.find(spelled(name)) for how, spelled in SPELLINGS.items()}
    assert found == {how: [name] for how in SPELLINGS}


@given(st.lists(PATH, min_size=1, max_size=6, unique=True), st.data())
def test_a_name_that_is_there_exactly_is_never_another_file(names, data):
    name = data.draw(st.sampled_from(names))
    assert Names(names).find(name) == [name]


@given(st.lists(PATH, max_size=6), PATH)
def test_what_is_found_has_the_same_last_part(names, reference):
    for found in Names(names).find(reference):
        assert found in names
        assert found.split("/")[-1].casefold() == reference.split("/")[-1].casefold()


@given(st.text(max_size=40))
def test_no_text_is_too_strange(text):
    assert Names(["a/1.jpg"]).find(text) in ([], ["a/1.jpg"])


@pytest.mark.parametrize(
    ("names", "reference", "near", "expected"),
    [
        (["line-1/a.png", "line-2/a.png"], "s3://b/raw/line-2/a.png", "", ["line-2/a.png"]),
        (["line-1/a.png", "line-2/a.png"], "a.png", "", ["line-1/a.png", "line-2/a.png"]),
        (["train/1.jpg", "valid/1.jpg"], "1.jpg", "valid/_annotations.coco.json", ["valid/1.jpg"]),
        (["1.jpg", "sub/1.jpg"], "1.jpg", "annotations.json", ["1.jpg"]),
        (["x/A.jpg", "x/a.jpg"], "x/a.jpg", "", ["x/a.jpg"]),
        (["x/A.jpg", "x/b.jpg"], "x/a.jpg", "", ["x/A.jpg"]),
        (["JPEGImages/1.jpg", "SegmentationClass/1.png"], "1", "", ["JPEGImages/1.jpg"]),
        (["a/1.jpg", "a/1.bmp"], "a/1", "", ["a/1.jpg", "a/1.bmp"]),
        (["a/1.rf.0f.jpg"], "1.rf.0f", "", ["a/1.rf.0f.jpg"]),
        (["a/1.jpg"], "b.jpg", "", []),
        (["a/1.jpg"], "", "", []),
    ],
)
def test_the_longest_end_of_the_path_counts_then_the_place(names, reference, near, expected):
    assert Names(names).find(reference, near) == expected


def test_a_hint_decides_between_folders_that_fit_equally():
    names = Names(["images/train2017/1.jpg", "images/val2017/1.jpg"])
    assert names.find("1.jpg", hint="val2017") == ["images/val2017/1.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        "__MACOSX/a/._1.jpg",
        "a/__MACOSX/1.jpg",
        "a/._1.jpg",
        ".thumbnails/1.jpg",
        "a/Thumbs.db",
        "@eaDir/1.jpg",
    ],
)
def test_files_of_the_system_are_hidden(name):
    assert is_hidden(name)


def test_thumbnails_and_masks_are_known_by_their_folder():
    assert is_preview("a/Thumbnails/1.jpg")
    assert not is_preview("a/thumbnails.jpg")
    assert is_mask("SegmentationObject/1.png")


@pytest.mark.parametrize("page", ["cp850", "cp1252", "gb18030", "cp932", "utf-8"])
def test_names_in_a_zip_of_another_code_page_are_found(tmp_path, page):
    name = "図面.png" if page in ("gb18030", "cp932") else "Prüfbild.png"
    raw = name.encode(page)
    image = picture(tmp_path / "a.png").read_bytes()
    path = tmp_path / "d.zip"
    # Python writes UTF-8 only, so the bytes of the name are exchanged in the file.
    with zipfile.ZipFile(path, "w") as archive:
        stand_in = "n" * (len(raw) - 4) + ".png"
        archive.writestr(stand_in, image)
        archive.writestr("annotations.json", json.dumps(coco(name)))
    path.write_bytes(path.read_bytes().replace(stand_in.encode(), raw))
    reading = read(path)
    assert [problem for problem in reading.problems if problem.severity == "error"] == []
    assert len(reading.dataset.samples[0].objects) == 1
    assert reading.dataset.files.read(reading.dataset.samples[0].name) == image


def test_a_zip_that_windows_wrote_has_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        entry = zipfile.ZipInfo("images\\a.png")
        entry.filename = "images\\a.png"
        archive.writestr(entry, b"x")
    assert Zip(str(tmp_path / "w.zip")).names == ("images/a.png",)


def test_names_in_a_folder_that_are_no_utf8_are_found_and_can_be_written(tmp_path):
    image = picture(tmp_path / "a.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/Pr\x81f.png"))
    write(tmp_path, "annotations.json", coco("Prüf.png"))
    reading = read(tmp_path)
    assert [problem for problem in reading.problems if problem.severity == "error"] == []
    sample = reading.dataset.samples[0]
    assert (sample.name, len(sample.objects)) == ("Prüf.png", 1)
    assert reading.dataset.read(sample) == image.read_bytes()
    assert reading.dataset.files.uri(sample.name).endswith("/Pr%81f.png")


def test_an_encrypted_zip_is_refused_with_what_to_do(tmp_path):
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("a.png", b"x")
    data = bytearray((tmp_path / "e.zip").read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "e.zip").write_bytes(data)
    with pytest.raises(DatasetError, match=r"e\.zip: is encrypted: unpack it"):
        read(tmp_path / "e.zip")
