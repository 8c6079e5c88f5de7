"""The files of a model: downloaded with the permissions of the model's role, and unpacked for its container."""

import shutil
import tarfile
from pathlib import Path
from typing import Any

from localcloud.sagemaker.storage import TRANSFER, split


def fetch_model(s3: Any, uri: str, root: Path) -> None:
    """Download a model.tar.gz and unpack it into the folder model/.

    Args:
        s3: A client with the permissions of the model's role.
        uri: The archive.
        root: The folder that takes the place of /opt/ml; it contains model/.

    Raises:
        tarfile.TarError: The archive is damaged, or a file would lie outside of the model's folder.
        botocore.exceptions.ClientError: S3 refuses it.
    """
    archive = root / "model.tar.gz"
    bucket, key = split(uri)
    s3.download_file(bucket, key, str(archive), Config=TRANSFER)
    unpack(archive, root / "model")
    archive.unlink()


def unpack(archive: Path, folder: Path) -> None:
    """Extract the regular files of an archive into a folder, and nothing outside of it.

    tarfile's own filter exists from Python 3.11.4 on, and Debian 12 has 3.11.2.

    Raises:
        tarfile.TarError: The archive is damaged, or a file would lie outside.
    """
    inside = folder.resolve()
    with tarfile.open(archive) as tar:
        for member in tar:
            target = (inside / member.name).resolve()
            if not target.is_relative_to(inside):
                raise tarfile.TarError(f"{member.name!r} lies outside of the model's folder")
            if (content := tar.extractfile(member) if member.isreg() else None) is None:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, target.open("wb") as file:
                shutil.copyfileobj(content, file)
