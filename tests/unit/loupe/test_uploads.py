"""Which files `loupe drop` uploads, and under which keys."""

import struct
import zipfile
import zlib
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
    assert skipped.by_kind() == {"sidecar file": 1}


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


LEFT_BEHIND = {
    "line-1/top/._SN2.jpg": "hidden file",
    "line-1/top/.SN2.jpg.icloud": "hidden file",
    "line-1/top/.hidden.png": "hidden file",
    "line-1/.cache/SN2.png": "hidden file",
    "__MACOSX/line-1/top/SN2.jpg": "hidden file",
    "$RECYCLE.BIN/line-1/SN2.jpg": "hidden file",
    ".thumbnails/normal/SN2.png": "thumbnail",
    "line-1/top/@eaDir/SN2.jpg/SYNOPHOTO_THUMB_XL.jpg": "thumbnail",
    "line-1/top/Thumbs.db": "thumbnail",
    "line-1/top/SN2.json": "sidecar file",
    "line-1/top/SN2.XML": "sidecar file",
    "line-1/top/SN2.txt": "sidecar file",
    "line-1/top/results.csv": "sidecar file",
    "line-1/top/SN3.heic": "picture of a format that cannot be inspected",
    "line-1/top/more.zip": "archive",
    "line-1/top/SN2.doc": "other file",
}
PRODUCTS = ("line-1/top/SN2.jpg", "line-1/top/SN3.JPEG", "line-1/top/SN4.JFIF", "line-1/top/SN5.jfif")


def write(folder: Path, names: object) -> None:
    for name in names:  # type: ignore[attr-defined]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"picture")


@pytest.mark.parametrize("as_zip", [False, True])
def test_only_products_are_uploaded_and_what_was_skipped_is_told_by_kind(tmp_path: Path, as_zip: bool):
    folder = tmp_path / "from-a-mac"
    write(folder, [*LEFT_BEHIND, *PRODUCTS])
    if as_zip:
        with zipfile.ZipFile(tmp_path / "mac.zip", "w") as archive:
            for file in folder.rglob("*"):
                archive.write(file, file.relative_to(folder))
    sources, skipped = uploads.find_images([tmp_path / "mac.zip" if as_zip else folder], None, None)
    assert sorted(source.key for source in sources) == sorted(f"incoming/{name}" for name in PRODUCTS)
    kinds = list(LEFT_BEHIND.values())
    assert skipped.by_kind() == {kind: kinds.count(kind) for kind in kinds}
    assert "4 sidecar files (.csv, .json, .txt, .xml)" in skipped.sentence()
    assert "6 hidden files" in skipped.sentence()


@pytest.mark.parametrize(
    "name", [name for name, kind in LEFT_BEHIND.items() if "._" in name or kind == "thumbnail"]
)
def test_what_is_never_a_product_is_skipped_also_if_it_is_given_by_name(tmp_path: Path, name: str):
    write(tmp_path, [name])
    with pytest.raises(LoupeError, match=r"no image in .*1 (hidden file|thumbnail)"):
        uploads.find_images([tmp_path / name], "line-1", "top")


def test_a_hidden_folder_or_file_that_is_given_by_name_is_uploaded(tmp_path: Path):
    write(tmp_path, [".camera/top/1.jpg", ".camera/top/.2.jpg"])
    sources, _ = uploads.find_images([tmp_path / ".camera"], "line-1", None)
    assert [source.key for source in sources] == ["incoming/line-1/top/1.jpg"]
    sources, _ = uploads.find_images([tmp_path / ".camera/top/.2.jpg"], "line-1", None)
    assert [source.key for source in sources] == ["incoming/line-1/top/.2.jpg"]


def zipped(
    path: Path, name: str = "line-1/top/SN1.jpg", content: bytes = b"picture" * 99, method: int = 8
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, content)
    return path


def altered(path: Path, offset: int, size: int, change: object) -> Path:
    """Change a number in the header of a zip's only member and in its copy at the end."""
    data = bytearray(path.read_bytes())
    for start in (data.index(b"PK\3\4") + offset, data.index(b"PK\1\2") + offset + 2):
        number = int.from_bytes(data[start : start + size], "little")
        data[start : start + size] = change(number).to_bytes(size, "little")  # type: ignore[operator]
    path.write_bytes(data)
    return path


