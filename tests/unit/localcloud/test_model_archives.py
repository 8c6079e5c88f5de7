"""What the local SageMaker unpacks of a model: its files, and nothing outside of the model's folder."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from localcloud.sagemaker.hosting.fleets import START_FAILURES
from localcloud.sagemaker.hosting.model_files import unpack


def archive(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            member.size = 4 if member.isreg() else 0
            tar.addfile(member, io.BytesIO(b"data"))
    return path


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


def test_the_files_of_a_model_are_unpacked_and_links_are_left_out(tmp_path: Path) -> None:
    made = archive(tmp_path / "model.tar.gz", tarfile.TarInfo("code/x.json"), link("passwd", "/etc/passwd"))
    unpack(made, tmp_path / "model")
    assert (tmp_path / "model/code/x.json").read_bytes() == b"data"
    assert not (tmp_path / "model/passwd").exists()


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside-of-the-model", "code/../../outside"])
def test_a_file_outside_of_the_models_folder_fails_the_endpoint(tmp_path: Path, name: str) -> None:
    made = archive(tmp_path / "model.tar.gz", tarfile.TarInfo(name))
    with pytest.raises(START_FAILURES, match="lies outside"):
        unpack(made, tmp_path / "model")
    assert not (tmp_path / "outside").exists()
