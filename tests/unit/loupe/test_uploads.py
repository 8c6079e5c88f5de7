"""Which files `loupe drop` uploads, and under which keys."""

import zipfile
from pathlib import Path, PurePosixPath

import pytest

from loupe.errors import LoupeError
from loupe.stack import uploads


@pytest.mark.parametrize(
    ("path", "line", "station", "key"),
    [
        ("line-1/top/a.jpg", None, None, "incoming/line-1/top/a.jpg"),
        ("samples/line-1/top/a.jpg", None, None, "incoming/line-1/top/a.jpg"),
        ("/data/line-1/top/a.jpg", None, None, "incoming/line-1/top/a.jpg"),
        ("../line-1/./top/a.jpg", None, None, "incoming/line-1/top/a.jpg"),
        ("line-1/top/a.jpg", "L9", None, "incoming/L9/top/a.jpg"),
        ("line-1/top/a.jpg", None, "S9", "incoming/line-1/S9/a.jpg"),
        ("only/a.jpg", "L9", None, "incoming/L9/only/a.jpg"),
        ("a b+c%2B 日本.jpg", "L 1", "s+2", "incoming/L 1/s+2/a b+c%2B 日本.jpg"),
    ],
)
def test_line_and_station_are_the_last_two_folders_and_each_option_replaces_one(path, line, station, key):
    assert uploads._key(PurePosixPath(path), line, station) == key


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["line-1/top"], "incoming/line-1/top/1.jpg"),
        (["line-1"], "incoming/line-1/top/1.jpg"),
        (["."], "incoming/line-1/top/1.jpg"),
        (["line-1/top/1.jpg"], "incoming/line-1/top/1.jpg"),
    ],
)
def test_an_image_has_the_same_place_from_whichever_folder_it_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], key: str
):
    (tmp_path / "line-1" / "top").mkdir(parents=True)
    (tmp_path / "line-1" / "top" / "1.jpg").write_bytes(b"one")
    monkeypatch.chdir(tmp_path)
    sources, _ = uploads.find_images([Path(argument) for argument in arguments], None, None)
    assert [source.key for source in sources] == [key]


@pytest.mark.parametrize("path", ["1.jpg", "top/1.jpg", "./1.jpg", "flat.zip"])
def test_an_image_without_line_and_station_is_refused_with_the_options_that_give_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
):
    (tmp_path / "top").mkdir()
    for file in ("1.jpg", "top/1.jpg"):
        (tmp_path / file).write_bytes(b"one")
    with zipfile.ZipFile(tmp_path / "flat.zip", "w") as archive:
        archive.writestr("1.jpg", b"one")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LoupeError, match=r"1\.jpg: no line and station") as caught:
        uploads.find_images([Path(path)], None, None)
    assert "--line NAME and --station NAME" in caught.value.hint
    sources, _ = uploads.find_images([Path(path)], "line-1", "top")
    assert [source.key for source in sources] == ["incoming/line-1/top/1.jpg"]


@pytest.mark.parametrize("name", ["a/b", "", " ", "..", "a\x1b[31m", "a\nb"])
@pytest.mark.parametrize("option", ["line", "station"])
def test_a_name_that_would_shift_the_parts_of_a_key_is_refused(tmp_path: Path, name: str, option: str):
    with pytest.raises(LoupeError, match=f"--{option}"):
        uploads.find_images([tmp_path], **{"line": "l", "station": "s"} | {option: name})


def test_a_folder_gives_its_images_and_the_number_of_skipped_files(tmp_path: Path):
    (tmp_path / "line-1" / "top").mkdir(parents=True)
    (tmp_path / "line-1" / "top" / "1.JPG").write_bytes(b"one")
    (tmp_path / "line-1" / "top" / "1.xml").write_text("<annotation/>")
    sources, skipped = uploads.find_images([tmp_path], None, None)
    assert [source.key for source in sources] == ["incoming/line-1/top/1.JPG"]
    assert sources[0].read() == b"one"
    assert skipped == 1


def test_a_zip_is_read_without_being_unpacked_so_that_no_member_can_leave_it(tmp_path: Path):
    path = tmp_path / "batch.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("line-1/top/1.png", b"one")
        archive.writestr("../../evil.png", b"two")
    sources, _ = uploads.find_images([path], "line-1", "top")
    assert {source.key: source.read() for source in sources} == {
        "incoming/line-1/top/1.png": b"one",
        "incoming/line-1/top/evil.png": b"two",
    }
    assert [file.name for file in tmp_path.iterdir()] == ["batch.zip"]


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_without_an_image_the_error_has_a_hint(tmp_path: Path, name: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(LoupeError) as caught:
        uploads.find_images([tmp_path / name], None, None)
    assert caught.value.hint