def refused(path: Path, code_page: str | None = None) -> str:
    with pytest.raises(LoupeError) as caught:
        uploads.find_images([path], None, None, code_page)
    assert caught.value.hint
    return str(caught.value)


def test_an_encrypted_zip_is_refused_as_encrypted(tmp_path: Path):
    assert "is encrypted" in refused(altered(zipped(tmp_path / "a.zip"), 6, 2, lambda flags: flags | 1))


@pytest.mark.parametrize(
    ("method", "name"), [(9, "deflate64"), (93, "zstandard"), (77, "number 77"), (98, "ppmd")]
)
def test_a_compression_that_python_does_not_know_is_named(tmp_path: Path, method: int, name: str):
    assert name in refused(altered(zipped(tmp_path / "a.zip"), 8, 2, lambda _: method))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_zip_that_was_cut_off_is_refused_as_damaged(tmp_path: Path, share: float):
    path = zipped(tmp_path / "a.zip")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "is damaged" in refused(path)


@pytest.mark.parametrize("method", [0, 8, 12, 14])
def test_a_zip_with_one_wrong_byte_is_refused_before_anything_is_uploaded(tmp_path: Path, method: int):
    path = zipped(tmp_path / "a.zip", method=method)
    data = bytearray(path.read_bytes())
    data[30 + len("line-1/top/SN1.jpg") + 12] ^= 0xFF
    path.write_bytes(data)
    assert "SN1.jpg" in refused(path)


def with_raw_name(path: Path, raw: bytes, extra: bytes = b"") -> Path:
    """Write a zip by a program that knows nothing of UTF-8: the name's bytes are not marked."""
    placeholder = "x" * len(raw)
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(placeholder)
        info.extra = extra
        archive.writestr(info, b"picture")
    path.write_bytes(path.read_bytes().replace(placeholder.encode(), raw))
    return path


@pytest.mark.parametrize(
    ("raw", "code_page"),
    [
        ("线-1/顶/零件.jpg".encode("gbk"), "gbk"),
        ("ライン/上/部品.jpg".encode("cp932"), "cp932"),
        ("Linie/oben/Prüfling ß.jpg".encode("cp850"), "cp850"),
        ("線-1/上/部品.jpg".encode(), None),
        (b"line-1/top/SN1.jpg", None),
        (b"line-1\\top\\SN1.jpg", None),
    ],
)
def test_a_name_in_any_code_page_is_read_right_or_asked_for(
    tmp_path: Path, raw: bytes, code_page: str | None
):
    path = with_raw_name(tmp_path / "a.zip", raw)
    if code_page:
        assert "code page" in refused(path)
        assert "no code page" in refused(path, "klingon")
    sources, _ = uploads.find_images([path], None, None, code_page)
    name = raw.decode(code_page or "utf-8").replace("\\", "/")
    assert [(source.key, source.read()) for source in sources] == [(f"incoming/{name}", b"picture")]


def test_a_name_in_the_field_for_utf_8_is_read_from_there(tmp_path: Path):
    raw, name = "零件.jpg".encode("gbk"), "零件.jpg".encode()
    field = struct.pack("<BI", 1, zlib.crc32(raw)) + name
    path = with_raw_name(tmp_path / "a.zip", raw, struct.pack("<HH", 0x7075, len(field)) + field)
    sources, _ = uploads.find_images([path], "line-1", "top")
    assert [source.key for source in sources] == ["incoming/line-1/top/零件.jpg"]


def test_a_picture_with_a_zip_behind_it_is_a_picture(tmp_path: Path):
    data = b"\xff\xd8 picture" + zipped(tmp_path / "a.zip").read_bytes()
    (tmp_path / "1.jpg").write_bytes(data)
    sources, _ = uploads.find_images([tmp_path / "1.jpg"], "line-1", "top")
    assert [(source.key, source.read()) for source in sources] == [("incoming/line-1/top/1.jpg", data)]
