"""Which files `loupe drop` uploads, and under which keys."""

import zipfile
from pathlib import Path, PurePosixPath

import pytest

from loupe.errors import LoupeError
from loupe.stack import uploads


@pytest.mark.parametrize(
    ("relative", "line", "station", "key"),
    [
        ("a.jpg", None, None, "incoming/unknown/unknown/a.jpg"),
        ("line-1/top/a.jpg", None, None, "incoming/line-1/top/a.jpg"),
        ("samples/line-1/top/a.jpg", None, None, "incoming/line-1/top/a.jpg"),
        ("only/a.jpg", None, None, "incoming/unknown/unknown/a.jpg"),
        ("line-1/top/a.jpg", "L9", None, "incoming/L9/unknown/a.jpg"),
        ("a b+c%2B 日本.jpg", "L 1", "s+2", "incoming/L 1/s+2/a b+c%2B 日本.jpg"),
    ],
)
def test_line_and_station_come_from_the_options_or_the_last_two_folders(relative, line, station, key):
    assert uploads._key(PurePosixPath(relative), line, station) == key


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
    sources, _ = uploads.find_images([path], None, None)
    assert {source.key: source.read() for source in sources} == {
        "incoming/line-1/top/1.png": b"one",
        "incoming/unknown/unknown/evil.png": b"two",
    }
    assert [file.name for file in tmp_path.iterdir()] == ["batch.zip"]


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_without_an_image_the_error_has_a_hint(tmp_path: Path, name: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(LoupeError) as caught:
        uploads.find_images([tmp_path / name], None, None)
    assert caught.value.hint
