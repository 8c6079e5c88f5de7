"""An artefact contains a model and its checksum; it cannot run code or write elsewhere."""

from __future__ import annotations

import io
import json
import pickle
import tarfile

import pytest

from tests.unit.training.conftest import STARTER
from training.model.artefact import (
    CARD,
    MODEL,
    ArtefactError,
    ModelCard,
    file_sha256,
    pack,
    read_card,
    unpack,
)
from training.model.decoding import Postprocess
from training.model.onnx_model import OnnxModel


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / MODEL).write_bytes(b"pretend this is ONNX")
    ModelCard(
        name="m",
        family="ssdlite",
        labels=("dent",),
        input_size=128,
        normalisation={"mean": [0.5], "std": [0.5]},
        postprocess=Postprocess(),
        onnx_sha256=file_sha256(source / MODEL),
        operating_points={"dent": {"score": 0.4}},
    ).write(source)
    return source


def archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def link(kind, target):
    member = tarfile.TarInfo(MODEL)
    member.type, member.linkname = kind, target
    return member


def test_what_is_packed_is_what_is_unpacked(folder, tmp_path):
    card = unpack(pack(folder, tmp_path / "model.tar.gz"), tmp_path / "target")

    assert card == read_card(folder)
    assert card.version == card.onnx_sha256[:12]
    assert (tmp_path / "target" / MODEL).read_bytes() == b"pretend this is ONNX"


def test_packing_twice_gives_the_same_bytes(folder, tmp_path):
    first, second = pack(folder, tmp_path / "a.tar.gz"), pack(folder, tmp_path / "b.tar.gz")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    "name", ["../model.onnx", "/etc/model.onnx", "sub/model.onnx", "weights.pkl", "./../x"]
)
def test_any_other_name_is_refused_and_nothing_is_written(tmp_path, name):
    path = archive(tmp_path / "bad.tar.gz", [(tarfile.TarInfo(name), b"x")])
    with pytest.raises(ArtefactError, match="not part of a model artefact"):
        unpack(path, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_and_special_files_are_refused(tmp_path, kind):
    path = archive(tmp_path / "bad.tar.gz", [(link(kind, "/etc/passwd"), b"")])
    with pytest.raises(ArtefactError, match="not part of a model artefact"):
        unpack(path, tmp_path / "target")


def test_an_altered_model_is_refused(folder, tmp_path):
    (folder / MODEL).write_bytes(b"something else")
    with pytest.raises(ArtefactError, match="was altered"):
        unpack(pack(folder, tmp_path / "model.tar.gz"), tmp_path / "target")


def test_a_pickle_in_the_place_of_the_model_is_never_loaded(folder, tmp_path):
    marker = tmp_path / "executed"

    class Evil:
        def __reduce__(self):
            return marker.write_text, ("executed",)

    (folder / MODEL).write_bytes(pickle.dumps(Evil()))
    document = json.loads((folder / CARD).read_text())
    document["onnx_sha256"] = file_sha256(folder / MODEL)
    (folder / CARD).write_text(json.dumps(document))
    target = tmp_path / "target"
    unpack(pack(folder, tmp_path / "model.tar.gz"), target)
    with pytest.raises(ArtefactError, match="cannot load"):
        OnnxModel(target)
    assert not marker.exists()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"labels": 3}', '{"labels": ["a"], "postprocess": {"x": 1}}']
)
def test_an_invalid_card_is_refused(folder, content):
    (folder / CARD).write_text(content)
    with pytest.raises(ArtefactError):
        read_card(folder)


def test_a_card_from_before_tiles_box_offset_and_members_is_read_with_their_defaults(folder):
    document = json.loads((folder / CARD).read_text())
    for name in ("tiles", "box_offset", "members"):
        del document[name]
    (folder / CARD).write_text(json.dumps(document))

    card = read_card(folder)

    assert (card.tiles, card.box_offset, card.members) == (None, (0.0, 0.0), [])
    assert card.version == card.onnx_sha256[:12]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_cut_archive_is_refused(folder, tmp_path, share):
    path = pack(folder, tmp_path / "model.tar.gz")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ArtefactError):
        unpack(path, tmp_path / "target")


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(ArtefactError, match=r"nowhere\.tar\.gz"):
        unpack(tmp_path / "nowhere.tar.gz", tmp_path / "target")


@pytest.mark.parametrize("damage", ["altered", "no card", "no model"])
def test_an_error_names_the_archive_and_no_temporary_folder(damage, tmp_path):
    model, unpacked = tmp_path / "model.tar.gz", tmp_path / "unpacked"
    unpack(STARTER, unpacked)
    if damage == "altered":
        with (unpacked / MODEL).open("ab") as file:
            file.write(b"x")
    left = {"altered": (CARD, MODEL), "no card": (MODEL,), "no model": (CARD,)}[damage]
    with tarfile.open(model, "w:gz") as archive:
        for name in left:
            archive.add(unpacked / name, name)
    with pytest.raises(ArtefactError, match=f"^{model}: ") as caught:
        unpack(model, tmp_path / "temporary")
    assert "temporary" not in str(caught.value)
